using Mamba.Core;

namespace Mamba.Models.Verification;

// Activations and arithmetic, element by element, in PyTorch's layout; PReLU alone has channels.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_elementwise = new()
    {
        ["activation"] = c => [Activation(c)],
        ["prelu"] = c => [Image(c, x => Ops.PRelu(x, c.In("weight")))],
        ["glu"] = c => [Ops.Glu(c.In("x"), c.Int("dim", -1))],
        ["swiglu"] = c => [Ops.SwiGlu(c.In("x"), c.Int("dim", -1))],
        ["softmax"] = c => [Ops.Softmax(c.In("x"), c.Int("dim", -1), c.Float("temperature", 1f))],
        ["log_softmax"] = c => [Ops.LogSoftmax(c.In("x"), c.Int("dim", -1), c.Float("temperature", 1f))],
        ["clamp"] = c => [Ops.Clamp(c.In("x"), c.Number("min"), c.Number("max"))],
        ["where"] = c => [Ops.Where(c.In("condition"), c.In("a"), c.In("b"))],
        ["masked_fill"] = c => [Ops.MaskedFill(c.In("x"), c.In("mask"), c.Float("value", 0f))],
        ["maximum"] = c => [Ops.Maximum(c.In("a"), c.In("b"))],
        ["minimum"] = c => [Ops.Minimum(c.In("a"), c.In("b"))],
        ["add"] = c => [c.In("a") + c.In("b")],
        ["sub"] = c => [c.In("a") - c.In("b")],
        ["mul"] = c => [c.In("a") * c.In("b")],
        ["div"] = c => [c.In("a") / c.In("b")],
    };

    /// <summary>Activations that have no parameters.</summary>
    private static readonly Dictionary<string, Func<Tensor, Tensor>> s_activations = new()
    {
        ["abs"] = Ops.Abs,
        ["cos"] = Ops.Cos,
        ["erf"] = Ops.Erf,
        ["exp"] = Ops.Exp,
        ["expm1"] = Ops.ExpM1,
        ["gelu"] = Ops.Gelu,
        ["gelu_tanh"] = Ops.GeluTanh,
        ["hardsigmoid"] = Ops.HardSigmoid,
        ["hardswish"] = Ops.HardSwish,
        ["log"] = Ops.Log,
        ["log1p"] = Ops.Log1P,
        ["log_sigmoid"] = Ops.LogSigmoid,
        ["mish"] = Ops.Mish,
        ["quick_gelu"] = Ops.QuickGelu,
        ["reciprocal"] = Ops.Reciprocal,
        ["relu"] = Ops.Relu,
        ["relu6"] = Ops.Relu6,
        ["rsqrt"] = Ops.Rsqrt,
        ["selu"] = Ops.Selu,
        ["sigmoid"] = Ops.Sigmoid,
        ["silu"] = Ops.Silu,
        ["sin"] = Ops.Sin,
        ["softsign"] = Ops.SoftSign,
        ["sqrt"] = Ops.Sqrt,
        ["square"] = Ops.Square,
        ["tanh"] = Ops.Tanh,
        ["tanhshrink"] = Ops.TanhShrink,
    };

    /// <summary>Activations that have some.</summary>
    private static readonly Dictionary<string, Func<GoldenCase, Tensor, Tensor>> s_parametricActivations = new()
    {
        ["celu"] = (c, x) => Ops.Celu(x, c.Float("alpha", 1f)),
        ["elu"] = (c, x) => Ops.Elu(x, c.Float("alpha", 1f)),
        ["hardshrink"] = (c, x) => Ops.HardShrink(x, c.Float("lambda", 0.5f)),
        ["hardtanh"] = (c, x) => Ops.HardTanh(x, c.Float("min", -1f), c.Float("max", 1f)),
        ["leaky_relu"] = (c, x) => c.Number("negative_slope") is { } slope ? Ops.LeakyRelu(x, slope) : Ops.LeakyRelu(x),
        ["pow"] = (c, x) => Ops.Pow(x, c.Float("exponent", 2f)),
        ["softplus"] = (c, x) => c.Number("beta") is { } beta ? Ops.Softplus(x, beta, c.Float("threshold", 20f)) : Ops.Softplus(x),
        ["softshrink"] = (c, x) => Ops.SoftShrink(x, c.Float("lambda", 0.5f)),
    };

    private static Tensor Activation(GoldenCase c)
    {
        string name = c.Text("activation") ?? c.Text("name") ?? c.StartOfName(s_activations.Keys.Concat(s_parametricActivations.Keys));
        if (name == "gelu" && c.Text("approximate") == "tanh") name = "gelu_tanh";
        if (s_parametricActivations.TryGetValue(name, out Func<GoldenCase, Tensor, Tensor>? parametric)) return parametric(c, c.In("x"));
        return s_activations.TryGetValue(name, out Func<Tensor, Tensor>? activation)
            ? activation(c.In("x"))
            : throw new UnsupportedCaseException($"unknown activation '{name}'");
    }
}
