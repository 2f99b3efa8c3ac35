namespace Mamba.Cli.Cluster.Training;

/// <summary>What a node has done for a run so far. Several threads read and write it.</summary>
/// <param name="name">The node.</param>
/// <param name="threads">Its threads.</param>
internal sealed class NodeFigures(string name, int threads)
{
    private long _shards, _late, _sent, _received;

    public string Name => name;

    public int Threads => threads;

    /// <summary>What it does now, in a word.</summary>
    public string State { get; set; } = "joined";

    /// <summary>Shards a second, sending and receiving included; null before the first step.</summary>
    public double? Speed { get; set; }

    /// <summary>Shards whose gradients were used.</summary>
    public long Shards => Interlocked.Read(ref _shards);

    /// <summary>Parts that were computed elsewhere since it was late, or gone.</summary>
    public long Late => Interlocked.Read(ref _late);

    /// <summary>Bytes of weights that it was sent.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>Bytes of gradients that it has sent.</summary>
    public long Received => Interlocked.Read(ref _received);

    public void AddShards(int count) => Interlocked.Add(ref _shards, count);

    public void AddLate() => Interlocked.Increment(ref _late);

    public void AddSent(int bytes) => Interlocked.Add(ref _sent, bytes);

    public void AddReceived(int bytes) => Interlocked.Add(ref _received, bytes);
}
