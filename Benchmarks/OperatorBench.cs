using BenchmarkDotNet.Attributes;
using Mamba.Core;
using Mamba.Core.Memory;

namespace Mamba.Benchmarks;

/// <summary>The pass of an operator that is measured.</summary>
public enum OperatorPass
{
    /// <summary>The operator, nothing recorded.</summary>
    Forward,

    /// <summary>The gradient of its first input alone.</summary>
    InputGradient,

    /// <summary>The gradient of its second input alone: the weights.</summary>
    WeightGradient,

    /// <summary>The gradients of all its inputs.</summary>
    Backward,
}

/// <summary>An operator with inputs as a model of the zoo has them.</summary>
/// <param name="Name">Where it stands, and its sizes.</param>
/// <param name="Operator">The operator.</param>
/// <param name="Shapes">The shapes of its inputs: the data first, then the weights.</param>
public sealed record OperatorCase(string Name, Func<Tensor[], Tensor> Operator, params int[][] Shapes)
{
    public override string ToString() => Name;
}

/// <summary>Benchmarks of operators over the shapes of the zoo: a forward pass, or gradients alone.</summary>
public abstract class OperatorBench : KernelBench
{
    private Tape _tape;

    /// <summary>The operators and shapes.</summary>
    public abstract IEnumerable<OperatorCase> Cases { get; }

    /// <summary>The passes that differ.</summary>
    public virtual IEnumerable<OperatorPass> Passes => [OperatorPass.Forward, OperatorPass.Backward];

    [ParamsSource(nameof(Cases))]
    public OperatorCase Case { get; set; } = null!;

    [ParamsSource(nameof(Passes))]
    public OperatorPass Pass { get; set; }

    internal override string Label => $"{Case}, {Pass}";

    /// <summary>An input: numbers in [-1/2, 1/2).</summary>
    protected virtual Tensor Input(int index, int[] shape)
    {
        Tensor tensor = Tensor.Empty(shape);
        Random random = new(index);
        foreach (ref float x in tensor.Span) x = random.NextSingle() - 0.5f;
        return tensor;
    }

    protected override Work Prepare()
    {
        Tensor[] inputs = [.. Case.Shapes.Select((shape, i) => Input(i, shape))];
        Tensor[] wanted = Pass switch
        {
            OperatorPass.Forward => [],
            OperatorPass.InputGradient => [inputs[0]],
            OperatorPass.WeightGradient => [inputs[1]],
            _ => inputs,
        };
        foreach (Tensor input in wanted) input.RequiresGrad = true;

        using MultiplyAdds counter = new();
        if (Pass != OperatorPass.Forward) _tape = new Tape(); // while one is open, nothing that a pass makes is used again
        Tensor output = Case.Operator(inputs);
        double numbers = inputs.Sum(x => (double)x.Count) + output.Count + wanted.Sum(x => (double)x.Count);
        double operations = 2.0 * counter.Count * (Pass == OperatorPass.Backward ? 2 : 1); // as many again for inputs and for weights
        if (Pass == OperatorPass.Forward) return new Work(Forward, operations, sizeof(float) * numbers);
        Input(inputs.Length, output.Shape.ToArray()).Span.CopyTo(output.OpenGrad().Span);
        return new Work(Gradients, operations, sizeof(float) * numbers);

        void Forward()
        {
            using MemoryScope scope = new();
            Case.Operator(inputs);
        }

        void Gradients()
        {
            foreach (Tensor input in wanted) input.ZeroGrad();
            _tape.RepeatLastStep();
        }
    }

    protected override void Release() => _tape.Dispose();
}
