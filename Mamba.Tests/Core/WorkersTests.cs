using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[NonParallelizable]
internal sealed unsafe class WorkersTests
{
    [TestCase(1), TestCase(2), TestCase(5)]
    public void Every_item_is_done_once(int threads)
    {
        using ThreadCount _ = new(threads);
        int[] hits = new int[10_007];
        for (int round = 0; round < 50; round++)
            fixed (int* p = hits)
                Launch.Run(new CountHits { Hits = p }, hits.Length, 1 + round * 7);
        Assert.That(hits, Is.All.EqualTo(50));
    }

    [Test]
    public void An_exception_in_a_kernel_reaches_the_caller_and_the_workers_go_on()
    {
        Assert.That(() => Launch.Run(new Failing(), 100, 1), Throws.TypeOf<InvalidTimeZoneException>());
        Every_item_is_done_once(2);
    }

    [TestCase(1), TestCase(2), TestCase(5)]
    public void For_each_calls_once_for_each_and_operators_run_inside(int threads)
    {
        using ThreadCount _ = new(threads);
        float[] sums = new float[37];
        for (int round = 0; round < 20; round++)
            Workers.ForEach(sums.Length, sums, static (sums, i) =>
            {
                using Tensor x = Tensor.Full(i, 300, 70), y = Ops.Add(x, x);
                sums[i] += y.Span[i];
            });
        Assert.That(sums, Is.EqualTo(Enumerable.Range(0, sums.Length).Select(i => 40f * i)));
        Assert.That(
            () => Workers.ForEach(100, 42, static (bad, i) =>
            {
                if (i == bad) throw new InvalidTimeZoneException();
            }), Throws.TypeOf<InvalidTimeZoneException>());
        Assert.That(() => Workers.ForEach(-1, 0, static (_, _) => { }), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [TestCase(2), TestCase(4)]
    public void A_slow_thread_takes_few_chunks(int threads)
    {
        const int Chunks = 200;
        using ThreadCount _ = new(threads);
        int caller = Environment.CurrentManagedThreadId;
        (int Thread, long Item)[] taken = new (int, long)[Chunks];
        // Helpers are slowed: each chunk takes them a hundred times as long as the caller. Dealt in even shares, they would have most.
        Workers.For(Chunks, 1, (taken, caller), static (s, begin, _) =>
        {
            bool slow = Environment.CurrentManagedThreadId != s.caller;
            if (slow) Thread.Sleep(20);
            else Thread.SpinWait(2000);
            s.taken[begin] = (slow ? 1 : 0, begin);
        });
        Assert.That(taken.Select(t => t.Item), Is.EqualTo(Enumerable.Range(0, Chunks).Select(i => (long)i)), "each chunk is done once");
        Assert.That(taken.Sum(t => t.Thread), Is.LessThan(Chunks / 4));
    }

    private struct CountHits : IKernel
    {
        public int* Hits;

        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            for (nint i = begin; i < end; i++) Hits[i]++;
        }
    }

    private struct Failing : IKernel
    {
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            if (begin == 42) throw new InvalidTimeZoneException();
        }
    }
}
