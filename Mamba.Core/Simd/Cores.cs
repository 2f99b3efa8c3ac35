using System.Globalization;

namespace Mamba.Core.Simd;

/// <summary>
/// The cores that are worth a thread. Boards pair fast cores with small ones of a third of their speed. Linux tells the capacity of each
/// core on ARM64, and elsewhere its highest clock.
/// </summary>
internal static class Cores
{
    /// <summary>The fast cores of this machine, at most the processors that the process may use.</summary>
    public static int Fast { get; } = CountFast("/sys/devices/system/cpu", Environment.ProcessorCount);

    /// <summary>
    /// The cores of more than half the largest capacity or clock below a folder of the system; all where it does not tell.
    /// </summary>
    internal static int CountFast(string folder, int processors)
    {
        long[] speeds = Read(folder, "cpu_capacity");
        if (speeds.Length == 0) speeds = Read(folder, Path.Combine("cpufreq", "cpuinfo_max_freq"));
        if (speeds.Length == 0) return processors;
        long fastest = speeds.Max();
        return Math.Clamp(speeds.Count(speed => 2 * speed > fastest), 1, processors);
    }

    /// <summary>One number of each core; none where one cannot be read.</summary>
    private static long[] Read(string folder, string file)
    {
        try
        {
            return
            [
                .. Directory.EnumerateDirectories(folder, "cpu*").Where(core => int.TryParse(Path.GetFileName(core)[3..], out int _))
                    .Select(core => long.Parse(File.ReadAllText(Path.Combine(core, file)), CultureInfo.InvariantCulture)),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or OverflowException)
        {
            return [];
        }
    }
}
