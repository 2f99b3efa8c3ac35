using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Commands;

namespace Mamba.Cli.Cluster;

/// <summary>The options by which silos find and trust each other.</summary>
internal sealed class JoinOptions
{
    /// <summary>The port of a coordinator.</summary>
    public const int DefaultPort = 11111;

    public Option<string?> Cluster { get; } = Options.Text("--cluster", "NAME", "Cluster to join.", "mamba");

    public Option<string?> Host { get; } =
        Options.Text("--host", "ADDRESS", "Address that others reach this machine by.", "this machine alone, or the route to the others");

    public Option<int?> Port { get; } = Options.Integer("--port", "Port of this silo.", $"{DefaultPort} for train, any for node", 1, 65535);

    public Option<double?> Probe { get; } =
        Options.Number("--probe", "Seconds to answer a probe; three missed are death.", "2");

    public Option<string?> Certificate { get; } = Options.Text("--tls-certificate", "FILE", "Certificate of this silo, PEM.", "no TLS");

    public Option<string?> PrivateKey { get; } = Options.Text("--tls-key", "FILE", "Its private key, PEM.", "no TLS");

    public Option<string?> Authority { get; } = Options.Text("--tls-authority", "FILE", "Certificate of the authority, PEM.", "no TLS");

    /// <summary>All of them.</summary>
    public Option[] All => [Cluster, Host, Port, Probe, Certificate, PrivateKey, Authority];

    /// <summary>How a silo is started.</summary>
    /// <param name="parsed">The options.</param>
    /// <param name="role">What it does.</param>
    /// <param name="coordinator">Where a node looks for the coordinator; null for the coordinator itself.</param>
    /// <exception cref="ArgumentException">They do not fit together.</exception>
    public SiloSettings Settings(ParseResult parsed, SiloRole role, IPEndPoint? coordinator)
    {
        int port = parsed.GetValue(Port) ?? (role == SiloRole.Coordinator ? DefaultPort : ClusterSilo.FreePort());
        Membership asked = Membership.FromEnvironment(coordinator ?? new IPEndPoint(IPAddress.Loopback, port));
        IPAddress host = parsed.GetValue(Host) is { } text ? Address(text)
            : asked is Membership.AtCoordinator at ? RouteTo(at.Coordinator.Address)
            : Own;
        IPEndPoint address = new(host, port);
        return new SiloSettings(role, parsed.GetValue(Cluster) ?? "mamba", address)
        {
            Membership = asked is Membership.AtCoordinator && coordinator is null ? new Membership.AtCoordinator(address) : asked,
            Probe = TimeSpan.FromSeconds(parsed.GetValue(Probe) ?? 2),
            Certificates = CertificatesOf(parsed),
        };
    }

    /// <summary>Reads HOST or HOST:PORT.</summary>
    /// <exception cref="ArgumentException">It is neither, or there is no such host.</exception>
    public static IPEndPoint EndPoint(string text)
    {
        if (IPEndPoint.TryParse(text, out IPEndPoint? end)) return end.Port == 0 ? new IPEndPoint(end.Address, DefaultPort) : end;
        int colon = text.LastIndexOf(':');
        if (colon < 0) return new IPEndPoint(Address(text), DefaultPort);
        return int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is > 0 and < 65536
            ? new IPEndPoint(Address(text[..colon]), port)
            : throw new ArgumentException($"--coordinator is '{text}'; expected HOST or HOST:PORT");
    }

    private static IPAddress Address(string host)
    {
        try
        {
            IPAddress[] found = Dns.GetHostAddresses(host);
            return found.FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork) ?? found[0];
        }
        catch (SocketException e)
        {
            throw new ArgumentException($"'{host}' is no address of a machine: {e.Message}", e);
        }
    }

    /// <summary>The address of this machine on the way to another one. Nothing is sent.</summary>
    private static IPAddress RouteTo(IPAddress other)
    {
        if (IPAddress.IsLoopback(other)) return other;
        using Socket socket = new(other.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Connect(other, 9);
        return ((IPEndPoint)socket.LocalEndPoint!).Address;
    }

    /// <summary>The first address of this machine that others may know.</summary>
    private static IPAddress Own => NetworkInterface.GetAllNetworkInterfaces()
        .Where(n => n.OperationalStatus == OperationalStatus.Up && n.NetworkInterfaceType != NetworkInterfaceType.Loopback)
        .SelectMany(n => n.GetIPProperties().UnicastAddresses)
        .Select(a => a.Address)
        .FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork) ?? IPAddress.Loopback;

    private Certificates? CertificatesOf(ParseResult parsed)
    {
        (string? certificate, string? key, string? authority) =
            (parsed.GetValue(Certificate), parsed.GetValue(PrivateKey), parsed.GetValue(Authority));
        if (certificate is null && key is null && authority is null) return null;
        return certificate is not null && key is not null && authority is not null
            ? new Certificates(certificate, key, authority)
            : throw new ArgumentException($"{Certificate.Name}, {PrivateKey.Name} and {Authority.Name} go together");
    }
}
