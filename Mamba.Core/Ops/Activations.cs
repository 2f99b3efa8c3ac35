using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>The activations that operators can apply to their results as they write them.</summary>
public enum Activation
{
    /// <summary>None: y = x.</summary>
    None,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x for x &gt; 0, 0.01 x elsewhere.</summary>
    LeakyRelu,

    /// <summary>x / (1 + e^-x).</summary>
    Silu,
}

/// <summary>
/// The operators. Each checks its arguments, allocates its result, runs its kernels and, where a <see cref="Tape"/> is open and a gradient flows
/// into an input, records its backward step. Images are (B, H, W, C), sequences (B, L, C); weights have PyTorch's shapes and layout.
/// </summary>
public static unsafe partial class Ops
{
    /// <summary>e^x, elementwise.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Exp(Tensor x) => Activate<Exponential>(x);

    /// <summary>x Phi(x) with the exact normal distribution function, elementwise.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Gelu(Tensor x) => Activate<Gelu>(x);

    /// <summary>The tanh approximation of <see cref="Gelu"/>, elementwise.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor GeluTanh(Tensor x) => Activate<GeluTanh>(x);

    /// <summary>x for x &gt; 0, 0.01 x elsewhere.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor LeakyRelu(Tensor x) => Activate<LeakyRelu>(x);

    /// <summary>max(x, 0), elementwise.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Relu(Tensor x) => Activate<Relu>(x);

    /// <summary>1 / (1 + e^-x), elementwise.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Sigmoid(Tensor x) => Activate<Logistic>(x);

    /// <summary>x / (1 + e^-x), elementwise.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Silu(Tensor x) => Activate<Silu>(x);

    /// <summary>log(1 + e^x), elementwise.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Softplus(Tensor x) => Activate<SoftplusActivation>(x);

    /// <summary>Hyperbolic tangent, elementwise.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Tanh(Tensor x) => Activate<HyperbolicTangent>(x);

    /// <summary>An activation by name, as an operator of its own.</summary>
    internal static Tensor Apply(Activation activation, Tensor x) => activation switch
    {
        Activation.None => x,
        Activation.Relu => Relu(x),
        Activation.LeakyRelu => LeakyRelu(x),
        Activation.Silu => Silu(x),
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, "Expected one of the activations."),
    };

    private static Tensor Activate<TActivation>(Tensor x) where TActivation : unmanaged, IActivation
    {
        Tensor y = Tensor.Empty(x.Shape);
        Launch.Run(new ActivationForward<TActivation> { X = x.Pointer, Y = y.Pointer }, x.Count, Launch.ElementGrain);
        if (Tape.Needs(x))
        {
            Tensor kept = TActivation.DerivativeFromOutput ? y : x;
            Tape.Push(y, (x, kept), static (context, dy) =>
            {
                (Tensor x, Tensor kept) = context;
                GradSlot dx = x.OpenGrad();
                Launch.Run(
                    new ActivationBackward<TActivation> { XOrY = kept.Pointer, Dy = dy.Pointer, Dx = dx.Pointer, Accumulate = dx.Accumulate },
                    x.Count,
                    Launch.ElementGrain);
            }, kept);
        }
        return y;
    }
}
