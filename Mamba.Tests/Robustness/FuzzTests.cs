using Mamba.Fuzz;

namespace Mamba.Tests.Robustness;

/// <summary>
/// A short run of the fuzz program, the same files each time. Every reader reads or refuses corrupted files, within time and memory.
/// </summary>
internal sealed class FuzzTests
{
    [TestCaseSource(typeof(Fuzzer), nameof(Fuzzer.Readers))]
    public void Spoiled_files_are_read_or_refused(string reader)
    {
        Fuzzer fuzzer = new(reader, seed: 20);
        // fewer where a model is built for each
        Finding[] findings = [.. fuzzer.CheckSeeds(), .. fuzzer.Run(reader == "model" ? 300 : 3000)];
        Assert.That(findings.Select(f => $"{f.Problem}: {Convert.ToBase64String(f.File)}"), Is.Empty);
        Assert.That(fuzzer.Read, Is.Positive, "some are read");
        Assert.That(fuzzer.Read, Is.LessThan(fuzzer.Inputs), "some are refused");
    }
}
