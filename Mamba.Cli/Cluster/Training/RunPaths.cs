using Mamba.Cli.Cluster.Wire;
using Mamba.Models.Data.Sets;
using Mamba.Models.Training;

namespace Mamba.Cli.Cluster.Training;

/// <summary>The files and folders that a node has to have to prepare a run.</summary>
internal static class RunPaths
{
    /// <summary>
    /// Those of a run. First weights are none of them, nor is a file of the split: the coordinator sends what follows from them.
    /// </summary>
    public static RunPath[] Of(RunArguments run)
    {
        string? root = Directory.Exists(run.Data) ? run.Data : null;
        DataOptions data = run.DataOptions;
        List<RunPath> paths = [];
        if (run.Data != RunArguments.Synthetic)
            paths.Add(new RunPath("--data", run.Data, null, root is null ? Path.GetFileName(run.Data) : null));
        // Both name folders of the data, and a relative name needs no change.
        foreach ((string option, string? folder) in new[] { ("--images", data.Images), ("--masks", data.Masks) })
            if (folder is not null && Path.IsPathRooted(folder)) paths.Add(new RunPath(option, folder, Below(root, folder), null));
        foreach ((string option, string? file) in
            new[] { ("--labels", data.Labels), ("--patients", data.Patients), ("--teacher", run.Teacher) })
            if (file is not null) paths.Add(new RunPath(option, file, Below(root, file), Path.GetFileName(file)));
        return [.. paths];
    }

    private static string? Below(string? root, string path)
    {
        if (root is null) return null;
        string below = Path.GetRelativePath(root, path).Replace(Path.DirectorySeparatorChar, '/');
        return FileList.IsSafe(below) && !Path.IsPathRooted(below) ? below : null;
    }
}
