using Mamba.Kill;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cluster;

/// <summary>Verbs in parts, on clusters of processes.</summary>
[NonParallelizable, Platform("Unix", Reason = "signals are sent by /bin/kill")]
internal sealed class JobTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TemporaryFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Pictures_and_scores_of_a_cluster_are_those_of_one_machine()
    {
        string weights = Weights(), images = Images(12), alone = In("alone"), spread = In("spread");
        Run("infer", images, "--weights", weights, "--out", alone, "--parts", "1", "--port", Port);
        string[] said = Run("dev", "--silos", "3", "--", "infer", images, "--weights", weights, "--out", spread, "--parts", "5");
        Assert.That(said, Has.Some.StartWith("all 5 parts are done: "));
        string[] pictures = [.. Directory.GetFiles(alone, "*.png").Select(p => Path.GetFileName(p)!)];
        Assert.That(pictures, Has.Length.EqualTo(24));
        Assert.That(Directory.GetFiles(spread, "*.png"), Has.Length.EqualTo(24));
        foreach (string picture in pictures)
            Assert.That(
                File.ReadAllBytes(Path.Combine(spread, picture)), Is.EqualTo(File.ReadAllBytes(Path.Combine(alone, picture))), picture);
        Assert.That(File.ReadAllLines(Path.Combine(spread, "predictions.csv")), Has.Length.EqualTo(13), "each image once");

        string[] one = Run("eval", "--weights", weights, "--data", "synthetic", "--out", In("e1"), "--parts", "1", "--port", Port);
        string[] two = Run(
            "dev", "--silos", "2", "--", "eval", "--weights", weights, "--data", "synthetic", "--out", In("e2"), "--parts", "3");
        Assert.That(Scores(two), Is.EqualTo(Scores(one)).And.Length.EqualTo(4));

        static string[] Scores(string[] lines) => [.. lines.SkipWhile(l => !l.Contains("global", StringComparison.Ordinal)).Take(4)];
    }

    [Test]
    public void A_part_whose_node_dies_is_done_by_another_one()
    {
        string weights = Weights(), images = Images(60), port = Port;
        using ProgramProcess node = new(
            "mamba-cluster", ["node", "--coordinator", "127.0.0.1:" + port, "--threads", "1", "--name", "victim"]);
        using ProgramProcess job = new(
            "mamba-cluster",
            ["infer", images, "--weights", weights, "--out", In("out"), "--parts", "60", "--nodes", "1", "--probe", "1", "--port", port]);
        Assert.That(job.WaitFor(": victim"), string.Join('\n', job.Lines.Concat(node.Lines)));
        node.Kill();
        Assert.That(job.WaitForExit(120), Is.True, string.Join('\n', job.Lines));
        Assert.That(job.ExitCode, Is.Zero, string.Join('\n', job.Lines));
        Assert.That(job.Lines, Has.Some.StartWith("all 60 parts are done: "));
        Assert.That(File.ReadAllLines(Path.Combine(In("out"), "predictions.csv")), Has.Length.EqualTo(61));
    }

    [Test]
    public void A_study_runs_on_two_silos()
    {
        string[] said = Run(
            "dev", "--silos", "2", "--", "study", "quick", "--epochs", "1", "--only", "unet-small", "--out", In("study"), "--parts", "2");
        Assert.That(said, Has.Some.StartWith("all 2 parts are done: "));
        Assert.That(Directory.GetFiles(Path.Combine(In("study"), "results"), "*.json"), Has.Length.EqualTo(4));
        Assert.That(File.Exists(Path.Combine(In("study"), "results.json")));
    }

    private static string Port => $"{Mamba.Cli.Cluster.Silos.ClusterSilo.FreePort()}";

    private static string[] Run(params string[] words)
    {
        using ProgramProcess process = new("mamba-cluster", words);
        Assert.That(process.WaitForExit(240), Is.True, string.Join('\n', process.Lines));
        Assert.That(process.ExitCode, Is.Zero, string.Join('\n', process.Lines));
        return process.Lines;
    }

    private string In(string name) => Path.Combine(_folder.Root, name);

    private string Weights()
    {
        Run("train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--limit", "40", "--epochs", "1", "--threads", "1",
            "--port", Port, "--out", In("run"));
        return In("run");
    }

    private string Images(int count)
    {
        for (int n = 0; n < count; n++)
        {
            Image image = new(40, 40, 3);
            for (int i = 0; i < image.Pixels.Length; i++) image.Pixels[i] = (byte)(i * (n + 3) / 7);
            _folder.Write($"images/{n:D2}.png", image);
        }
        return In("images");
    }
}
