using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>
/// The activation that an operator applies to its result. ReLU and leaky ReLU are fused where the operator can; the others run as
/// <see cref="Ops.Apply"/>. Functions with parameters are separate operators.
/// </summary>
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

    /// <summary>min(max(x, 0), 6).</summary>
    Relu6,

    /// <summary>x min(max(x + 3, 0), 6) / 6.</summary>
    HardSwish,

    /// <summary>min(max(x + 3, 0), 6) / 6.</summary>
    HardSigmoid,

    /// <summary>1 / (1 + e^-x).</summary>
    Sigmoid,

    /// <summary>Hyperbolic tangent.</summary>
    Tanh,

    /// <summary>x Phi(x) with the exact normal distribution function.</summary>
    Gelu,

    /// <summary>The tanh approximation of <see cref="Gelu"/>.</summary>
    GeluTanh,

    /// <summary>x / (1 + e^(-1.702 x)).</summary>
    QuickGelu,

    /// <summary>x for x &gt; 0, e^x - 1 elsewhere.</summary>
    Elu,

    /// <summary>ELU scaled so that zero mean and unit variance are a fixed point.</summary>
    Selu,

    /// <summary>x tanh(log(1 + e^x)).</summary>
    Mish,

    /// <summary>log(1 + e^x).</summary>
    Softplus,
}

/// <summary>
/// The operators. Each one checks its arguments, allocates its result and runs its kernels. Where a <see cref="Tape"/> is open and an input
/// needs a gradient, it records its backward step. Images are (B, H, W, C), sequences (B, L, C); weights have PyTorch's shapes and layout.
/// </summary>
public static unsafe partial class Ops
{
    /// <summary>e^x, elementwise (torch.exp).</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Exp(Tensor x) => Activate<Exponential>(x);

    /// <summary>x Phi(x) with the exact normal distribution function, elementwise (torch.nn.functional.gelu).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Gelu(Tensor x) => Activate<Gelu>(x);

    /// <summary>The tanh approximation of <see cref="Gelu"/>, elementwise (torch.nn.functional.gelu with approximate="tanh").</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor GeluTanh(Tensor x) => Activate<GeluTanh>(x);

    /// <summary>x for x &gt; 0, 0.01 x elsewhere (torch.nn.functional.leaky_relu).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor LeakyRelu(Tensor x) => Activate<LeakyRelu>(x);

    /// <summary>max(x, 0), elementwise (torch.nn.functional.relu).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Relu(Tensor x) => Activate<Relu>(x);

    /// <summary>1 / (1 + e^-x), elementwise (torch.sigmoid).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Sigmoid(Tensor x) => Activate<Logistic>(x);

    /// <summary>x / (1 + e^-x), elementwise (torch.nn.functional.silu).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Silu(Tensor x) => Activate<Silu>(x);

    /// <summary>log(1 + e^x), elementwise (torch.nn.functional.softplus).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Softplus(Tensor x) => Activate<SoftplusActivation>(x);

    /// <summary>Hyperbolic tangent, elementwise (torch.tanh).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Tanh(Tensor x) => Activate<HyperbolicTangent>(x);

    /// <summary>Applies an activation as a separate operator.</summary>
    /// <param name="activation">The activation.</param>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x; x itself for <see cref="Activation.None"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such activation.</exception>
    public static Tensor Apply(Activation activation, Tensor x) => activation switch
    {
        Activation.None => x,
        Activation.Relu => Relu(x),
        Activation.LeakyRelu => LeakyRelu(x),
        Activation.Silu => Silu(x),
        Activation.Relu6 => Relu6(x),
        Activation.HardSwish => HardSwish(x),
        Activation.HardSigmoid => HardSigmoid(x),
        Activation.Sigmoid => Sigmoid(x),
        Activation.Tanh => Tanh(x),
        Activation.Gelu => Gelu(x),
        Activation.GeluTanh => GeluTanh(x),
        Activation.QuickGelu => QuickGelu(x),
        Activation.Elu => Elu(x),
        Activation.Selu => Selu(x),
        Activation.Mish => Mish(x),
        Activation.Softplus => Softplus(x),
        _ => throw UnknownActivation("Apply", activation),
    };

    private static void CheckActivation(string name, Activation activation)
    {
        if (activation is < Activation.None or > Activation.Softplus) throw UnknownActivation(name, activation);
    }

    private static ArgumentOutOfRangeException UnknownActivation(string name, Activation activation) =>
        new(nameof(activation), activation, $"{name}: expected one of the activations.");

    private static Tensor Activate<TActivation>(Tensor x) where TActivation : unmanaged, IActivation => Map(x, new Plain<TActivation>());

    /// <summary>y = f(x), elementwise. The step keeps x or y, whichever the derivative depends on.</summary>
    private static Tensor Map<TFunction>(Tensor x, TFunction function) where TFunction : unmanaged, IFunction
    {
        Tensor y = Tensor.Empty(x.Shape);
        Launch.Run(new MapForward<TFunction> { Function = function, X = x.Pointer, Y = y.Pointer }, x.Count, Launch.ElementGrain);
        if (TFunction.TakesExponential) MultiplyAdds.Add(0, x.Count);
        if (Tape.Needs(x))
        {
            Tensor kept = TFunction.DerivativeFromOutput ? y : x;
            Tape.Record(y, (x, kept, function), static (context, dy) =>
            {
                (Tensor x, Tensor kept, TFunction function) = context.Values;
                Launch.Run(
                    new MapBackward<TFunction> { Function = function, XOrY = kept.Pointer, Dy = dy.Pointer, Dx = x.OpenGrad().Target },
                    x.Count, Launch.ElementGrain);
            }, kept);
        }
        return y;
    }
}
