namespace Mamba.Cli.Cluster;

/// <summary>The cluster cannot do what is asked of it; the message says why, and what to do.</summary>
/// <param name="message">The message.</param>
/// <param name="inner">What happened; null for nothing.</param>
internal sealed class ClusterException(string message, Exception? inner = null) : IOException(message, inner);
