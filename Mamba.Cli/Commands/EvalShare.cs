using Mamba.Cli.Reports;
using Mamba.Models.Data.Splits;
using Mamba.Models.Metrics;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>
/// Which images of an evaluation are a part's. It runs whole batches, those of one process, so that each image has the same bits; of a
/// batch at the border of two volumes it keeps its own images.
/// </summary>
/// <param name="part">The part.</param>
/// <param name="batch">Images in a batch.</param>
/// <param name="units">The unit of each image, from 0: images of a unit stay together. Batches, or volumes.</param>
internal sealed class EvalShare(JobPart part, int batch, IReadOnlyList<int> units)
{
    /// <summary>The images of all batches with an image of this part, by their place in the evaluation.</summary>
    public int[] Places =>
        [.. Enumerable.Range(0, units.Count).Chunk(batch).Where(places => places.Any(IsOwn)).SelectMany(places => places)];

    /// <summary>Numbers units in the order of their first images.</summary>
    public static int[] Units(IEnumerable<string> names)
    {
        Dictionary<string, int> known = [];
        return [.. names.Select(name => known.TryAdd(name, known.Count) ? known.Count - 1 : known[name])];
    }

    /// <summary>What was measured of this part's images.</summary>
    /// <param name="measured">What was measured of the batches of <see cref="Places"/>.</param>
    /// <param name="volumes">The scores of each volume, where distances are those of volumes; empty for pictures.</param>
    public IReadOnlyList<EvalSegment> Keep(IReadOnlyList<MeasuredBatch> measured, IReadOnlyList<GroupScores> volumes)
    {
        Dictionary<string, GroupScores> groups = volumes.ToDictionary(volume => volume.Group);
        int[] places = Places;
        List<EvalSegment> kept = [];
        for (int i = 0, b = 0; i < places.Length; i += measured[b].Images.Count, b++)
        {
            (int first, IReadOnlyList<MeasuredImage> images) = (places[i], measured[b].Images);
            for (int start = 0; start < images.Count; start++)
            {
                int end = start;
                while (end < images.Count && IsOwn(first + end)) end++;
                if (end == start) continue;
                MeasuredImage[] own = [.. Enumerable.Range(start, end - start).Select(k => WithVolume(images[k], first + k, groups))];
                kept.Add(new EvalSegment(first / batch, start, measured[b].Loss, own));
                start = end;
            }
        }
        return kept;
    }

    private bool IsOwn(int place) => part.Owns(units[place]);

    /// <summary>The last slice of a volume brings its distances.</summary>
    private MeasuredImage WithVolume(MeasuredImage image, int place, Dictionary<string, GroupScores> groups)
    {
        bool isLast = place + 1 == units.Count || units[place + 1] != units[place];
        if (!isLast || image.Group is null || !groups.TryGetValue(image.Group, out GroupScores? volume)) return image;
        double[] distances = new double[image.Distances.Count];
        Array.Fill(distances, double.NaN);
        for (int c = 1; c <= volume.Classes.Count; c++) distances[^c] = volume.Classes[^c].Hausdorff95; // without the background, of a mask
        return image with { VolumeDistances = distances };
    }
}
