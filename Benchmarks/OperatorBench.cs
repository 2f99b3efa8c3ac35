using BenchmarkDotNet.Attributes;
using Mamba.Core;
using Mamba.Core.Memory;

namespace Mamba.Benchmarks;

/// <summary>What the benchmarks of operators share: made-up inputs, and a forward or a forward-and-backward pass.</summary>
public abstract class OperatorBench : ICounted
{
    private Tensor[] _inputs = [];
    private Tensor _cotangent = Tensor.Zeros();
    private Func<Tensor[], Tensor> _operator = x => x[0];

    /// <summary>Floating-point operations of the forward pass; 0 where counting them says nothing.</summary>
    protected abstract double ForwardFlops { get; }

    /// <summary>Whether the backward pass runs as well.</summary>
    [Params(false, true)]
    public bool Backward { get; set; }

    double ICounted.Flops => Backward ? 3 * ForwardFlops : ForwardFlops;

    /// <summary>One pass.</summary>
    [Benchmark]
    public void Pass()
    {
        if (!Backward)
        {
            using MemoryScope scope = new();
            _operator(_inputs);
            return;
        }
        foreach (Tensor input in _inputs) input.ZeroGrad();
        using Tape tape = new();
        tape.Backward(_operator(_inputs), _cotangent);
    }

    /// <summary>Sets what runs.</summary>
    protected void Prepare(Func<Tensor[], Tensor> op, params Tensor[] inputs)
    {
        (_operator, _inputs) = (op, inputs);
        using (MemoryScope scope = new())
            _cotangent = scope.Return(op(inputs).Clone());
        foreach (Tensor input in inputs) input.RequiresGrad = Backward;
    }

    /// <summary>Numbers in [-1/2, 1/2).</summary>
    protected static Tensor Noise(params ReadOnlySpan<int> shape)
    {
        Tensor tensor = Tensor.Empty(shape);
        Random random = new(1);
        foreach (ref float x in tensor.Span) x = random.NextSingle() - 0.5f;
        return tensor;
    }
}
