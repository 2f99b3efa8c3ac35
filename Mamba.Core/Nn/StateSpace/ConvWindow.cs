namespace Mamba.Core.Nn;

/// <summary>The inputs of a causal convolution over a part of a sequence: those in a mixer's state, then those of the part.</summary>
/// <param name="state">(B, K - 1, D): the last inputs of the part before, oldest first.</param>
/// <param name="x">(B, L, D).</param>
internal readonly struct ConvWindow(Tensor state, Tensor x)
{
    private readonly Tensor _state = state;
    private readonly Tensor _inputs = Ops.Concat([state, x], axis: 1); // (B, K - 1 + L, D)

    /// <summary>silu(conv1d(x)) of the part; the state stays as it is.</summary>
    /// <param name="weight">(D, 1, K).</param>
    /// <param name="bias">(D), or null.</param>
    /// <returns>(B, L, D).</returns>
    public Tensor Convolve(Tensor weight, Tensor? bias)
    {
        int before = _state.Shape[1];
        return Ops.Slice(Ops.CausalConv1d(_inputs, weight, bias, Activation.Silu), 1, before, _inputs.Shape[1] - before);
    }

    /// <summary>
    /// Moves the state to the last inputs of the part. No operator runs, so nothing can throw between this and the move of a mixer's other
    /// states.
    /// </summary>
    public void MoveState()
    {
        int kept = _state.Shape[1] * _state.Shape[2], row = _inputs.Shape[1] * _inputs.Shape[2];
        for (int b = 0; b < _state.Shape[0]; b++) _inputs.Span.Slice((b + 1) * row - kept, kept).CopyTo(_state.Span[(b * kept)..]);
    }
}
