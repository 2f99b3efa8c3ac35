using Mamba.ClusterKill;
using Mamba.Kill;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cluster;

/// <summary>A short run of the harness in Mamba.Tests/ClusterKill, which deals 100 blows when it is run by itself.</summary>
[NonParallelizable, Platform("Unix", Reason = "signals are sent by /bin/kill")]
internal sealed class KillTests
{
    [Test]
    public void Killed_and_stopped_processes_change_no_bit()
    {
        using TemporaryFolder folder = new();
        ClusterKillReport report = new ClusterKillHarness(folder.Root, seed: 2, TestContext.Out.WriteLine).Run(blows: 4);
        Assert.That(report.Blows, Is.GreaterThanOrEqualTo(4));
        Assert.That(report.Nodes, Is.GreaterThan(0));
    }

    [Test]
    public void A_cluster_on_one_machine_ends_with_its_parent()
    {
        using TemporaryFolder folder = new();
        string run = Path.Combine(folder.Root, "run");
        using ProgramProcess parent = new(
            "mamba-cluster",
            [
                "dev", "--silos", "2", "--", "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--limit", "60",
                "--batch", "8", "--shard", "1", "--epochs", "100000", "--threads", "1", "--out", run,
            ]);
        Assert.That(parent.WaitFor("node node1 has joined"), string.Join('\n', parent.Lines));
        Assert.That(parent.WaitFor("epoch   1"), string.Join('\n', parent.Lines));
        string child = Children(parent.Id).Single();
        parent.Kill();
        for (int i = 0; i < 1200 && Directory.Exists(child); i++) Thread.Sleep(50);
        Assert.That(Directory.Exists(child), Is.False, "the node ends by itself");
    }

    private static IEnumerable<string> Children(int parent) => Directory.GetDirectories("/proc").Where(process =>
    {
        try
        {
            return int.TryParse(Path.GetFileName(process), out _)
                && File.ReadAllText(Path.Combine(process, "stat")).Split(") ")[^1].Split(' ')[1] == $"{parent}";
        }
        catch (IOException)
        {
            return false; // it has ended meanwhile
        }
    });
}
