using Mamba.Core.Nn;

namespace Mamba.Cli.Reports;

/// <summary>What a model took of a weight file.</summary>
internal static class LoadedTensors
{
    /// <summary>All tensors of the file or some, the prefix that their names lost, and what did not fit.</summary>
    /// <param name="report">How the names matched.</param>
    /// <returns>Words for a line.</returns>
    public static string Describe(LoadReport report)
    {
        int offered = report.Loaded + report.Unexpected.Count + report.Misshapen.Count;
        string loaded = offered == report.Loaded ? $"all {offered} tensors loaded" : $"{report.Loaded} of {offered} tensors loaded";
        return string.Join("; ", new[] { loaded, report.Prefix, report.LeftOut, report.ToString() }.Where(part => part.Length > 0));
    }
}
