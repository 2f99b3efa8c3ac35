using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Activations on an image that stays in the second-level cache: the cost of the function itself.</summary>
public class ActivationBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        Of("Exp", x => Ops.Exp(x[0])),
        Of("Gelu", x => Ops.Gelu(x[0])),
        Of("GeluTanh", x => Ops.GeluTanh(x[0])),
        Of("LeakyRelu", x => Ops.LeakyRelu(x[0])),
        Of("Relu", x => Ops.Relu(x[0])),
        Of("Sigmoid", x => Ops.Sigmoid(x[0])),
        Of("Silu", x => Ops.Silu(x[0])),
        Of("Softplus", x => Ops.Softplus(x[0])),
        Of("Tanh", x => Ops.Tanh(x[0])),
    ];

    private static OperatorCase Of(string name, Func<Tensor[], Tensor> op) => new($"{name}: 64x64 x 16", op, [1, 64, 64, 16]);
}
