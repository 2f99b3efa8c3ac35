namespace Mamba.Core.Nn;

public sealed partial class ParameterStore
{
    private readonly List<BatchNorm2d> _norms = [];

    /// <summary>
    /// Receives the batch statistics of batch norms, which then do not update their running statistics; null to update them immediately. A
    /// training loop uses it to defer the update until the step is accepted.
    /// </summary>
    public BatchMoments? Moments { get; set; }

    /// <summary>Updates the running statistics of batch norms with recorded batch statistics, in order.</summary>
    /// <param name="moments">The <see cref="BatchMoments.Values"/> of this model, or of one with the same layers.</param>
    /// <exception cref="ArgumentException">They are from a model with other layers; nothing was changed.</exception>
    public void MoveStatistics(ReadOnlySpan<double> moments)
    {
        for (int at = 0; at < moments.Length; at += Length(moments, at)) // validate everything before changing anything
            if (at + Length(moments, at) > moments.Length)
                throw new ArgumentException($"MoveStatistics: {moments.Length} values end within those of a layer.", nameof(moments));
        for (int at = 0; at < moments.Length; at += Length(moments, at))
            Norm(moments, at).Move(moments[(at + BatchMoments.Head)..(at + Length(moments, at))], (int)moments[at + 1]);
    }

    internal int Add(BatchNorm2d norm)
    {
        _norms.Add(norm);
        return _norms.Count - 1;
    }

    private int Length(ReadOnlySpan<double> moments, int at) => BatchMoments.Head + 2 * Norm(moments, at).RunningMean.Count;

    private BatchNorm2d Norm(ReadOnlySpan<double> moments, int at) =>
        at + 1 < moments.Length && moments[at] >= 0 && moments[at] < _norms.Count && moments[at + 1] is >= 2 and <= int.MaxValue
            ? _norms[(int)moments[at]]
            : throw new ArgumentException(
                $"MoveStatistics: no layer and rows at value {at}; expected one of {_norms.Count} layers of batch norm.", nameof(moments));
}
