namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// What an operator returns early when its result depends on no element of its inputs, because one side has none. The step gives
    /// gradients of zero to all inputs that want one.
    /// </summary>
    private static Tensor Independent(Tensor y, params ReadOnlySpan<Tensor?> inputs)
    {
        if (Tape.Needs(inputs)) Tape.Record(y, Wanting(inputs), static (inputs, _) => GiveZeros(inputs.Values));
        return y;
    }

    /// <summary>The same for an operator of two results.</summary>
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
