using System.Globalization;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;

namespace Mamba.Soak;

/// <summary>The memory of the process after some calls.</summary>
/// <param name="Calls">Calls so far.</param>
/// <param name="Resident">Resident memory, in bytes.</param>
/// <param name="Heap">Bytes of the managed heap.</param>
/// <param name="Allocated">Bytes allocated since the start.</param>
/// <param name="Collections">Collections of the youngest generation, and so of all, since the start.</param>
/// <param name="FullCollections">Collections of all generations among them.</param>
public sealed record SoakSample(int Calls, long Resident, long Heap, long Allocated, int Collections, int FullCollections)
{
    /// <summary>The figures in words.</summary>
    /// <returns>A line.</returns>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Calls,8:N0} calls  resident {Resident / 1048576.0,7:F2} MiB  heap {Heap / 1048576.0,7:F2} MiB  "
        + $"allocated {Allocated / 1048576.0,9:F1} MiB  {Collections} collections, {FullCollections} of them full");
}

/// <summary>
/// Runs a frozen segmentation model again and again through the public <see cref="Segmenter"/>, and watches the memory of the process.
/// </summary>
/// <param name="model">Its name.</param>
/// <param name="side">Rows and columns of its input.</param>
public sealed class Soak(string model, int side)
{
    /// <summary>
    /// How much resident memory may grow after the first tenth of the calls, in bytes: what the garbage collector's young generation comes
    /// and goes with. A leak of a single small object a call, 170 bytes, is that much after 100,000 calls.
    /// </summary>
    public const long Growth = 16L << 20;

    /// <summary>Runs.</summary>
    /// <param name="calls">How often.</param>
    /// <param name="samples">How many samples to take; a multiple of ten.</param>
    /// <param name="log">Told of each sample.</param>
    /// <returns>What was broken; null if nothing was.</returns>
    public string? Run(int calls, int samples, Action<SoakSample> log)
    {
        ModelEntry entry = Registry.Find(model);
        using Segmenter segmenter = new(
            entry.Create(),
            new ModelInfo(model, entry.Config, ["lesion"], Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, side, side)));
        SyntheticLesions slices = new(seed: 1, count: 20, side, side);
        // Of the model's size, and of others, which are resized: sizes that come and go must not pile up either.
        Image[] images =
        [
            .. Enumerable.Range(0, 20).Select(i =>
                i % 4 == 3 ? new SyntheticLesions(1, 20, side + 8 * i, side).Load(i).Image : slices.Load(i).Image),
        ];
        long start = GC.GetTotalAllocatedBytes(), settled = 0;
        for (int sample = 1; sample <= samples; sample++)
        {
            int done = (int)((long)calls * (sample - 1) / samples), until = (int)((long)calls * sample / samples);
            for (int call = done; call < until; call++) segmenter.Segment(images[call % images.Length]);
            SoakSample now = new(
                until, Environment.WorkingSet, GC.GetTotalMemory(forceFullCollection: false), GC.GetTotalAllocatedBytes() - start,
                GC.CollectionCount(0), GC.CollectionCount(2));
            log(now);
            if (sample * 10 <= samples) settled = Math.Max(settled, now.Resident);
            else if (now.Resident > settled + Growth)
                return string.Create(
                    CultureInfo.InvariantCulture, $"after {until:N0} calls the process takes {now.Resident:N0} bytes; "
                    + $"expected at most {Growth:N0} above the {settled:N0} of the first tenth");
        }
        return null;
    }
}
