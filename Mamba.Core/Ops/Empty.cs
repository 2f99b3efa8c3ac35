namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// The early return of an operator whose result depends on no input element, because one side is empty. The step gives zero gradients
    /// to all inputs that need one.
    /// </summary>
    private static Tensor Independent(Tensor y, params ReadOnlySpan<Tensor?> inputs)
    {
        if (Tape.Needs(inputs)) Tape.Record(y, Wanting(inputs), static (inputs, _) => GiveZeros(inputs.Values));
        return y;
    }

    /// <summary>The same for an operator with two results.</summary>
    private static (Tensor First, Tensor Second) IndependentPair(Tensor first, Tensor second, params ReadOnlySpan<Tensor?> inputs)
    {
        if (Tape.Needs(inputs)) Tape.Record([first, second], Wanting(inputs), static (inputs, _) => GiveZeros(inputs.Values));
        return (first, second);
    }

    private static Tensor[] Wanting(ReadOnlySpan<Tensor?> inputs)
    {
        List<Tensor> wanting = [];
        foreach (Tensor? input in inputs)
            if (input is { NeedsGrad: true } present) wanting.Add(present);
        return [.. wanting];
    }

    private static void GiveZeros(Tensor[] inputs)
    {
        foreach (Tensor input in inputs)
        {
            GradSlot slot = input.OpenGrad();
            if (!slot.Accumulate) slot.Span.Clear();
        }
    }
}
