using System.Security.Cryptography;

namespace Mamba.Kill;

/// <summary>All of a run that must be the same, whatever happened on the way.</summary>
public static class RunOutcome
{
    /// <summary>Hashes of the weights, and the results without their two columns of time.</summary>
    /// <param name="run">The run's folder.</param>
    /// <returns>Lines.</returns>
    /// <exception cref="KillException">A temporary file was left behind.</exception>
    public static string Of(string run)
    {
        if (Directory.GetFiles(run, "*.tmp", SearchOption.AllDirectories) is [var left, ..])
            throw new KillException($"{left} was left behind");
        IEnumerable<string> hashes = new[] { "last", "best" }.Select(name =>
            $"{name} {Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(run, "weights", name + ".safetensors"))))}");
        IEnumerable<string> results = File.ReadLines(Path.Combine(run, "results.csv"))
            .Select(line => string.Join(',', line.Split(',')[..^2]));
        return string.Join('\n', hashes.Concat(results));
    }
}
