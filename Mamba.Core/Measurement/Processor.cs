using System.Runtime.InteropServices;

namespace Mamba.Core.Measurement;

/// <summary>The processor of the measurements.</summary>
public static class Processor
{
    /// <summary>Its name as reported by the system, or its architecture.</summary>
    public static string Name { get; } =
        FromLinux() ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? RuntimeInformation.ProcessArchitecture.ToString();

    private static string? FromLinux()
    {
        const string Path = "/proc/cpuinfo";
        if (!File.Exists(Path)) return null;
        string? line = File.ReadLines(Path).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal));
        return line?[(line.IndexOf(':') + 1)..].Trim();
    }
}
