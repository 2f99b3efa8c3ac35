namespace Mamba.Core.Nn;

/// <summary>
/// A convolution, batch normalisation of its result and, if asked, ReLU. In a frozen model (<see cref="ParameterStore.Freeze"/>) they are one
/// convolution: normalisation by running statistics is linear in each channel, and so goes into weight and bias, w' = s w and b' = s (b - mean) + beta
/// with s = gamma / sqrt(var + eps).
/// </summary>
public sealed class ConvBatchNorm
{
    private readonly Conv2d _conv;
    private readonly BatchNorm2d _norm;
    private readonly bool _relu;
    private readonly WhileFrozen<(Tensor Weight, Tensor Bias)> _folded;

    /// <summary>Declares the parameters of the convolution and then those of the norm.</summary>
    /// <param name="conv">The convolution's place.</param>
    /// <param name="norm">The norm's place.</param>
    /// <param name="config">The sizes.</param>
    /// <param name="relu">Whether ReLU follows.</param>
    public ConvBatchNorm(Scope conv, Scope norm, ConvConfig config, bool relu)
    {
        _conv = new Conv2d(conv, config);
        _norm = new BatchNorm2d(norm, config.Outputs);
        _relu = relu;
        _folded = new WhileFrozen<(Tensor Weight, Tensor Bias)>(_conv.Weight, Fold);
    }

    /// <summary>Applies the layer.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H', W', outputs).</returns>
    public Tensor Forward(Tensor x) => _folded.TryGet(out (Tensor Weight, Tensor Bias) folded)
        ? _conv.Forward(x, folded.Weight, folded.Bias, _relu)
        : _norm.Forward(_conv.Forward(x), _relu ? Activation.Relu : Activation.None);

    private (Tensor Weight, Tensor Bias) Fold()
    {
        Tensor weight = _conv.Weight.Clone(), bias = Tensor.Zeros(weight.Shape[0]);
        int perChannel = weight.Count / weight.Shape[0];
        for (int c = 0; c < bias.Count; c++)
        {
            (double scale, double shift) = _norm.Affine(c);
            foreach (ref float w in weight.Span.Slice(c * perChannel, perChannel)) w = (float)(w * scale);
            bias.Span[c] = (float)((_conv.Bias?.Span[c] ?? 0.0) * scale + shift);
        }
        weight.Freeze();
        return (weight, bias);
    }
}
