using System.Net;

namespace Mamba.Cli.Cluster.Silos;

/// <summary>What a silo does in its cluster.</summary>
internal enum SiloRole
{
    /// <summary>Trains, and asks nodes for gradients.</summary>
    Coordinator,

    /// <summary>Computes what a coordinator asks for.</summary>
    Node,
}

/// <summary>How a silo is reached, and whom it trusts.</summary>
/// <param name="Role">What it does.</param>
/// <param name="Cluster">The name of the cluster: silos of other clusters are strangers.</param>
/// <param name="Address">The address that other silos reach it by.</param>
internal sealed record SiloSettings(SiloRole Role, string Cluster, IPEndPoint Address)
{
    /// <summary>The name of a silo begins with its role, so that all silos can read it in the membership table.</summary>
    private const string NodePrefix = "node ";

    /// <summary>Where silos find each other.</summary>
    public required Membership Membership { get; init; }

    /// <summary>What messages call the silo.</summary>
    public string Name { get; init; } = $"{Environment.MachineName}:{Address.Port}";

    /// <summary>Certificates; null to talk in the clear.</summary>
    public Certificates? Certificates { get; init; }

    /// <summary>How long a silo may leave a probe unanswered; after three of them it is taken for dead.</summary>
    public TimeSpan Probe { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The name in the membership table.</summary>
    public string SiloName => Role == SiloRole.Node ? NodePrefix + Name : $"coordinator {Name}";

    /// <summary>Whether a member is a node, by its name in the membership table.</summary>
    public static bool IsNode(string siloName) => siloName.StartsWith(NodePrefix, StringComparison.Ordinal);

    /// <summary>The name of a node, by its name in the membership table.</summary>
    public static string NodeName(string siloName) => siloName[NodePrefix.Length..];
}
