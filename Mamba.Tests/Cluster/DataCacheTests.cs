using Mamba.Cli;
using Mamba.Cli.Cluster;
using Mamba.Cli.Cluster.Nodes;
using Mamba.Cli.Cluster.Training;
using Mamba.Cli.Cluster.Wire;
using Mamba.Core.Checkpoints;
using Mamba.Tests.Support;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mamba.Tests.Cluster;

/// <summary>Lists of files, the cache that they come into, and what is sent; without a cluster.</summary>
internal sealed class DataCacheTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void SetUp()
    {
        _folder = new TemporaryFolder();
        _folder.Write("data/a.bin", new byte[WeightBytes.PieceLength * 2 + 3]);
        _folder.Write("data/below/b.bin", [1, 2, 3]);
        _folder.Write("data/below/empty", []);
    }

    [TearDown]
    public void TearDown() => _folder.Dispose();

    private string Data => Path.Combine(_folder.Root, "data");

    private DataCache Cache => new(Path.Combine(_folder.Root, "cache"));

    /// <summary>Hands a whole file to a fetch.</summary>
    internal static void Put(DataFetch fetch, string root, FileList list, int file) =>
        fetch.Put(new FilePiece(file, 0, File.ReadAllBytes(FileList.Below(root, list.Files[file].Name))));

    [Test]
    public void A_list_does_not_depend_on_where_the_files_are()
    {
        FileList list = List();
        Assert.That(list.Files.Select(f => f.Name), Is.EqualTo(new[] { "a.bin", "below/b.bin", "below/empty" }));
        string other = Path.Combine(_folder.Root, "other");
        Directory.Move(Data, other);
        Assert.That(FileList.Of(other, CancellationToken.None).Digest, Is.EqualTo(list.Digest));
        File.WriteAllBytes(Path.Combine(other, "below", "b.bin"), [1, 2, 4]);
        Assert.That(FileList.Of(other, CancellationToken.None).Digest, Is.Not.EqualTo(list.Digest));
    }

    /// <summary>Hidden files are no data, nor is a run that is written among the images.</summary>
    [Test]
    public void What_is_no_data_is_not_listed()
    {
        string digest = List().Digest;
        _folder.Write("data/.hidden/x", [1]);
        _folder.Write("data/runs/1/args.json", [1]);
        _folder.Write("data/runs/1/split.json", [1]);
        _folder.Write("data/runs/1/weights/last", [1]);
        Assert.That(List().Digest, Is.EqualTo(digest));
        _folder.Write("data/runs/2/args.json", [1]);
        Assert.That(List().Digest, Is.Not.EqualTo(digest));
    }

    [Test]
    public void A_file_is_listed_alone_but_a_file_of_EMNIST_with_its_set()
    {
        string file = _folder.Write("sets/a.npz", [1]);
        _folder.Write("sets/b.npz", [2]);
        Assert.That(FileList.Of(file, CancellationToken.None).Files.Select(f => f.Name), Is.EqualTo(new[] { "a.npz" }));
        string letters = _folder.Write("sets/emnist-letters-train-images-idx3-ubyte", [1]);
        _folder.Write("sets/emnist-letters-mapping.txt", [1]);
        _folder.Write("sets/emnist-digits-train-images-idx3-ubyte", [1]);
        Assert.That(
            FileList.Of(letters, CancellationToken.None).Files.Select(f => f.Name),
            Is.EqualTo(new[] { "emnist-letters-mapping.txt", "emnist-letters-train-images-idx3-ubyte" }));
    }

    [Test]
    public void Links_stay_in_the_folder_or_are_refused()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("links need a privilege");
        File.CreateSymbolicLink(Path.Combine(Data, "link"), Path.Combine("below", "b.bin"));
        Directory.CreateSymbolicLink(Path.Combine(Data, "folder"), Path.Combine(Data, "below"));
        Directory.CreateSymbolicLink(Path.Combine(Data, "above"), "..");
        Assert.That(List().Files.Select(f => f.Name), Is.EqualTo(new[] { "a.bin", "below/b.bin", "below/empty", "link" }));
        string alias = Path.Combine(_folder.Root, "alias"), link = Path.Combine(Data, "out");
        Directory.CreateSymbolicLink(alias, Data);
        Assert.That(FileList.Of(alias, CancellationToken.None).Digest, Is.EqualTo(List().Digest), "a link to the folder is the folder");
        _folder.Write("outside/x", [1]);
        Directory.CreateSymbolicLink(link, Path.Combine(_folder.Root, "outside"));
        Assert.That(List, Throws.TypeOf<ClusterException>().With.Message.Contains($"{link} is a link to "));
        Directory.Delete(link);
        File.CreateSymbolicLink(link, Path.Combine(_folder.Root, "outside", "x"));
        Assert.That(List, Throws.TypeOf<ClusterException>().With.Message.Contains($"{link} is a link to "));
    }

    [TestCase("../x")]
    [TestCase("a/../../x")]
    [TestCase("/etc/x")]
    [TestCase("a\0b")]
    [TestCase("C:/x")]
    [TestCase("a\\..\\..\\x")]
    [TestCase("a//b")]
    [TestCase("./x")]
    [TestCase("")]
    public void A_name_that_leads_elsewhere_is_refused(string name)
    {
        ListedFile[] files = [new ListedFile(name, 1, Sha256.HashData([7]))];
        string before = Entries();
        Assert.That(
            () => Cache.Fetch(new FileList(FileList.DigestOf(files), files)),
            Throws.TypeOf<ClusterException>().With.Message.Contains("expected a name below the folder of the data"));
        Assert.That(Entries(), Is.EqualTo(before), "nothing is written");
    }

    [Test]
    public void A_list_that_is_not_what_its_digest_says_is_refused()
    {
        FileList list = List();
        Assert.That(() => Cache.Fetch(list with { Digest = "../" + list.Digest[3..] }), Throws.TypeOf<ClusterException>());
        Assert.That(() => Cache.Fetch(list with { Files = list.Files[1..] }), Throws.TypeOf<ClusterException>());
        Assert.That(Cache.Find("../data"), Is.Null);
        Assert.That(Directory.Exists(Cache.Folder), Is.False);
    }

    [Test]
    public void A_fetch_that_broke_off_keeps_the_files_that_are_whole()
    {
        FileList list = List();
        using (DataFetch broken = Cache.Fetch(list))
        {
            Put(broken, Data, list, 1);
            broken.Put(new FilePiece(0, 5, new byte[10]));
            Assert.That(broken.Finish, Throws.TypeOf<ClusterException>().With.Message.EqualTo("2 of 3 files have not come"));
        }
        string part = Directory.GetDirectories(Cache.Folder).Single();
        Assert.That(Cache.Find(list.Digest), Is.Null, "half of the data is none");
        File.WriteAllText(Path.Combine(part, "lock"), ""); // what a process leaves that was killed
        DataFetch next = Cache.Fetch(list);
        Assert.That(next.Missing, Is.EqualTo(new[] { 0, 2 }));
        Assert.That(next.Words, Is.EqualTo("2 files, 131.1 kB"));
        Put(next, Data, list, 0);
        Put(next, Data, list, 2);
        Assert.That(next.Finish(), Is.EqualTo(Cache.Find(list.Digest)));
        Assert.That(Directory.GetFileSystemEntries(Cache.Folder), Is.EqualTo(new[] { Cache.Find(list.Digest) }));
        Assert.That(FileList.Of(Cache.Find(list.Digest)!, CancellationToken.None).Digest, Is.EqualTo(list.Digest));
    }

    /// <summary>A whole file that has changed while nobody fetched is no whole file.</summary>
    [Test]
    public void What_a_broken_fetch_has_left_is_checked()
    {
        FileList list = List();
        using (DataFetch broken = Cache.Fetch(list)) Put(broken, Data, list, 1);
        string left = Directory.GetFiles(Cache.Folder, "b.bin", SearchOption.AllDirectories).Single();
        File.WriteAllBytes(left, [1, 2, 4]);
        using DataFetch next = Cache.Fetch(list);
        Assert.That(next.Missing, Is.EqualTo(new[] { 0, 1, 2 }));
    }

    [Test]
    public void Two_fetches_at_once_do_not_spoil_each_other()
    {
        FileList list = List();
        DataFetch first = Cache.Fetch(list), second = Cache.Fetch(list);
        foreach (int i in new[] { 0, 1, 2 })
        {
            Put(first, Data, list, i);
            Put(second, Data, list, i);
        }
        string one = first.Finish(), two = second.Finish();
        Assert.That(two, Is.EqualTo(one));
        Assert.That(FileList.Of(one, CancellationToken.None).Digest, Is.EqualTo(list.Digest));
        Assert.That(Directory.GetFileSystemEntries(Cache.Folder), Is.EqualTo(new[] { one }));
    }

    [Test]
    public void Pieces_that_do_not_belong_are_refused()
    {
        FileList list = List();
        using DataFetch fetch = Cache.Fetch(list);
        FilePiece[] others = [new(3, 0, [1]), new(-1, 0, [1]), new(1, -1, [1]), new(1, 3, [1]), new(1, 0, new byte[4])];
        foreach (FilePiece piece in others)
            Assert.That(() => fetch.Put(piece), Throws.TypeOf<ClusterException>().With.Message.Contains("are none of the data"));
        Assert.That(
            () => fetch.Put(new FilePiece(1, 0, [1, 2, 4])),
            Throws.TypeOf<ClusterException>().With.Message.EqualTo(
                "below/b.bin is another file than was announced; it has changed on its way"));
    }

    [Test]
    public void Files_that_have_changed_are_not_taken([Values(false, true)] bool shorter)
    {
        StringWriter said = new();
        NodeData own = new(null, Cache) { Exists = _ => false };
        using NodeHost host = new("n0", new Terminal(said, said), new RunAssembly(own, 1, new Terminal(said, said)));
        RunOffer offer = new(Guid.NewGuid(), [], [], host.Self, false) { Paths = [new RunPath("--data", Data, null, null)] };
        Admission answer = host.Join(offer);
        Assert.That(answer.Needs, Is.EqualTo(new[] { "--data" }));
        FakeNode node = new(host)
        {
            Listed = () => File.WriteAllBytes(Path.Combine(Data, "below", "b.bin"), shorter ? [1, 2] : [1, 2, 4]),
        };
        StringWriter told = new();
        DataSender sender = new(offer, told.WriteLine);
        (_, Admission refused) = sender.Send(node, offer, answer, CancellationToken.None).GetAwaiter().GetResult();
        (string coordinator, string line) = shorter
            ? ("b.bin has changed while data was sent", "n0: the coordinator sends its data no more")
            : ("below/b.bin is another file than was announced", "n0: refuses the run: below/b.bin");
        Assert.That(refused.Refusal, Does.Contain(coordinator));
        Assert.That(said.ToString(), Does.Contain(line));
        Assert.That(Cache.Find(List().Digest), Is.Null);

        // When the files rest, they are read again, and taken.
        node.Listed = null;
        answer = host.Join(offer);
        (RunOffer next, Admission taken) = sender.Send(node, offer, answer, CancellationToken.None).GetAwaiter().GetResult();
        Assert.That(taken.Refusal, Is.Null, said.ToString());
        Assert.That(next.Paths.Single().Digest, Is.EqualTo(List().Digest));
        Assert.That(Cache.Find(List().Digest), Is.Not.Null);
        Assert.That(own.Needs(next.Paths), Is.Empty);
    }

    /// <summary>Two coordinators with one node: none is refused for good because the other one was first.</summary>
    [Test]
    public void A_node_that_fetches_is_busy_for_others()
    {
        StringWriter said = new();
        NodeData own = new(null, Cache) { Exists = _ => false };
        using NodeHost host = new("n0", new Terminal(said, said), new RunAssembly(own, 1, new Terminal(said, said)));
        RunOffer offer = new(Guid.NewGuid(), [], [], host.Self, false) { Paths = [new RunPath("--data", Data, null, null)] };
        Admission answer = host.Join(offer);
        JobAnswer job = host.Do(new JobOrder(["models"], _folder.Root, host.Self));
        Assert.That((job.Busy, job.Refusal), Is.EqualTo((true, "it works for another coordinator")));
        RunOffer other = offer with { Session = Guid.NewGuid() };
        DataSender sender = new(other, _ => { });
        (_, Admission refused) = sender.Send(new FakeNode(host), other, answer, CancellationToken.None).GetAwaiter().GetResult();
        Assert.That((refused.Busy, refused.Refusal), Is.EqualTo((true, "it works for another coordinator")));

        sender = new DataSender(offer, _ => { });
        (_, Admission taken) = sender.Send(new FakeNode(host), offer, answer, CancellationToken.None).GetAwaiter().GetResult();
        Assert.That((taken.Busy, taken.Refusal), Is.EqualTo((false, (string?)null)), said.ToString());
    }

    [Test]
    public void A_cache_has_a_place_of_its_own()
    {
        string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME"), home = Environment.GetEnvironmentVariable("HOME");
        string root = _folder.Root;
        try
        {
            Assert.That(Default(root, "/home"), Is.EqualTo(Path.Combine(root, "mamba")));
            Assert.That(Default("relative", root), Is.EqualTo(Path.Combine(root, ".cache", "mamba")));
            Assert.That(Default(null, root), Is.EqualTo(Path.Combine(root, ".cache", "mamba")));
            Assert.That(Default(null, null), Is.Null);
        }
        finally
        {
            Default(cache, home);
        }

        static string? Default(string? cache, string? home)
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", cache);
            Environment.SetEnvironmentVariable("HOME", home);
            return DataCache.DefaultFolder;
        }
    }

    /// <summary>Each node is one line of a terminal of 80 columns, and both ends of its name are seen.</summary>
    [Test]
    public void A_table_of_nodes_fits_a_terminal()
    {
        NodeFigures[] nodes = [new("coordinator", 16), new("gpu-node-017.cluster.example.org:45123", 128), new("[b]", 1)];
        nodes[1].AddShards(123456);
        nodes[1].AddSent(int.MaxValue);
        nodes[1].Speed = 123.4;
        StringWriter wide = new(), narrow = new();
        foreach ((StringWriter to, int width) in new[] { (wide, 200), (narrow, 80) })
        {
            IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
            {
                Out = new AnsiConsoleOutput(to),
                Ansi = AnsiSupport.No,
                Interactive = InteractionSupport.No,
            });
            console.Profile.Width = width;
            console.Write(ClusterFigures.Table("mamba", nodes, width));
        }
        string[] lines = narrow.ToString().TrimEnd().Split('\n');
        Assert.That(lines, Has.Length.EqualTo(1 + 3 + nodes.Length + 1), narrow.ToString());
        Assert.That(lines.Select(line => line.TrimEnd().Length), Has.All.LessThanOrEqualTo(80));
        Assert.That(narrow.ToString(), Does.Match("│ gpu.*….*123 ").And.Contain("coordinator").And.Contain("[b]"));
        Assert.That(wide.ToString(), Does.Contain(nodes[1].Name));
        Assert.That(ClusterFigures.Shortened("0123456789", 5), Is.EqualTo("01…89"));
    }

    private FileList List() => FileList.Of(Data, CancellationToken.None);

    private string Entries() => string.Join('\n', Directory.GetFileSystemEntries(_folder.Root, "*", SearchOption.AllDirectories).Order());

    /// <summary>A node that is reached without a network.</summary>
    private sealed class FakeNode(NodeHost host) : NodeStub
    {
        /// <summary>Called when the node has got the list of files.</summary>
        public Action? Listed { get; set; }

        public override Task<Admission> Join(RunOffer offer) => Task.FromResult(host.Join(offer));

        public override Task<FetchAnswer> Fetch(Guid session, FileList list)
        {
            FetchAnswer answer = host.Fetch(session, list);
            Listed?.Invoke();
            return Task.FromResult(answer);
        }

        public override Task<string?> Put(Guid session, FilePiece piece) => Task.FromResult(host.Put(session, piece));

        public override Task<string?> Keep(Guid session) => Task.FromResult(host.Keep(session));

        public override Task<bool> Beat(Guid session) => Task.FromResult(host.Beat(session));

        public override Task Leave(Guid session)
        {
            host.Leave(session);
            return Task.CompletedTask;
        }
    }
}
