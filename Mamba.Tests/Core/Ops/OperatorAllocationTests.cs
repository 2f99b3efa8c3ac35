using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// Once they have run, operators allocate no managed memory: elementwise functions, reductions, indexing, rearrangements and transforms of
/// <see cref="OperatorTable"/>, forwards and backwards. Models hold the others to it.
/// </summary>
[NonParallelizable]
internal sealed class OperatorAllocationTests
{
    // A few passes fill the pools, and compiled code is replaced by optimized code once or twice.
    private const int MostPasses = 60;

    public static IEnumerable<OperatorCase> Cases =>
    [
        .. OperatorTable.Activations, .. OperatorTable.FurtherActivations, .. OperatorTable.ElementaryFunctions,
        .. OperatorTable.Binary, .. OperatorTable.Pairs, .. OperatorTable.Choices, .. OperatorTable.Softmaxes,
        .. OperatorTable.Reductions, .. OperatorTable.Order, .. OperatorTable.Directions,
        .. OperatorTable.Spectral,
        .. OperatorTable.Arrangement.Where(c => c.Inputs().Length <= 8), // a list of more tensors is on the heap
        .. OperatorTable.Indexing.Where(c => c.Frozen.Length == 0), // the table makes whole numbers for the others
    ];

    [TestCaseSource(nameof(Cases))]
    public void An_operator_allocates_nothing(OperatorCase op)
    {
        Tensor[] inputs = op.Inputs();
        for (int i = 0; i < inputs.Length; i++) inputs[i].RequiresGrad = !op.Frozen.Contains(i);
        Tensor[] cotangents = [.. op.Call(inputs).Select(y => Tensor.Full(1f, y.Shape))];
        // The table gives the results as an array; nothing else is allowed.
        long allowed = BytesOf(() => GC.KeepAlive(new Tensor[cotangents.Length]));
        ThreadTeam.CountsAllocations = true;
        List<(long Here, long Helpers)> passes = [];
        do passes.Add(Pass()); while (passes[^1] != (allowed, 0) && passes.Count < MostPasses);
        ThreadTeam.CountsAllocations = false;
        Assert.That(passes[^1], Is.EqualTo((allowed, 0L)), $"bytes of each pass: {string.Join(", ", passes)}");

        (long Here, long Helpers) Pass()
        {
            long helpers = ThreadTeam.AllocatedByHelpers;
            long here = BytesOf(() => Step(op, inputs, cotangents));
            return (here, ThreadTeam.AllocatedByHelpers - helpers);
        }
    }

    private static void Step(OperatorCase op, Tensor[] inputs, Tensor[] cotangents)
    {
        using Tape tape = new();
        Tensor[] results = op.Call(inputs);
        // Of values and places, the values alone have a gradient; of the parts of a split, all have.
        if (results[^1].NeedsGrad) tape.Backward(results, cotangents);
        else if (results[0].NeedsGrad) tape.Backward(results[0], cotangents[0]);
    }

    private static long BytesOf(Action action)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
