using Mamba.Cli;
using Mamba.Cli.Cluster;
using Mamba.Cli.Cluster.Nodes;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Wire;
using Mamba.Kill;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;

namespace Mamba.Tests.Cluster;

/// <summary>Nodes that have no data train along: the coordinator sends it, once.</summary>
[NonParallelizable]
internal sealed class DataTests
{
    private const string Words = "--model unet --width 4 --depth 2 --size 32 --epochs 1 --optimizer sgd --batch 8 --shard 1";

    private InProcess _cluster = null!;

    [SetUp]
    public void SetUp()
    {
        _cluster = new InProcess();
        InProcess.WriteData(Data, changed: -1);
    }

    [TearDown]
    public void TearDown() => _cluster.Dispose();

    private string Data => Path.Combine(_cluster.Root, "data");

    private string Cache => Path.Combine(_cluster.Root, "cache");

    [Test]
    public void A_node_without_the_data_is_sent_it_once()
    {
        string words = $"{Words} --data {Data}";
        Outcome alone = _cluster.Alone(words);
        using InProcess blind = new() { NodeCache = Cache };
        Outcome first = blind.Train(words, 1), second = blind.Train(words, 1);
        Assert.That(first.Hash, Is.EqualTo(alone.Hash).And.Length.EqualTo(64), first.Output);
        Assert.That(first.Output, Does.Match(@"n0: fetches 40 files, [\d.]+ kB, into ").And.Match("\nsends 40 files, .* kB, to n0"));
        Assert.That(first.Output, Does.Match(@"n0: has fetched .* in [\d.]+ s"));
        Assert.That(first.Figures!.Remote, Is.GreaterThan(0));
        Assert.That(second.Hash, Is.EqualTo(alone.Hash), second.Output);
        Assert.That(second.Output, Does.Not.Contain("fetche").And.Not.Contain("sends"));
        Assert.That(second.Output, Does.Contain($"n0: takes part in a run, data in {Only(Cache)}"));
        Assert.That(second.Figures!.Remote, Is.GreaterThan(0));
    }

    /// <summary>Files beside the data are sent as well; those below it are found where it is.</summary>
    [Test]
    public void Files_that_other_options_name_are_sent_too()
    {
        string labels = Path.Combine(_cluster.Root, "labels.txt"), patients = Path.Combine(Data, "patients.csv");
        File.WriteAllLines(labels, ["0 background", "255 lesion"]);
        File.WriteAllLines(patients, Enumerable.Range(0, 20).Select(n => $"{n},p{n / 2}"));
        string words = $"{Words} --data {Data} --labels {labels} --patients {patients} --images {Path.Combine(Data, "images")} --masks "
            + $"{Path.Combine(Data, "masks")} --balance";
        Outcome alone = _cluster.Alone(words);
        Assert.That(alone.Code, Is.Zero, alone.Output);
        string teacher = Path.Combine(_cluster.Root, "run0", "weights", "best.safetensors");
        words += $" --teacher {teacher}";
        alone = _cluster.Alone(words);
        using InProcess blind = new() { NodeCache = Cache };
        Outcome spread = blind.Train(words, 1);
        Assert.That(spread.Hash, Is.EqualTo(alone.Hash).And.Length.EqualTo(64), spread.Output);
        Assert.That(spread.Figures!.Remote, Is.GreaterThan(0), spread.Output);
        Assert.That(Directory.GetFiles(Cache, "*", SearchOption.AllDirectories).Select(Path.GetFileName),
            Has.Exactly(1).EqualTo("labels.txt").And.Exactly(1).EqualTo("patients.csv").And.Exactly(1).EqualTo("best.safetensors"));
    }

    [Test]
    public void Two_nodes_share_a_cache()
    {
        string words = $"{Words} --data {Data}";
        Outcome alone = _cluster.Alone(words);
        using InProcess blind = new() { NodeCache = Cache };
        Outcome spread = blind.Train(words, 2);
        Assert.That(spread.Hash, Is.EqualTo(alone.Hash), spread.Output);
        Assert.That(spread.Figures!.All.Select(node => node.Shards), Has.None.Zero, spread.Output);
        Assert.That(Directory.GetFileSystemEntries(Cache), Has.Length.EqualTo(1), "the parts are gone");
    }

    [Test]
    public void A_fetch_that_broke_off_continues()
    {
        FileList list = FileList.Of(Data, CancellationToken.None);
        using (DataFetch broken = new DataCache(Cache).Fetch(list))
        {
            DataCacheTests.Put(broken, Data, list, 0);
            broken.Put(new FilePiece(1, 0, new byte[1]));
        }
        string words = $"{Words} --data {Data}";
        using InProcess blind = new() { NodeCache = Cache };
        Outcome alone = _cluster.Alone(words), spread = blind.Train(words, 1);
        Assert.That(spread.Hash, Is.EqualTo(alone.Hash), spread.Output);
        Assert.That(spread.Output, Does.Contain("n0: fetches 39 files, "));
        Assert.That(FileList.Of(Only(Cache), CancellationToken.None).Digest, Is.EqualTo(list.Digest));
    }

