using Mamba.Cli.Cluster;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Wire;

namespace Mamba.Tests.Cluster;

/// <summary>
/// A node that would give other bits does not take part, and both sides say why. A coordinator without a cluster writes nothing.
/// </summary>
[NonParallelizable]
internal sealed class RefusalTests
{
    private const string Words = "--model unet --width 4 --depth 2 --size 32 --limit 60 --epochs 1 --optimizer sgd --batch 8 --shard 1";

    [Test]
    public void Another_vector_width_is_refused() => Refuse(
        new Likeness(Build.Program, "v64", ""),
        $"the node has vector width v64, the coordinator {Build.Width}; set MAMBA_ISA={Build.Width}");

    [Test]
    public void Another_program_is_refused() => Refuse(
        new Likeness("mamba 9.9.9 build 0-0", Build.Width, ""), $"the node runs mamba 9.9.9 build 0-0, the coordinator {Build.Program}");

    [Test]
    public void Another_image_is_refused()
    {
        using InProcess cluster = new();
        string data = Path.Combine(cluster.Root, "data"), other = Path.Combine(cluster.Root, "other");
        InProcess.WriteData(data, changed: -1);
        InProcess.WriteData(other, changed: 3);
        string words = Words.Replace("--limit 60", $"--data {data}");
        Outcome alone = cluster.Alone(words);
        Assert.That(alone.Code, Is.Zero, alone.Output);
        using (InProcess wrong = new() { NodeData = other, WaitFor = 0, HoldUntil = InProcess.Refused })
        {
            Outcome spread = wrong.Train(words, 1);
            Assert.That(spread.Code, Is.Zero, spread.Output);
            Assert.That(
                spread.Output, Does.Contain("node n0 does not take part: the node's data or split is other than the coordinator's"));
            Assert.That(spread.Figures!.Remote, Is.Zero);
        }
        string copy = Path.Combine(cluster.Root, "copy");
        InProcess.WriteData(copy, changed: -1);
        using InProcess right = new() { NodeData = copy };
        Outcome same = right.Train(words, 1);
        Assert.That(same.Hash, Is.EqualTo(alone.Hash), same.Output);
        Assert.That(same.Figures!.Remote, Is.GreaterThan(0));
    }

    [Test]
    public void A_coordinator_that_was_declared_dead_writes_nothing_more()
    {
        using InProcess cluster = new()
        {
            WaitFor = 2,
            Started = (coordinator, nodes) => Task.Run(async () =>
            {
                await Task.Delay(1000);
                // What nodes do that do not hear of the coordinator.
                ClusterSilo node = nodes[0];
                await node.Membership.TryKill(node.Membership.CurrentSnapshot.Members.Values
                    .Single(m => m.SiloAddress.Endpoint.Port == coordinator.Address.Port).SiloAddress);
            }),
        };
        string run = cluster.NewRun();
        Outcome outcome = cluster.Execute(
            ["train", .. Words.Replace("--epochs 1", "--epochs 100000").Split(' '), "--threads", "1", "--out", run], 2);
        Assert.That(outcome.Code, Is.EqualTo(2), outcome.Output);
        Assert.That(outcome.Output, Does.Contain("mamba-cluster: this silo belongs to its cluster no more, and writes nothing"));
        Assert.That(Directory.GetFiles(run, "*.tmp", SearchOption.AllDirectories), Is.Empty);
        // Another coordinator goes on from the last checkpoint.
        using InProcess next = new();
        Outcome again = next.Execute(["train", "--resume", run, "--epochs", Epochs(run), "--threads", "1"], 1);
        Assert.That(again.Code, Is.Zero, again.Output);
    }

    /// <summary>An epoch or two more than a run has done, which may be none.</summary>
    private static string Epochs(string run)
    {
        string results = Path.Combine(run, "results.csv");
        return $"{(File.Exists(results) ? File.ReadAllLines(results).Length : 0) + 1}";
    }

    private static void Refuse(Likeness node, string reason)
    {
        using InProcess cluster = new() { NodeSelf = node, WaitFor = 0, HoldUntil = InProcess.Refused };
        string words = Words.Replace("--epochs 1", "--epochs 2");
        Outcome alone = cluster.Alone(words), spread = cluster.Train(words, 1);
        Assert.That(spread.Output, Does.Contain("n0: refuses the run: " + reason).And.Contain("node n0 does not take part: " + reason));
        Assert.That(spread.Figures!.Remote, Is.Zero);
        Assert.That(spread.Hash, Is.EqualTo(alone.Hash), "the run goes on without it");
    }
}
