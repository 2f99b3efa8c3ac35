namespace Mamba.Tests.Support;

/// <summary>The sources that the tests were built from.</summary>
internal static class SourceTree
{
    /// <summary>The folder of the solution. A test that asks for it is skipped where the tests run without the sources.</summary>
    public static string Root
    {
        get
        {
            for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
                if (File.Exists(Path.Combine(folder.FullName, "Mamba.sln"))) return folder.FullName;
            Assert.Ignore("The sources do not lie above the folder of the tests.");
            return "";
        }
    }

    /// <summary>The C# files below a folder of the solution, without what a build wrote, in ordinal order.</summary>
    /// <param name="folder">A folder, relative to <see cref="Root"/>.</param>
    /// <returns>Paths relative to <see cref="Root"/>, with '/' between folders.</returns>
    public static IEnumerable<string> Files(string folder) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Root, path).Replace(Path.DirectorySeparatorChar, '/'))
            .Where(path => !path.Split('/').Any(part => part is "bin" or "obj"))
            .Order(StringComparer.Ordinal);
}
