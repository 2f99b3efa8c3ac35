using System.Net;
using Mamba.Cli;
using Mamba.Cli.Cluster;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Training;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Cluster;

/// <summary>The parts of a cluster one by one: shares of a step, pieces of weights, options, figures.</summary>
internal sealed class PartTests
{
    [TestCase(new double[] { 1, 1 }, 8, new[] { 4, 4 })]
    [TestCase(new double[] { 3, 1 }, 8, new[] { 6, 2 })]
    [TestCase(new double[] { 1, 0.01, 1 }, 4, new[] { 2, 0, 2 })]
    [TestCase(new double[] { 1, 1, 1, 1, 1 }, 2, new[] { 1, 1, 0, 0, 0 })]
    public void Shards_go_to_who_is_done_first(double[] speeds, int shards, int[] expected) =>
        Assert.That(Shares.Of([.. speeds.Select(s => (double?)s)], shards), Is.EqualTo(expected));

    [Test]
    public void An_unknown_speed_counts_as_the_mean()
    {
        Assert.That(Shares.Of([null, null, null], 6), Is.EqualTo(new[] { 2, 2, 2 }));
        Assert.That(Shares.Of([1, 3, null], 12), Is.EqualTo(new[] { 2, 6, 4 }));
    }

    /// <summary>A model whose weights are several pieces, the last one shorter.</summary>
    [Test]
    public void Weights_travel_in_pieces()
    {
        ModelEntry unet = Registry.Find("unet");
        using VisionModel from = unet.Create(unet.Config with { Width = 24 }, 1), to = unet.Create(unet.Config with { Width = 24 }, 2);
        WeightBytes weights = new(from.Parameters);
        byte[][] pieces = weights.Read(null);
        Assert.That(pieces, Has.Length.GreaterThan(2));
        Assert.That(pieces.Sum(p => p.Length), Is.EqualTo(weights.Length));
        Assert.That(weights.Read(pieces), Is.SameAs(pieces), "pieces are used again");
        new WeightBytes(to.Parameters).Write([.. pieces.SelectMany(p => p)]);
        foreach ((string name, Mamba.Core.Tensor tensor) in from.Parameters.All)
            Assert.That(to.Parameters[name].Span.SequenceEqual(tensor.Span), name);
    }

    [TestCase("127.0.0.1", "127.0.0.1:11111")]
    [TestCase("127.0.0.1:99", "127.0.0.1:99")]
    [TestCase("localhost:99", "127.0.0.1:99")]
    [TestCase("localhost", "127.0.0.1:11111")]
    public void Coordinators_are_found_by_host_and_port(string text, string expected) =>
        Assert.That(JoinOptions.EndPoint(text), Is.EqualTo(IPEndPoint.Parse(expected)));

    [TestCase("node --coordinator localhost:x", "--coordinator is 'localhost:x'; expected HOST or HOST:PORT")]
    [TestCase("node --tls-key a.pem", "--tls-certificate, --tls-key and --tls-authority go together")]
    [TestCase("train --nods 3", "--nods: unknown option of 'train'")]
    [TestCase("dev -- verify", "dev runs train, infer, eval or study")]
    [TestCase("infer a.png --weights w.safetensors", "--out is missing")]
    [TestCase("train --data induction --port 28111", "models of sequences are trained on one machine")]
    public void Wrong_words_are_told_in_a_line(string words, string expected)
    {
        StringWriter said = new();
        Assert.That(Mamba.Cli.Cluster.Program.Run(words.Split(' '), new Terminal(said, said), CancellationToken.None), Is.EqualTo(2));
        Assert.That(said.ToString(), Does.StartWith("mamba-cluster: ").And.Contain(expected));
    }

    [Test]
    public void Two_tables_are_one_too_many()
    {
        Environment.SetEnvironmentVariable(Membership.RedisVariable, "a");
        Environment.SetEnvironmentVariable(Membership.PostgresVariable, "b");
        try
        {
            Assert.That(
                () => Membership.FromEnvironment(new IPEndPoint(IPAddress.Loopback, 1)),
                Throws.ArgumentException.With.Message.Contain("both"));
        }
        finally
        {
            Environment.SetEnvironmentVariable(Membership.RedisVariable, null);
            Environment.SetEnvironmentVariable(Membership.PostgresVariable, null);
        }
    }

    [Test]
    public void Prometheus_reads_the_figures_of_nodes()
    {
        string page = "";
        int port = ClusterSilo.FreePort();
        using InProcess cluster = new()
        {
            MetricsPort = port,
            HoldUntil = _ => page.Contains("mamba_cluster_nodes 1\n", StringComparison.Ordinal),
            Started = (_, _) => Task.Run(async () =>
            {
                using HttpClient client = new();
                while (!page.Contains("mamba_cluster_nodes 1\n", StringComparison.Ordinal))
                {
                    try
                    {
                        page = await client.GetStringAsync($"http://127.0.0.1:{port}/metrics");
                    }
                    catch (HttpRequestException)
                    {
                        await Task.Delay(20);
                    }
                }
            }),
        };
        Outcome outcome = cluster.Train(
            "--model unet --width 4 --depth 2 --size 32 --limit 60 --epochs 2 --optimizer sgd --batch 8 --shard 1", 1);
        Assert.That(outcome.Code, Is.Zero, outcome.Output);
        Assert.That(page, Does.Contain("# TYPE mamba_cluster_shards_total counter"));
        Assert.That(page, Does.Contain("mamba_cluster_sent_bytes_total{node=\"n0\"}"));
        Assert.That(outcome.Output, Does.Contain("cluster: 1 nodes computed"));
    }
}
