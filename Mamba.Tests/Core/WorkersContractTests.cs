using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// Fault 13: what bodies that the workers run may do, and what they inherit; and tensors and gradients that cross threads.
/// </summary>
[NonParallelizable]
internal sealed class WorkersContractTests
{
    [TestCase(1), TestCase(2), TestCase(4)]
    public void Setting_the_count_inside_a_body_is_refused_and_does_not_deadlock(int threads)
    {
        using ThreadCount _ = new(threads);
        Assert.That(
            () => Workers.ForEach(64, 0, static (_, _) => Workers.Count = 3),
            Throws.InvalidOperationException.With.Message.Contains("Workers.Count"));
        Assert.That(
            () => Workers.For(64, 1, 0, static (_, _, _) => Workers.Count = 3),
            Throws.InvalidOperationException.With.Message.Contains("Workers.Count"));
        Assert.That(Workers.Count, Is.EqualTo(threads));
        Workers.Count = threads; // and outside it can be set again
    }

    [Test]
    public void The_count_can_be_set_while_another_thread_holds_the_workers()
    {
        using ThreadCount _ = new(2);
        using ManualResetEventSlim started = new(), set = new();
        Thread thread = new(() => Workers.ForEach(2, (started, set), static (s, _) =>
        {
            s.started.Set();
            s.set.Wait();
        }));
        thread.Start();
        started.Wait();
        Workers.Count = 3;
        set.Set();
        thread.Join();
    }

    [TestCaseSource(typeof(Isas), nameof(Isas.All))]
    public void Bodies_inherit_the_vector_width_of_the_caller(VectorWidth width)
    {
        using ThreadCount _ = new(4);
        VectorWidth[] each = new VectorWidth[400], pieces = new VectorWidth[400];
        using (Isa.Use(width))
        {
            Workers.ForEach(each.Length, each, static (widths, i) =>
            {
                Thread.SpinWait(2000); // long enough for the others to come
                widths[i] = Isa.Current;
            });
            Workers.For(pieces.Length, 3, pieces, static (widths, begin, end) =>
            {
                Thread.SpinWait(2000);
                for (long i = begin; i < end; i++) widths[i] = Isa.Current;
            });
        }
        Assert.That(each, Is.All.EqualTo(width));
        Assert.That(pieces, Is.All.EqualTo(width));
        Workers.ForEach(each.Length, each, static (widths, i) => widths[i] = Isa.Current);
        Assert.That(each, Is.All.EqualTo(Isa.Current), "and afterwards the usual one again");
    }

    [Test]
    public void For_each_is_refused_under_an_open_tape()
    {
        using Tape tape = new();
        Assert.That(
            () => Workers.ForEach(2, 0, static (_, _) => { }),
            Throws.InvalidOperationException.With.Message.Contains("tape").And.Message.Contains("loop"));
    }

    [TestCase(1), TestCase(3)]
    public void For_records_nothing_inside_its_bodies_and_the_tape_goes_on_after_it(int threads)
    {
        using ThreadCount _ = new(threads);
        Tensor x = Numbers.Random(1, 4);
        x.RequiresGrad = true;
        using Tape tape = new();
        bool[] recorded = new bool[40];
        Workers.For(recorded.Length, 1, (x, recorded), static (s, begin, _) =>
        {
            using Tensor y = Ops.Exp(s.x);
            s.recorded[begin] = y.NeedsGrad || Tape.IsRecording;
        });
        Assert.That(recorded, Is.All.False);
        Assert.That(Ops.Exp(x).NeedsGrad);
    }

