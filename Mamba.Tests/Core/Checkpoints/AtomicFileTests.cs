using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;

namespace Mamba.Tests.Core;

/// <summary>Fault 14: files that several threads write at a time, and what is published to several threads.</summary>
internal sealed class AtomicFileTests
{
    private string _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("mamba-atomic-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void Four_threads_that_save_to_one_path_all_succeed_and_leave_one_whole_file()
    {
        const int Threads = 4, Writes = 50, Size = 100_000;
        string path = Path.Combine(_folder, "weights.bin");
        using Barrier start = new(Threads);
        Exception?[] failures = new Exception?[Threads];
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
        {
            byte[] content = new byte[Size];
            Array.Fill(content, (byte)(t + 1));
            start.SignalAndWait();
            try
            {
                for (int i = 0; i < Writes; i++) AtomicFile.Write(path, stream => stream.Write(content));
            }
            catch (Exception e)
            {
                failures[t] = e;
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.That(failures, Is.All.Null);
        byte[] written = File.ReadAllBytes(path);
        Assert.That(written, Has.Length.EqualTo(Size));
        Assert.That(written, Is.All.EqualTo(written[0]));
        Assert.That(Directory.GetFiles(_folder), Is.EqualTo(new[] { path }), "no temporary file stays");
    }

    [Test]
    public void A_write_that_fails_leaves_no_temporary_file_and_a_killed_process_s_are_swept()
    {
        string path = Path.Combine(_folder, "weights.bin");
        Assert.That(() => AtomicFile.Write(path, _ => throw new InvalidTimeZoneException()), Throws.TypeOf<InvalidTimeZoneException>());
        Assert.That(Directory.GetFiles(_folder), Is.Empty);
        string? temporary = null;
        AtomicFile.Write(path, _ => temporary = Directory.GetFiles(_folder).Single());
        File.WriteAllText(temporary!, "as a killed process leaves it");
        AtomicFile.Sweep(_folder);
        Assert.That(Directory.GetFiles(_folder), Is.EqualTo(new[] { path }));
    }

    [Test]
    public void What_is_derived_of_a_frozen_weight_is_whole_on_every_thread()
    {
        const int Threads = 4, Rounds = 2000;
        ParameterStore store = new();
        Tensor weight = new Scope(store).Parameter("weight", Init.Constant(3f), 4);
        using Barrier barrier = new(Threads);
        WhileFrozen<int[]>[] derived = [.. Enumerable.Range(0, Rounds).Select(_ => new WhileFrozen<int[]>(weight, () => [1, 2, 3]))];
        store.Freeze();
        bool[] whole = new bool[Threads];
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
        {
            barrier.SignalAndWait();
            whole[t] = derived.All(d => d.TryGet(out int[] value) && value is [1, 2, 3]);
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.That(whole, Is.All.True);
    }
}
