namespace Mamba.Core;

/// <summary>How a selective scan is spread over threads.</summary>
public enum ScanSchedule
{
    /// <summary>Chosen by shape.</summary>
    Auto,

    /// <summary>Each (batch, channel block) walks its whole sequence.</summary>
    Sequential,

    /// <summary>The sequence is cut into chunks scanned at once; a second pass carries the states across.</summary>
    Chunked,
}

public static unsafe partial class Ops
{
    /// <summary>The selective scan of Mamba (Gu and Dao 2023, algorithm 2): u, delta, z (B, L, D); A (D, N); B, C (B, L, N) or (B, L, G, N); D, deltaBias (D); initialState (B, D, N).</summary>
    public static (Tensor Output, Tensor LastState) SelectiveScan(Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c, Tensor? d = null, Tensor? z = null, Tensor? deltaBias = null, bool deltaSoftplus = false, Tensor? initialState = null, ScanSchedule schedule = ScanSchedule.Auto) =>
        throw new NotImplementedException();
}