    [TestCase(0, 5), TestCase(1, 1), TestCase(17, 5), TestCase(100, 7), TestCase(5, 1000), TestCase(5, long.MaxValue)]
    public void For_cuts_by_the_grain_alone(long count, long grain)
    {
        List<(long, long)>[] cuts = [.. new[] { 1, 2, 5 }.Select(threads =>
        {
            using ThreadCount _ = new(threads);
            List<(long, long)> cut = [];
            Workers.For(count, grain, cut, static (cut, begin, end) =>
            {
                lock (cut) cut.Add((begin, end));
            });
            cut.Sort();
            return cut;
        })];
        Assert.That(cuts[1], Is.EqualTo(cuts[0]));
        Assert.That(cuts[2], Is.EqualTo(cuts[0]));
        long next = 0;
        foreach ((long begin, long end) in cuts[0])
        {
            Assert.That(begin, Is.EqualTo(next));
            Assert.That(end - begin, Is.EqualTo(Math.Min(grain, count - begin)));
            next = end;
        }
        Assert.That(next, Is.EqualTo(count));
    }

    [Test]
    public void For_checks_its_arguments_passes_exceptions_on_and_may_be_nested()
    {
        using ThreadCount _ = new(2);
        Assert.That(() => Workers.For(-1, 1, 0, static (_, _, _) => { }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Workers.For(1, 0, 0, static (_, _, _) => { }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Workers.For<int>(1, 1, 0, null!), Throws.ArgumentNullException);
        Assert.That(() => Workers.For(100, 1, 42, static (bad, begin, _) =>
        {
            if (begin == bad) throw new InvalidTimeZoneException();
        }), Throws.TypeOf<InvalidTimeZoneException>());
        int[] hits = new int[12];
        Workers.For(
            3, 1, hits, static (hits, outer, _) => Workers.For(4, 1, (hits, outer), static (s, inner, _) => s.hits[s.outer * 4 + inner]++));
        Assert.That(hits, Is.All.EqualTo(1));
    }

    [Test]
    public void For_allocates_nothing()
    {
        using ThreadCount _ = new(2);
        float[] x = new float[1000];
        Action<float[], long, long> body = static (x, begin, end) => x[begin] += end;
        for (int i = 0; i < 3; i++) Workers.For(x.Length, 10, x, body);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) Workers.For(x.Length, 10, x, body);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void Tensors_that_another_thread_gives_back_go_round_and_do_not_pile_up()
    {
        const int Tensors = 10_000, Rounds = 40;
        Tensor[] tensors = new Tensor[Tensors];
        using Barrier barrier = new(2);
        long[] allocated = new long[Rounds];
        long heap = 0;
        Thread consumer = new(() =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                foreach (Tensor tensor in tensors) tensor.Dispose();
                barrier.SignalAndWait();
            }
        });
        consumer.Start();
        for (int round = 0; round < Rounds; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Tensors; i++) tensors[i] = Tensor.Empty(3);
            allocated[round] = GC.GetAllocatedBytesForCurrentThread() - before;
            barrier.SignalAndWait();
            barrier.SignalAndWait();
            if (round == Rounds / 2) heap = GC.GetTotalMemory(forceFullCollection: true);
        }
        long grown = GC.GetTotalMemory(forceFullCollection: true) - heap;
        consumer.Join();
        Assert.That(grown, Is.LessThan(Rounds / 2 * Tensors * 16L), "bytes that half of the rounds have added");
        // What stays on the other thread is bounded, so that in the end nearly all come back.
        Assert.That(allocated[^1], Is.LessThan(allocated[0] / 10), $"bytes of each round: {string.Join(", ", allocated)}");
    }

    [Test]
    public void A_leaf_that_the_backward_passes_of_two_threads_write_to_is_refused()
    {
        Tensor leaf = Numbers.Random(1, 8);
        leaf.RequiresGrad = true;
        using ManualResetEventSlim inside = new(), go = new();
        Exception? here = null;
        Thread thread = new(() =>
        {
            using Tape tape = new();
            Tensor y = Ops.Scale(leaf, 2f), z = Tensor.Empty(8);
            Tape.Push(z, (y, inside, go), static (s, dy) =>
            {
                // The first contribution comes before the wait, so that this pass is writing to the leaf.
                s.y.OpenGrad().Span.Fill(1f);
            });
            Tensor waits = Tensor.Empty(8);
            Tensor w = leaf;
            Tape.Push(waits, (w, inside, go), static (s, dy) =>
            {
                dy.Span.CopyTo(s.w.OpenGrad().Span);
                s.inside.Set();
                s.go.Wait();
            });
            tape.Backward([z, waits], [Tensor.Full(1f, 8), Tensor.Full(1f, 8)]);
        });
        thread.Start();
        inside.Wait();
        using (Tape tape = new())
        {
            Tensor y = Ops.Scale(leaf, 3f);
            here = Assert.Catch(() => tape.Backward(y, Tensor.Full(1f, 8)));
        }
        go.Set();
        thread.Join();
        Assert.That(here, Is.TypeOf<InvalidOperationException>().With.Message.Contains("another thread"));
        Assert.That(leaf.Grad!.Value.Span.ToArray(), Is.All.EqualTo(3f), "the first pass is whole");

        // One after the other they may.
        leaf.ZeroGrad();
        using (Tape tape = new()) tape.Backward(Ops.Scale(leaf, 3f), Tensor.Full(1f, 8));
        Assert.That(leaf.Grad!.Value.Span.ToArray(), Is.All.EqualTo(3f));
    }

    [TestCase(1), TestCase(4)]
    public void A_body_that_leaves_a_tape_open_is_refused(int threads)
    {
        // On a thread of its own, which no other test has used.
        Exception? each = null, pieces = null, released = null;
        bool recording = true;
        int depth = -1;
        Thread thread = new(() =>
        {
            using ThreadCount count = new(threads);
            each = Assert.Catch(() => Workers.ForEach(1, 0, static (_, _) =>
            {
                _ = new MemoryScope();
                _ = new Tape();
                _ = new MemoryScope();
            }));
            pieces = Assert.Catch(() => Workers.For(1, 1, 0, static (_, _, _) => new MemoryScope()));
            (recording, depth) = (Tape.IsRecording, MemoryScope.Depth);
            Tensor x = Tensor.Zeros(3);
            x.Dispose();
            released = Assert.Catch(() => _ = x.Shape); // under a tape it would still answer
        });
        thread.Start();
        thread.Join();
        Assert.That(new[] { each, pieces }, Is.All.InstanceOf<InvalidOperationException>().With.Message.Contains("left"));
        Assert.That(recording, Is.False, "the tape records nothing beyond its body");
        Assert.That(depth, Is.Zero, "the scopes end with their body");
        Assert.That(released, Is.TypeOf<ObjectDisposedException>(), "and so does the tape");
    }

    [TestCase(1), TestCase(4)]
    public void What_a_body_leaves_open_ends_with_it_on_every_thread(int threads)
    {
        using ThreadCount count = new(threads);
        Assert.That(
            () => Workers.ForEach(64, 0, static (_, _) =>
            {
                Thread.SpinWait(2000); // long enough for the others to come
                _ = new MemoryScope();
            }),
            Throws.InvalidOperationException.With.Message.Contains("left"));
        int[] depths = new int[400];
        bool[] limited = new bool[400];
        for (int round = 0; round < 2; round++)
            Workers.ForEach(depths.Length, (depths, limited), static (s, i) =>
            {
                Thread.SpinWait(2000);
                s.depths[i] = MemoryScope.Depth;
                s.limited[i] |= TimeLimit.Deadline != 0;
                _ = new TimeLimit(TimeSpan.FromMinutes(5)); // never disposed
            });
        Assert.That(depths, Is.All.Zero);
        Assert.That(limited, Is.All.False);
        Assert.That(TimeLimit.Deadline, Is.Zero);
    }

    [TestCase(1), TestCase(4)]
    public void A_width_that_a_body_chooses_ends_with_it(int threads)
    {
        using ThreadCount _ = new(threads);
        VectorWidth before = Isa.Current;
        VectorWidth[] widths = new VectorWidth[100];
        Workers.ForEach(widths.Length, widths, static (widths, i) =>
        {
            widths[i] = Isa.Current;
            Isa.Use(VectorWidth.Scalar); // never disposed
        });
        Assert.That(widths, Is.All.EqualTo(before), "which bodies share a thread must not show");
        Assert.That(Isa.Current, Is.EqualTo(before));
    }
}
