using System.Globalization;

namespace Mamba.Core.Simd;

/// <summary>
/// The cores that are worth a thread. Some boards pair fast cores with small ones of a third of their speed. Linux reports the capacity of
/// each core on ARM64, elsewhere its maximum clock.
/// </summary>
internal static class Cores
{
    /// <summary>The fast cores of this machine, at most the processors that the process may use.</summary>
    public static int Fast { get; } = CountFast("/sys/devices/system/cpu", Environment.ProcessorCount);

    /// <summary>
    /// The number of cores above half the largest capacity or clock, read below a sysfs folder; all processors if it reports neither.
    /// </summary>
    internal static int CountFast(string folder, int processors)
    {
        long[] speeds = Read(folder, "cpu_capacity");
        if (speeds.Length == 0) speeds = Read(folder, Path.Combine("cpufreq", "cpuinfo_max_freq"));
        if (speeds.Length == 0) return processors;
        long fastest = speeds.Max();
        return Math.Clamp(speeds.Count(speed => 2 * speed > fastest), 1, processors);
    }

    /// <summary>One value per core; empty if one cannot be read.</summary>
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
