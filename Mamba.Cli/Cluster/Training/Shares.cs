namespace Mamba.Cli.Cluster.Training;

/// <summary>Cuts the shards of a step into one run of neighbours per worker. How they are cut changes speed alone.</summary>
internal static class Shares
{
    /// <summary>Gives each next shard to the worker that would be done with it first.</summary>
    /// <param name="speeds">Shards a second of each worker; null for one that was not measured, which counts as the mean.</param>
    /// <param name="shards">The shards.</param>
    /// <returns>How many each worker gets.</returns>
    public static int[] Of(IReadOnlyList<double?> speeds, int shards)
    {
        double mean = speeds.Any(s => s is not null) ? speeds.Average(s => s ?? 0) * speeds.Count / speeds.Count(s => s is not null) : 1;
        double[] known = [.. speeds.Select(s => s ?? mean)];
        int[] counts = new int[known.Length];
        for (int shard = 0; shard < shards; shard++)
        {
            int first = 0;
            for (int i = 1; i < known.Length; i++)
                if ((counts[i] + 1) / known[i] < (counts[first] + 1) / known[first]) first = i;
            counts[first]++;
        }
        return counts;
    }
}
