namespace Mamba.Models.Inference;

/// <summary>Whether a frame was finished.</summary>
public enum FrameStatus
{
    /// <summary>The caller's memory holds the whole result.</summary>
    Complete,

    /// <summary>
    /// The time budget passed before the last operator began. Nothing was written: the caller's memory holds what it held before.
    /// </summary>
    OutOfTime,
}

/// <summary>What became of a frame that was segmented.</summary>
public readonly record struct SegmentedFrame
{
    private readonly int _area;

    internal SegmentedFrame(FrameStatus status, int area, double milliseconds) =>
        (Status, _area, Milliseconds) = (status, area, milliseconds);

    /// <summary>Whether the mask and the probabilities were written.</summary>
    public FrameStatus Status { get; }

    /// <summary>Pixels that are not background; 0 where no mask was asked for.</summary>
    /// <exception cref="InvalidOperationException">The frame was not finished.</exception>
    public int Area => Status == FrameStatus.Complete ? _area : throw FrameReader.Unfinished();

    /// <summary>Time of the whole call, conversion included.</summary>
    public double Milliseconds { get; }
}

/// <summary>What became of a frame that was classified.</summary>
public readonly record struct ClassifiedFrame
{
    private readonly int _best;

    internal ClassifiedFrame(FrameStatus status, int best, double milliseconds) =>
        (Status, _best, Milliseconds) = (status, best, milliseconds);

    /// <summary>Whether the probabilities were written.</summary>
    public FrameStatus Status { get; }

    /// <summary>The index of the most probable class, the first of equals.</summary>
    /// <exception cref="InvalidOperationException">The frame was not finished.</exception>
    public int Best => Status == FrameStatus.Complete ? _best : throw FrameReader.Unfinished();

    /// <summary>Time of the whole call, conversion included.</summary>
    public double Milliseconds { get; }
}
