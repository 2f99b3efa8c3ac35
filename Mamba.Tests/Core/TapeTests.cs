using System.Runtime.CompilerServices;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[NonParallelizable]
internal sealed class TapeTests
{
    [Test]
    public void A_step_gives_all_its_memory_back()
    {
        Tensor x = Numbers.Random(1, 1000);
        x.RequiresGrad = true;
        Step(x); // the first step allocates the leaf's gradient, which stays
        long before = RentedMemory.OfTheLiving();
        Step(x);
        Assert.That(BufferPool.Rented, Is.EqualTo(before));

        static void Step(Tensor x)
        {
            x.ZeroGrad();
            using Tape tape = new();
            Tensor y = Ops.Silu(Ops.Sigmoid(x).Reshape(10, 100));
            tape.Backward(y, Tensor.Full(1f, 10, 100));
        }
    }

    [Test]
    public void Memory_that_is_left_to_the_collector_is_no_longer_counted()
    {
        long held = Forget();
        Assert.That(RentedMemory.OfTheLiving(), Is.LessThanOrEqualTo(held - 12345));

        [MethodImpl(MethodImplOptions.NoInlining)]
        static long Forget()
        {
            Tensor x = Tensor.Full(1f, 12345);
            long held = BufferPool.Rented;
            GC.KeepAlive(x);
            return held;
        }
    }

