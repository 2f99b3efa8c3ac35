namespace Mamba.Tests.Support;

/// <summary>The folder of reference data (goldens/, data/, weights/), which the environment variable MAMBA_REFERENCE names.</summary>
internal static class ReferenceData
{
    public static string? Root { get; } = Environment.GetEnvironmentVariable("MAMBA_REFERENCE") is { Length: > 0 } root && Directory.Exists(root) ? root : null;

    /// <summary>The full path of something in the reference folder; without the folder, the running test is skipped and says so.</summary>
    public static string Path(string relative)
    {
        if (Root is null) Assert.Ignore("MAMBA_REFERENCE does not name a folder of reference data.");
        return System.IO.Path.Combine(Root!, relative);
    }

    /// <summary>The reference files that match a pattern, relative to the root: a test source, empty without the folder.</summary>
    public static IEnumerable<string> Files(string folder, string pattern) => Root is null
        ? []
        : Directory.EnumerateFiles(System.IO.Path.Combine(Root, folder), pattern).Order(StringComparer.Ordinal).Select(f => System.IO.Path.GetRelativePath(Root, f));
}
