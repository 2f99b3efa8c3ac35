namespace Mamba.Tests.Support;

/// <summary>
/// The folder of reference data (goldens/, data/, weights/), named by the environment variable MAMBA_REFERENCE. Without it, a few golden
/// files beside the tests are used, and tests that need more are skipped and say so.
/// </summary>
internal static class ReferenceData
{
    private static readonly string? s_root =
        Environment.GetEnvironmentVariable("MAMBA_REFERENCE") is { Length: > 0 } root && Directory.Exists(root) ? root : null;

    private static readonly string s_fixtures = System.IO.Path.Combine(AppContext.BaseDirectory, "Fixtures");

    /// <summary>
    /// The full path of something in the reference folder or among the fixtures; without either, the running test is skipped.
    /// </summary>
    public static string Path(string relative)
    {
        string path = System.IO.Path.Combine(s_root ?? s_fixtures, relative), fixture = System.IO.Path.Combine(s_fixtures, relative);
        if (!File.Exists(path) && !Directory.Exists(path) && File.Exists(fixture)) return fixture; // some are among the fixtures alone
        if (s_root is null && !File.Exists(path))
            Assert.Ignore($"MAMBA_REFERENCE does not name a folder of reference data; '{relative}' is not among the fixtures.");
        return path;
    }

    /// <summary>The reference files that match a pattern, relative to the root: a test source.</summary>
    public static IEnumerable<string> Files(string folder, string pattern)
    {
        string path = System.IO.Path.Combine(s_root ?? s_fixtures, folder);
        if (!Directory.Exists(path)) return [];
        return Directory.EnumerateFiles(path, pattern)
            .Order(StringComparer.Ordinal).Select(f => System.IO.Path.GetRelativePath(s_root ?? s_fixtures, f));
    }
}
