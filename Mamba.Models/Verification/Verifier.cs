using Mamba.Core.Checkpoints;

namespace Mamba.Models.Verification;

/// <summary>Runs golden files of operators (safetensors) and of models (JSON).</summary>
public static class Verifier
{
    /// <summary>The golden files under the given paths: files as they stand, folders searched to any depth in ordinal order.</summary>
    /// <param name="paths">Files or folders.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <returns>The files.</returns>
    /// <exception cref="FileNotFoundException">A path does not exist, is no golden file, or a folder holds none.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<string> Find(IEnumerable<string> paths, CancellationToken cancellation = default)
    {
        List<string> files = [];
        foreach (string path in paths)
        {
            if (File.Exists(path))
                files.Add(IsGolden(path) ? path : throw new FileNotFoundException($"{path}: expected a .safetensors or .json file", path));
            else if (!Directory.Exists(path)) throw new FileNotFoundException($"{path}: no such file or folder", path);
            else
            {
                int before = files.Count;
                files.AddRange(
                    Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories)
                        .Where(found => IsGolden(found, cancellation)).Order(StringComparer.Ordinal));
                if (files.Count == before) throw new FileNotFoundException($"{path}: no .safetensors or .json file in it", path);
            }
        }
        return files;
    }

    /// <summary>Runs the cases of one file.</summary>
    /// <param name="file">A golden file.</param>
    /// <param name="cancellation">Stops between cases, and between the steps of one.</param>
    /// <returns>A verdict per case; a file that is malformed or cannot be read is one failed case under the file's name.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<VerificationResult> Run(string file, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        try
        {
            return file.EndsWith(".json", StringComparison.Ordinal) ? ModelGolden.Run(file, cancellation) : [OperatorGolden.Run(file)];
        }
        catch (CheckpointException e)
        {
            return [VerificationResult.Failed(file, Path.GetFileNameWithoutExtension(file), e.Message)];
        }
    }

    private static bool IsGolden(string path, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return IsGolden(path);
    }

    private static bool IsGolden(string path) =>
        path.EndsWith(".safetensors", StringComparison.Ordinal) || path.EndsWith(".json", StringComparison.Ordinal);
}
