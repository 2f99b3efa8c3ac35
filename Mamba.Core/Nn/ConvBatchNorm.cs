using Mamba.Core.Memory;

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
    private Folded? _folded;

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
    }

    /// <summary>Applies the layer.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H', W', outputs).</returns>
    public Tensor Forward(Tensor x)
    {
        if (_conv.Weight.Forms is { } frozen && !Tape.IsRecording)
        {
            Folded folded = _folded is { } ready && ready.Of == frozen ? ready : _folded = Fold(frozen);
            return _conv.Forward(x, folded.Weight, folded.Bias, _relu);
        }
        return _norm.Forward(_conv.Forward(x), _relu ? Activation.Relu : Activation.None);
    }

    private Folded Fold(PackedForms frozen)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        Tensor weight = _conv.Weight.Clone(), bias = Tensor.Zeros(weight.Shape[0]);
        int perChannel = weight.Count / weight.Shape[0];
        for (int c = 0; c < bias.Count; c++)
        {
            (double scale, double shift) = _norm.Affine(c);
            foreach (ref float w in weight.Span.Slice(c * perChannel, perChannel)) w = (float)(w * scale);
            bias.Span[c] = (float)((_conv.Bias?.Span[c] ?? 0.0) * scale + shift);
        }
        weight.Freeze();
        return new Folded(frozen, weight, bias);
    }

    /// <summary>Weight and bias as they are while the weight they come from is frozen as it was.</summary>
    private sealed record Folded(PackedForms Of, Tensor Weight, Tensor Bias);
}