    [Test]
    public void Sizes_that_are_not_used_any_more_make_way_in_the_pool()
    {
        MemoryScope.Trim();
        RentedMemory.OfTheLiving();
        BufferPool.ResetPeak();
        // the pool is full of sizes that come once
        for (int size = 100_000; size < 4_000_000; size += size / 4) Tensor.Full(0f, size).Dispose();
        long before = 0;
        for (int pass = 0; pass < 3; pass++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            Tensor.Full(0f, 77_777).Dispose();
        }
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void A_scope_keeps_what_it_returns()
    {
        Tensor x = Numbers.Random(2, 64);
        Tensor kept, lost;
        using (MemoryScope scope = new())
        {
            lost = Ops.Relu(x);
            kept = scope.Return(Ops.Relu(lost));
        }
        Assert.That(kept.Span[0], Is.EqualTo(Math.Max(0f, x.Span[0])));
        Assert.That(() => lost.Span[0], Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void What_can_be_computed_again_is_not_kept()
    {
        Tensor x = Numbers.Random(2, 4, 8, 8, 16), weight = Numbers.Random(3, 16, 32, 3, 3);
        (long Held, float[] Input, float[] Weight) Train(bool fused)
        {
            Tensor input = x.Clone(), kernel = weight.Clone();
            (input.RequiresGrad, kernel.RequiresGrad) = (true, true);
            long before = RentedMemory.OfTheLiving();
            using Tape tape = new();
            Tensor y;
            using (MemoryScope scope = new())
            {
                Tensor skip = fused ? Ops.InstanceNorm(input, activation: Activation.Relu) : Ops.Relu(Ops.InstanceNorm(input));
                y = scope.Return(Ops.Conv2d(Ops.Concat([Ops.Exp(skip), skip]), kernel, options: new ConvOptions { Padding = 1 }));
            }
            long held = BufferPool.Rented - before;
            for (int i = 0; i < 3; i++) Tensor.Full(float.NaN, x.Shape).Dispose(); // what was given back has other numbers
            tape.Backward(y, Tensor.Full(1f, y.Shape));
            return (held, input.Grad!.Value.Span.ToArray(), kernel.Grad!.Value.Span.ToArray());
        }

        (long Held, float[] Input, float[] Weight) plain = Train(fused: false), fused = Train(fused: true);
        // Without: result, skip, its exponential, both joined. With: result and exponential.
        Assert.That(plain.Held - fused.Held, Is.GreaterThanOrEqualTo(3 * x.Count));
        GradCheck.Close(plain.Input.Select(g => (double)g).ToArray(), fused.Input, 1e-6, "gradient of the input");
        Assert.That(fused.Weight, Is.EqualTo(plain.Weight));
    }

    [Test]
    public void A_result_outlives_the_step_that_could_compute_it_again()
    {
        Tensor x = Numbers.Random(2, 2, 3, 4), weight = Numbers.Random(3, 2, 4, 5);
        (x.RequiresGrad, weight.RequiresGrad) = (true, true);
        using Tape first = new();
        Tensor y = Ops.InstanceNorm(x, activation: Activation.Relu);
        first.Backward(y, Tensor.Full(1f, y.Shape));

        using Tape second = new();
        Tensor z = Ops.MatMul(y.Detach(), weight); // nobody computes y again any more
        float expected = y.Span[0] + y.Span[4] + y.Span[8];
        y.Dispose();
        second.Backward(z, Tensor.Full(1f, z.Shape));
        Assert.That(weight.Grad!.Value.Span[0], Is.EqualTo(expected).Within(1e-6f));
    }

    [Test]
    public void An_inner_tape_keeps_what_the_outer_one_could_compute_again()
    {
        Tensor x = Numbers.Random(2, 2, 3, 4), w = Numbers.Random(3, 2, 3, 4);
        (x.RequiresGrad, w.RequiresGrad) = (true, true);
        using Tape outer = new();
        Tensor y = Ops.InstanceNorm(x, activation: Activation.Relu), loss = Ops.Scale(y, 2f);
        float[] values = y.Span.ToArray();
        using Tape inner = new();
        Tensor z = Ops.BinaryCrossEntropyWithLogits(w, y); // y is the target
        outer.Backward(loss, Tensor.Full(1f, 2, 3, 4));
        y.Dispose();
        inner.Backward(z);
        for (int i = 0; i < values.Length; i++)
            Assert.That(w.Grad!.Value.Span[i], Is.EqualTo((1 / (1 + MathF.Exp(-w.Span[i])) - values[i]) / values.Length).Within(1e-6f));
    }

    [Test]
    public void A_reshape_shares_its_gradient()
    {
        Tensor x = Numbers.Random(3, 6, 4);
        x.RequiresGrad = true;
        using (Tape tape = new())
        {
            Tensor y = Ops.Exp(x.Reshape(-1, 3));
            Assert.That(y.Shape, Is.EqualTo(new Shape(8, 3)));
            tape.Backward(y.Reshape(24), Tensor.Full(1f, 24));
        }
        Assert.That(x.Grad!.Value.Shape, Is.EqualTo(x.Shape));
        Assert.That(x.Grad!.Value.Span[5], Is.EqualTo(MathF.Exp(x.Span[5])).Within(1e-6f));
    }

    [Test]
    public void A_gradient_that_is_taken_over_has_the_shape_of_its_taker()
    {
        Tensor x = Numbers.Random(3, 2, 3, 4), r = Numbers.Random(4, 6, 4);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = x.Clone();
        Shape? shape = null;
        Tape.Push(y, x, (x, dy) =>
        {
            shape = dy.Shape;
            dy.Span.CopyTo(x.OpenGrad().Span);
        });
        tape.Backward(Ops.Add(y.Reshape(6, 4), r), r);
        Assert.That(shape, Is.EqualTo(y.Shape));
        Assert.That(x.Grad!.Value.Span.SequenceEqual(r.Span));
    }

    [Test]
    public void A_step_whose_output_is_a_view_of_an_input_is_refused()
    {
        Tensor w = Numbers.Random(3, 2, 3), seed = Tensor.Full(1f, 6);
        w.RequiresGrad = true;
        using Tape tape = new();
        Tensor h = Ops.Scale(w, 2f), view = h.Reshape(6), own = h.Clone();
        Assert.That(() => Tape.Push(view, h, Pass, h), Throws.ArgumentException.With.Message.Contains("Detach"));
        Assert.That(() => Tape.Push(w, h, Pass, h), Throws.ArgumentException, "a leaf");
        Assert.That(() => Tape.Push([own, view], h, static (_, _) => { }), Throws.ArgumentException, "one of several");
        Assert.That(() => Tape.Push([own, own], h, static (_, _) => { }), Throws.ArgumentException, "one twice");
        Assert.That(own.NeedsGrad, Is.False, "a refused step leaves no mark");

        Tensor y = view.Detach();
        Tape.Push(y, h, Pass, h);
        tape.Backward(y, seed);
        Assert.That(w.Grad!.Value.Span.ToArray(), Is.All.EqualTo(2f));

        static void Pass(Tensor h, Tensor dy) => dy.Span.CopyTo(h.OpenGrad().Span);
    }

    [Test]
    public void The_result_of_a_step_is_no_leaf_and_becomes_none()
    {
        Tensor x = Numbers.Random(4, 8);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor h = Ops.Exp(x), view = h.Reshape(2, 4);
        foreach (Tensor result in new[] { h, view })
            foreach (bool wanted in new[] { true, false })
            {
                Tensor tensor = result;
                Assert.That(
                    () => tensor.RequiresGrad = wanted,
                    Throws.InvalidOperationException.With.Message.Contains("Gradients").And.Message.Contains("Detach"));
            }
        Assert.That((h.RequiresGrad, h.NeedsGrad), Is.EqualTo((false, true)));
        tape.Backward(h, x);
        Assert.That(x.Grad, Is.Not.Null, "and the gradient still flows");

        Tensor leaf = h.Detach();
        leaf.RequiresGrad = true;
        Assert.That(leaf.RequiresGrad);
        leaf.RequiresGrad = false;
        Assert.That(leaf.NeedsGrad, Is.False);
    }

    [Test]
    public void Views_that_cut_the_gradient_and_views_that_let_it_through()
    {
        Tensor x = Numbers.Random(4, 4, 3);
        x.RequiresGrad = true;
        using Tape tape = new();
        foreach (Tensor cut in new[] { x.Detach(), x.Rows(1, 2), x.Clone() })
            Assert.That((cut.NeedsGrad, Ops.Exp(cut).NeedsGrad), Is.EqualTo((false, false)));
        foreach (Tensor through in new[] { x.Reshape(12), Ops.Slice(x, 0, 1, 2), Ops.Slice(x, 1, 1, 2) }) Assert.That(through.NeedsGrad);
        x.Detach().Span[5] = 7f;
        Assert.That(x.Span[5], Is.EqualTo(7f), "a detached tensor is the same memory");
        tape.Backward(Ops.Multiply(x, x.Detach()), Tensor.Full(1f, 4, 3));
        Assert.That(x.Grad!.Value.Span.SequenceEqual(x.Span), "one factor is a constant");
    }

    [Test]
    public void A_paused_tape_records_nothing_and_owns_what_is_made()
    {
        Tensor x = Numbers.Random(4, 8), kept;
        x.RequiresGrad = true;
        using (Tape tape = new())
        {
            using (Tape.Pause())
            {
                kept = Ops.Exp(x);
                Assert.That((Tape.IsRecording, kept.NeedsGrad), Is.EqualTo((false, false)));
                Assert.That(() => Tape.Push(kept, x, static (_, _) => { }), Throws.InvalidOperationException);
                using (Tape.Pause()) Ops.Exp(x);
                Assert.That(Tape.IsRecording, Is.False, "the inner pause ended alone");
                using Tape inner = new();
                inner.Backward(Ops.Scale(x, 2f), Tensor.Full(1f, 8));
            }
            Assert.That(Tape.IsRecording);
            tape.Backward(Ops.Multiply(x, kept), Tensor.Full(1f, 8));
            for (int i = 0; i < 8; i++) Assert.That(x.Grad!.Value.Span[i], Is.EqualTo(2f + MathF.Exp(x.Span[i])).Within(1e-6f));
        }
        Assert.That(() => kept.Span[0], Throws.TypeOf<ObjectDisposedException>(), "the tape gave it back");
        using (Tape.Pause()) Assert.That(Tape.IsRecording, Is.False, "without a tape it is nothing");
    }

    [Test]
    public void A_pause_ends_in_its_turn_or_not_at_all()
    {
        Tape tape = new();
        RecordingPause pause = Tape.Pause();
        Tape inner = new();
        bool refused = false;
        try
        {
            pause.Dispose();
        }
        catch (InvalidOperationException)
        {
            refused = true;
        }
        Assert.That(refused);
        inner.Dispose();
        pause.Dispose();
        Assert.That(Tape.IsRecording);

        pause = Tape.Pause();
        tape.Dispose();
        pause.Dispose();
        Assert.That(Tape.IsRecording, Is.False, "a tape that was closed meanwhile does not come back");
    }

    [Test]
    public void A_pause_outlives_the_tape_that_it_pauses()
    {
        using Tape tape = new();
        Tape inner = new();
        using (Tape.Pause())
        {
            inner.Dispose();
            Assert.That(Tape.IsRecording, Is.False, "the tape around it waits for the end of the pause");
        }
        Assert.That(Tape.IsRecording);

        using (Tape.Pause())
        {
            Tape other = new();
            RecordingPause pause = Tape.Pause();
            other.Dispose();
            pause.Dispose();
            pause.Dispose();
            Assert.That(Tape.IsRecording, Is.False, "the outer pause lasts");
        }
        Assert.That(Tape.IsRecording);
    }

    [Test]
    public void Nothing_is_recorded_without_a_tape()
    {
        Tensor x = Numbers.Random(4, 8);
        x.RequiresGrad = true;
        Assert.That(Ops.Exp(x).NeedsGrad, Is.False);
    }

    [Test]
    public void A_loss_that_depends_on_nothing_is_an_error()
    {
        using Tape tape = new();
        Tensor y = Ops.Exp(Numbers.Random(5, 1));
        Assert.That(() => tape.Backward(y), Throws.InvalidOperationException);
    }

    [Test]
    public void Errors_name_the_operator_and_the_shapes()
    {
        Tensor x = Numbers.Random(6, 2, 3);
        Assert.That(
            () => x.Reshape(4, 2), Throws.TypeOf<ShapeException>().With.Message.Contains("Tensor.Reshape").And.Message.Contains("(2, 3)"));
        Assert.That(() => x.Rows(1, 2), Throws.TypeOf<ShapeException>());
        Assert.That(() => x.Item(), Throws.TypeOf<ShapeException>());
        Assert.That(() => new Shape(1 << 20, 1 << 20), Throws.TypeOf<ShapeException>());
    }

    [Test]
    public void The_last_step_can_be_walked_back_again_and_again()
    {
        using Tape tape = new();
        using Tensor x = Tensor.From([1f, 2f], 2), w = Tensor.From([3f, 5f], 2);
        x.RequiresGrad = true;
        Tensor y = Ops.Multiply(x, w);
        y.OpenGrad().Span.Fill(2f);
        for (int i = 0; i < 3; i++)
        {
            x.ZeroGrad();
            tape.RepeatLastStep();
            Assert.That(x.Grad!.Value.Span.ToArray(), Is.EqualTo(new[] { 6f, 10f }));
        }
        tape.RepeatLastStep();
        Assert.That(x.Grad!.Value.Span.ToArray(), Is.EqualTo(new[] { 12f, 20f }), "without ZeroGrad gradients add up");
    }
}
