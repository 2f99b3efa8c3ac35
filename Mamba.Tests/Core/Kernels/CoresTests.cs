using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>The cores that get a thread, from what Linux tells.</summary>
internal sealed class CoresTests
{
    [TestCase("cpu_capacity", "1024 1024 530 530 397 397 397 397", 8, 4)]
    [TestCase("cpu_capacity", "446 446 1024 1024 1024 1024", 6, 4)]
    [TestCase("cpu_capacity", "1024 1024 1024 1024", 4, 4)]
    [TestCase("cpu_capacity", "1024 1024 1024 1024", 2, 2)]
    [TestCase("cpufreq/cpuinfo_max_freq", "2400000 2400000 1000000 1000000", 4, 2)]
    [TestCase("cpufreq/cpuinfo_max_freq", "5200000 5200000 3900000 3900000", 4, 4)]
    [TestCase("cpu_capacity", "1024 none", 2, 2)]
    [TestCase("other", "1 2", 2, 2)]
    public void Slow_cores_are_left_out_where_the_system_tells(string file, string speeds, int processors, int fast)
    {
        using TemporaryFolder folder = new();
        foreach ((int core, string speed) in speeds.Split(' ').Index())
        {
            string path = Path.Combine(folder.Root, $"cpu{core}", file);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, speed + "\n");
        }
        Directory.CreateDirectory(Path.Combine(folder.Root, "cpufreq"));
        Assert.That(Cores.CountFast(folder.Root, processors), Is.EqualTo(fast));
    }

    [Test]
    public void A_system_that_tells_nothing_uses_all_its_processors() =>
        Assert.That(Cores.CountFast(Path.Combine(Path.GetTempPath(), "no such folder"), 6), Is.EqualTo(6));

    [Test]
    public void This_machine_has_at_least_one() => Assert.That(Cores.Fast, Is.InRange(1, Environment.ProcessorCount));
}
