namespace Mamba.Tests.Cluster;

/// <summary>A training on a cluster ends with the weights of one machine, to the bit.</summary>
[NonParallelizable]
internal sealed class TrainingTests
{
    private const string UNet = "--model unet --width 4 --depth 2 --size 32 --limit 60 --epochs 2 --optimizer sgd --lr 0.01";

    private InProcess _cluster = null!;

    [SetUp]
    public void SetUp() => _cluster = new InProcess();

    [TearDown]
    public void TearDown() => _cluster.Dispose();

    /// <summary>
    /// Batch norm, its statistics per shard; steps of 16 shards, then of 5: 48 training images make a last, shorter step.
    /// </summary>
    [TestCase(UNet + " --batch 16 --shard 1", 0)]
    [TestCase(UNet + " --batch 16 --shard 1", 1)]
    [TestCase(UNet + " --batch 16 --shard 1", 2)]
    [TestCase(UNet + " --batch 16 --shard 1", 4)]
    [TestCase(UNet + " --batch 10 --shard 2", 2)]
    [TestCase("--model ul-vm-unet --size 32 --limit 40 --epochs 2 --batch 8 --shard 1 --ema 0.9 --augment --clip-norm 1", 2)]
    [TestCase("--model vim --width 16 --depth 2 --size 16 --patch 4 --batch 8 --shard 2 --limit 60 --epochs 2 --drop-path 0.2", 2)]
    [TestCase("--model vit --width 24 --depth 1 --size 16 --patch 8 --batch 8 --shard 1 --limit 60 --epochs 2 --mixup 0.2", 1)]
    [TestCase(UNet + " --batch 8 --shard 1 --freeze encoder*", 1)]
    public void Weights_are_those_of_one_machine(string words, int nodes)
    {
        Outcome alone = _cluster.Alone(words), spread = _cluster.Train(words, nodes);
        Assert.That(alone.Code, Is.Zero, alone.Output);
        Assert.That(spread.Code, Is.Zero, spread.Output);
        Assert.That(spread.Hash, Is.EqualTo(alone.Hash).And.Length.EqualTo(64), spread.Output);
        Assert.That(spread.Figures!.All, Has.Count.EqualTo(nodes + 1));
        if (nodes > 0) Assert.That(spread.Figures.Remote, Is.GreaterThan(0), "nodes have computed shards");
        Assert.That(spread.Figures.Recomputed, Is.Zero);
    }

    /// <summary>A step with a loss that is not finite is skipped, wherever the shard was computed.</summary>
    [Test]
    public void A_step_is_skipped_for_the_same_reason()
    {
        const string words = UNet + " --batch 8 --shard 1 --on-nonfinite skip --loss bce";
        string wild = words.Replace("--lr 0.01", "--lr 1e18");
        Outcome alone = _cluster.Alone(wild), spread = _cluster.Train(wild, 2);
        Assert.That(Skips(spread), Is.EqualTo(Skips(alone)).And.Not.Empty, spread.Output);
        Assert.That(spread.Hash, Is.EqualTo(alone.Hash));

        static string[] Skips(Outcome outcome) =>
            [.. outcome.Output.Split('\n').Where(line => line.StartsWith("skipped", StringComparison.Ordinal))];
    }

    /// <summary>Nodes come when the run is under way.</summary>
    [Test]
    public void A_node_that_joins_later_takes_part_from_the_next_step()
    {
        const string words = UNet + " --batch 8 --shard 1";
        using InProcess late = new()
        {
            WaitFor = 0,
            HoldUntil = said => said.Contains("node n0 has joined", StringComparison.Ordinal),
        };
        Outcome alone = late.Alone(words), joined = late.Train(words, 2);
        Assert.That(joined.Hash, Is.EqualTo(alone.Hash), joined.Output);
        Assert.That(joined.Figures!.Remote, Is.GreaterThan(0).And.LessThan(joined.Figures.All.Sum(n => n.Shards)));
    }

    [Test]
    public void A_run_of_the_cluster_is_resumed_on_one_machine_and_back()
    {
        const string words = UNet + " --batch 8 --shard 1 --schedule constant"; // a cosine depends on the number of epochs
        string run = _cluster.NewRun();
        string[] two = ["train", .. words.Split(' '), "--threads", "1", "--out", run];
        Outcome whole = _cluster.Alone(words.Replace("--epochs 2", "--epochs 4"));
        Assert.That(_cluster.Execute(two, 1).Code, Is.Zero);
        Outcome resumed = _cluster.Execute(["train", "--resume", run, "--epochs", "4", "--threads", "1"], 2);
        Assert.That(resumed.Code, Is.Zero, resumed.Output);
        Assert.That(resumed.Figures!.Remote, Is.GreaterThan(0));
        Assert.That(resumed.Hash, Is.EqualTo(whole.Hash));
    }
}
