using System.Globalization;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Mamba.Core.Simd;

namespace Mamba.Tests.Support;

/// <summary>
/// The bits that results are known to have at a vector width, as hashes in Fixtures/bits: written on x64, and held by every other machine
/// that runs the tests, real or emulated.
/// </summary>
/// <param name="name">The file, without the width.</param>
internal sealed class BitRecord(string name)
{
    private const string Rewrite = "MAMBA_WRITE_BITS";

    private static readonly Lock s_gate = new();

    /// <summary>Compares a hash with the one on record; with MAMBA_WRITE_BITS set, puts it on record instead.</summary>
    /// <param name="width">The width of the results.</param>
    /// <param name="key">What they are results of.</param>
    /// <param name="values">The results.</param>
    public void Holds(VectorWidth width, string key, params IEnumerable<float[]> values)
    {
        string hash = Hash(values), file = $"{name}-{width.ToString().ToLowerInvariant()}.txt";
        string place = Path.Combine("Fixtures", "bits", file);
        if (Environment.GetEnvironmentVariable(Rewrite) is { Length: > 0 })
        {
            Write(Path.Combine(SourceTree.Root, "Mamba.Tests", place), key, hash);
            return;
        }
        Assert.That(Read(Path.Combine(AppContext.BaseDirectory, place)).GetValueOrDefault(key), Is.EqualTo(hash),
            $"{file}: {key}: results with other bits than on record, or none on record. If they are meant to change, "
            + $"run this test with {Rewrite}=1, and read the diff: it is what users will see.");
    }

    /// <summary>NaN counts as one value: its sign and payload differ between architectures, and nothing depends on them.</summary>
    private static string Hash(IEnumerable<float[]> values)
    {
        XxHash64 hash = new();
        foreach (float[] array in values)
        {
            float[] plain = Array.ConvertAll(array, v => float.IsNaN(v) ? float.NaN : v);
            hash.Append(MemoryMarshal.AsBytes<float>(plain));
        }
        return hash.GetCurrentHashAsUInt64().ToString("x16", CultureInfo.InvariantCulture);
    }

    private static SortedDictionary<string, string> Read(string file) =>
        new(File.Exists(file) ? File.ReadLines(file).ToDictionary(line => line[17..], line => line[..16]) : [], StringComparer.Ordinal);

    private static void Write(string file, string key, string hash)
    {
        lock (s_gate)
        {
            SortedDictionary<string, string> all = Read(file);
            all[key] = hash;
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllLines(file, all.Select(entry => $"{entry.Value} {entry.Key}"));
        }
    }
}
