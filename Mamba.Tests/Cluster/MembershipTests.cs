using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mamba.Cli.Cluster.Silos;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cluster;

/// <summary>Silos find each other by a table in Redis or PostgreSQL, which the test starts if it is installed; and talk by TLS.</summary>
[NonParallelizable]
internal sealed class MembershipTests
{
    private const string Words = "--model unet --width 4 --depth 2 --size 32 --limit 60 --epochs 1 --optimizer sgd --batch 8 --shard 1";

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TemporaryFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Silos_find_each_other_in_Redis()
    {
        string program = Installed("redis-server");
        int port = ClusterSilo.FreePort();
        using Server redis = new(program, ["--port", $"{port}", "--save", "", "--dir", _folder.Root], port);
        Train(new Membership.InRedis($"127.0.0.1:{port}"), null);
    }

    [Test]
    public void Silos_find_each_other_in_PostgreSQL()
    {
        string program = Installed("postgres"), initdb = Installed("initdb");
        // It does not start as root, but as the user that its package has made.
        string[] user = Environment.IsPrivilegedProcess
            ? [Installed("setpriv"), "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] : [];
        if (user.Length > 0) Run([Installed("chown"), "postgres", _folder.Root]);
        string data = Path.Combine(_folder.Root, "data");
        Run([.. user, initdb, "-D", data, "-A", "trust", "-U", "postgres"]);
        int port = ClusterSilo.FreePort();
        string[] command = [.. user, program, "-D", data, "-p", $"{port}", "-k", _folder.Root];
        using Server postgres = new(command[0], command[1..], port);
        string connection = $"Host=127.0.0.1;Port={port};Username=postgres;Database=postgres";
        Train(new Membership.InPostgres(connection), null);
        Train(new Membership.InPostgres(connection), null); // the tables are there
    }

    [Test]
    public void Silos_with_certificates_of_one_authority_talk_and_others_do_not()
    {
        (string authority, string certificate, string key) = Certify("lab");
        Certificates own = new(certificate, key, authority);
        Train(null, own);
        (_, string foreign, _) = Certify("elsewhere");
        using X509Certificate2 member = X509CertificateLoader.LoadCertificateFromFile(certificate);
        using X509Certificate2 stranger = X509CertificateLoader.LoadCertificateFromFile(foreign);
        Assert.That(own.IsSigned(member), Is.True);
        Assert.That(own.IsSigned(stranger), Is.False);
    }

    [Test]
    public void Files_that_are_no_certificates_are_named()
    {
        string file = _folder.Write("a.pem", "no certificate"u8.ToArray());
        Assert.That(
            () => new Certificates(file, file, file), Throws.InstanceOf<IOException>().With.Message.StartsWith("--tls-certificate"));
    }

    private static void Train(Membership? membership, Certificates? certificates)
    {
        using InProcess cluster = new() { Membership = membership, Certificates = certificates };
        Outcome alone = cluster.Alone(Words), spread = cluster.Train(Words, 2);
        Assert.That(spread.Hash, Is.EqualTo(alone.Hash).And.Length.EqualTo(64), spread.Output);
        Assert.That(spread.Figures!.Remote, Is.GreaterThan(0));
    }

    private static void Run(string[] command)
    {
        ProcessStartInfo start = new(command[0], command[1..]) { RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, string.Join(' ', command));
    }

    /// <summary>The path of a program; the test is skipped where it is not installed.</summary>
    private static string Installed(string program)
    {
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator))
            if (File.Exists(Path.Combine(folder, program))) return Path.Combine(folder, program);
        Assert.Ignore($"{program} is not installed");
        return "";
    }

    /// <summary>An authority, and a certificate that it has signed, in files.</summary>
    private (string Authority, string Certificate, string Key) Certify(string name)
    {
        using RSA root = RSA.Create(2048), leaf = RSA.Create(2048);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        CertificateRequest ca = new($"CN={name} authority", root, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        ca.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 authority = ca.CreateSelfSigned(now.AddDays(-1), now.AddDays(2));
        CertificateRequest request = new($"CN={name}", leaf, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 signed = request.Create(authority, now.AddDays(-1), now.AddDays(1), [1, 2, 3]);
        return (
            _folder.Write($"{name}-ca.pem", System.Text.Encoding.ASCII.GetBytes(authority.ExportCertificatePem())),
            _folder.Write($"{name}.pem", System.Text.Encoding.ASCII.GetBytes(signed.ExportCertificatePem())),
            _folder.Write($"{name}.key", System.Text.Encoding.ASCII.GetBytes(leaf.ExportPkcs8PrivateKeyPem())));
    }

    /// <summary>A server in a process of its own, waited for until it answers.</summary>
    private sealed class Server : IDisposable
    {
        private readonly Process _process;

        public Server(string program, string[] arguments, int port)
        {
            ProcessStartInfo start = new(program) { RedirectStandardOutput = true, RedirectStandardError = true };
            foreach (string argument in arguments) start.ArgumentList.Add(argument);
            _process = Process.Start(start)!;
            _process.OutputDataReceived += (_, _) => { };
            _process.ErrorDataReceived += (_, _) => { };
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
            for (int i = 0; i < 300 && !Answers(port); i++) Thread.Sleep(100);
            Thread.Sleep(500); // PostgreSQL listens a moment before it takes questions
        }

        public void Dispose()
        {
            _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }

        private static bool Answers(int port)
        {
            try
            {
                using TcpClient client = new();
                client.Connect(IPAddress.Loopback, port);
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        }
    }
}