    [Test]
    public void A_damaged_cache_is_named()
    {
        string words = $"{Words} --data {Data}";
        using InProcess blind = new() { NodeCache = Cache };
        Outcome first = blind.Train(words, 1);
        Assert.That(first.Figures!.Remote, Is.GreaterThan(0), first.Output);
        string image = Path.Combine(Only(Cache), "images", "3.png");
        Image other = ImageFile.Load(image);
        other.Pixels[0]++;
        ImageFile.SavePng(image, other);
        Refused(Cache, words, $"{Only(Cache)} is damaged; delete it, and the node fetches it again");
        Directory.Delete(Only(Cache), recursive: true);
        Outcome again = blind.Train(words, 1);
        Assert.That(again.Hash, Is.EqualTo(first.Hash), again.Output);
        Assert.That(again.Output, Does.Contain("n0: fetches 40 files"));
    }

    [Test]
    public void A_cache_that_cannot_be_written_keeps_the_node_out()
    {
        string file = Path.Combine(_cluster.Root, "file");
        File.WriteAllText(file, "");
        Refused(Path.Combine(file, "cache"), $"{Words} --data {Data}", Path.Combine(file, "cache"));
    }

    [Test]
    public void Data_that_cannot_be_sent_keeps_the_node_out()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("links need a privilege");
        string outside = Path.Combine(_cluster.Root, "outside.txt"), link = Path.Combine(Data, "notes.txt");
        File.WriteAllText(outside, "");
        File.CreateSymbolicLink(link, outside);
        Refused(
            Cache, $"{Words} --data {Data}",
            $"the coordinator cannot send it the data: {link} is a link to {outside}, outside of the data; copy the data to the node",
            "n0: the coordinator sends its data no more");
    }

    [Test]
    public void A_node_without_a_cache_says_so()
    {
        NodeData none = new(null, null) { Exists = _ => false };
        Assert.That(
            () => none.Needs([new RunPath("--data", "/data/scans", null, null)]),
            Throws.TypeOf<ClusterException>().With.Message.EqualTo(
                "--data: the node has no /data/scans; give --cache DIR to fetch it, or --data DIR where the images are"));
    }

    /// <summary>What a user has typed is not looked for elsewhere.</summary>
    [Test]
    public void A_folder_that_the_user_names_is_not_fetched()
    {
        RunPath[] paths = [new("--data", "/data/scans", null, null) { Digest = new string('a', 64) }];
        Directory.CreateDirectory(Path.Combine(Cache, paths[0].Digest!));
        NodeData named = new("/own/scans", new DataCache(Cache)) { Exists = _ => false };
        Assert.That(named.Needs(paths), Is.Empty);
        Assert.That(named.Words(paths), Is.EqualTo(new[] { "--data=/own/scans" }));
        NodeData fetched = new(null, new DataCache(Cache)) { Exists = _ => false };
        Assert.That(fetched.Words(paths), Is.EqualTo(new[] { $"--data={Path.Combine(Cache, paths[0].Digest!)}" }));
        NodeData there = new(null, new DataCache(Cache)) { Exists = path => path == "/data/scans" };
        Assert.That(there.Words(paths), Is.Empty, "the coordinator's own path is used as it is");
    }

    /// <summary>An empty folder is a place for a disk that is not mounted.</summary>
    [Test]
    public void An_empty_folder_is_no_data()
    {
        string empty = Path.Combine(_cluster.Root, "empty");
        Directory.CreateDirectory(empty);
        NodeData own = new(null, new DataCache(Cache));
        Assert.That(own.Needs([new RunPath("--data", empty, null, null)]), Is.EqualTo(new[] { "--data" }));
        Assert.That(own.Needs([new RunPath("--data", Data, null, null)]), Is.Empty);
    }

    /// <summary>The program itself: a path that each process sees differently.</summary>
    [Test, Platform("Linux", Reason = "/proc/self/cwd is another folder for each process")]
    public void The_program_fetches_into_its_cache()
    {
        string port = $"{ClusterSilo.FreePort()}", run = Path.Combine(_cluster.Root, "run"), empty = Path.Combine(_cluster.Root, "empty");
        Directory.CreateDirectory(empty);
        using ProgramProcess node = new(
            "mamba-cluster", ["node", "--coordinator", $"127.0.0.1:{port}", "--threads", "1", "--name", "far", "--cache", Cache], empty);
        using ProgramProcess train = new(
            "mamba-cluster",
            ["train", .. Words.Split(' '), "--data", "/proc/self/cwd/data", "--threads", "1", "--port", port, "--nodes", "1", "--out", run],
            _cluster.Root);
        Assert.That(train.WaitForExit(120), Is.True, string.Join('\n', train.Lines.Concat(node.Lines)));
        Assert.That(train.Lines, Has.Some.Match("^sends 40 files, .* to far$").And.Some.StartWith("node far has joined"));
        Assert.That(node.Lines, Has.Some.StartWith("far: fetches 40 files, "));
        Assert.That(Only(Cache), Does.Exist);
    }

    /// <summary>The one folder in a cache.</summary>
    private static string Only(string cache) => Directory.GetDirectories(cache).Single();

    /// <summary>Trains with a node that does not take part, and says why; the run goes on without it.</summary>
    private static void Refused(string cache, string words, string reason, string? node = null)
    {
        using InProcess refused = new() { NodeCache = cache, WaitFor = 0, HoldUntil = InProcess.Refused };
        Outcome spread = refused.Train(words.Replace("--epochs 1", "--epochs 2"), 1);
        Assert.That(spread.Code, Is.Zero, spread.Output);
        Assert.That(spread.Output, Does.Contain("node n0 does not take part: ").And.Contain(reason));
        Assert.That(spread.Output, Does.Contain(node ?? "n0: refuses the run: "));
        Assert.That(spread.Figures!.Remote, Is.Zero);
    }
}
