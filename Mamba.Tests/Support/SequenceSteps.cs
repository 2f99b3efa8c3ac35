using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Tests.Support;

/// <summary>What every layer over a sequence promises of its steps.</summary>
internal static class SequenceSteps
{
    /// <summary>A stream has no end: its state keeps its size, a warmed-up step allocates nothing, and a reset begins anew.</summary>
    public static void AllocateNothingAndStartAnew(ISequenceMixer mixer, ParameterStore store, int width)
    {
        store.Freeze();
        SequenceState state = mixer.NewState(1);
        Tensor token = Numbers.Random(5, 1, width);
        float[] first = Step(), second = Step();
        Assert.That(second, Is.Not.EqualTo(first), "the state counts");
        GC.Collect(); // what other tests left behind goes back to the pool now, not in the middle
        GC.WaitForPendingFinalizers();
        long allocated = -1, rented = BufferPool.Rented;
        for (int i = 0; i < 200; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            mixer.Step(token, state).Dispose();
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Assert.That((allocated, BufferPool.Rented), Is.EqualTo((0L, rented)));
        state.Reset();
        Assert.That(Step(), Is.EqualTo(first));
        Assert.That(Step(), Is.EqualTo(second));

        float[] Step()
        {
            using Tensor y = mixer.Step(token, state);
            return y.Span.ToArray();
        }
    }
}
