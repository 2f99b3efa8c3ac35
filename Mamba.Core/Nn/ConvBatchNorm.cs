namespace Mamba.Core.Nn;

/// <summary>
/// A convolution, batch normalization of its result and an activation. In a frozen model (<see cref="ParameterStore.Freeze"/>) they are one
/// convolution. Normalization by running statistics is linear in each channel, so weight and bias absorb it. With s = gamma / sqrt(var +
/// eps), w' = s w and b' = s (b - mean) + beta.
/// </summary>
public sealed class ConvBatchNorm : IModule
{
    private readonly Conv2d _conv;
    private readonly BatchNorm2d _norm;
    private readonly ConvOptions _foldedOptions;
    private readonly FrozenCache<(Tensor Weight, Tensor Bias)> _folded;

    /// <summary>Declares the parameters of the convolution and then those of the norm.</summary>
    /// <param name="conv">The convolution's scope.</param>
    /// <param name="norm">The norm's scope.</param>
    /// <param name="config">The sizes, and the activation that follows the norm.</param>
    /// <param name="options">Momentum and eps of the norm; PyTorch's defaults if null.</param>
    public ConvBatchNorm(Scope conv, Scope norm, ConvConfig config, BatchNormOptions? options = null)
    {
        _conv = new Conv2d(conv, config with { Activation = Activation.None });
        _norm = new BatchNorm2d(norm, config.Outputs, (options ?? BatchNormOptions.Default) with { Activation = config.Activation });
        _foldedOptions = config.Options;
        _folded = new FrozenCache<(Tensor Weight, Tensor Bias)>(_conv.Weight, Fold);
    }

    /// <summary>The convolution.</summary>
    public Conv2d Conv => _conv;

    /// <summary>The norm, which applies the activation.</summary>
    public BatchNorm2d Norm => _norm;

    /// <summary>Applies the layer.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H', W', outputs).</returns>
    public Tensor Forward(Tensor x) => _folded.TryGet(out (Tensor Weight, Tensor Bias) folded)
        ? Ops.Conv2d(x, folded.Weight, folded.Bias, _foldedOptions)
        : _norm.Forward(_conv.Forward(x));

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
        weight.Freeze(_conv.Weight.Forms?.Inputs); // a channel's scale changes no code, see QuantizedPacking
        return (weight, bias);
    }
}
