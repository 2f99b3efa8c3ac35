using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Which steps a backward pass walks, in what order of calls, and what it leaves.</summary>
[NonParallelizable]
internal sealed class RecordingTests
{
    [Test]
    public void Losses_without_a_common_step_are_differentiated_one_after_the_other([Values] bool lastFirst)
    {
        Tensor x = Leaf(1f, 2f), w = Leaf(3f, 5f);
        using Tape tape = new();
        Tensor a = Ops.Scale(Ops.Multiply(x, x), 10f), b = Ops.Multiply(Ops.Exp(w), x);
        Tensor ones = Tensor.Full(1f, 2);
        tape.Backward(lastFirst ? b : a, ones);
        tape.Backward(lastFirst ? a : b, ones);
        Assert.That(Gradient(x), Is.EqualTo(new[] { 20f + MathF.Exp(3f), 40f + MathF.Exp(5f) }).Within(1e-4f).Percent);
        Assert.That(Gradient(w), Is.EqualTo(new[] { MathF.Exp(3f), 2f * MathF.Exp(5f) }).Within(1e-4f).Percent);
    }

    [Test]
    public void A_second_loss_over_a_shared_trunk_is_refused_and_not_ignored()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        Tensor trunk = Ops.Exp(x), first = Ops.Scale(trunk, 2f), second = Ops.Scale(trunk, 3f);
        tape.Backward(first);
        Assert.That(() => tape.Backward(second), Throws.InvalidOperationException.With.Message.Contains("Detach"));

        tape.Backward(Ops.Multiply(x, trunk.Detach()));
        Assert.That(Gradient(x)[0], Is.EqualTo(3f * MathF.Exp(2f)).Within(1e-5f), "the tape records and differentiates on");
    }

    [Test]
    public void A_second_backward_pass_is_refused_and_not_ignored()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        Tensor y = Ops.Exp(x);
        tape.Backward(y);
        Assert.That(() => tape.Backward(y), Throws.InvalidOperationException);
        Assert.That(() => tape.Backward(Ops.Scale(y, 2f)), Throws.InvalidOperationException, "nor through a later step");
        Assert.That(Gradient(x)[0], Is.EqualTo(MathF.Exp(2f)).Within(1e-5f));
    }

    [Test]
    public void Losses_over_a_shared_trunk_go_together()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        Tensor trunk = Ops.Exp(x), one = Tensor.Full(1f, 1);
        tape.Backward([Ops.Scale(trunk, 2f), Ops.Scale(trunk, 3f)], [one, one]);
        Assert.That(Gradient(x)[0], Is.EqualTo(5f * MathF.Exp(2f)).Within(1e-4f));
    }

    [Test]
    public void A_pass_that_failed_leaves_no_part_of_a_gradient_with_the_steps_that_wait()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        Tensor h = Ops.Scale(x, 3f), spent = Ops.Exp(x);
        tape.Backward(spent);
        x.ZeroGrad();
        Assert.That(() => tape.Backward(Ops.Add(Ops.Scale(spent, 1f), Ops.Scale(h, 7f))), Throws.InvalidOperationException);
        x.ZeroGrad();
        tape.Backward(Ops.Scale(h, 1f));
        Assert.That(Gradient(x)[0], Is.EqualTo(3f));
    }

    [Test]
    public void A_step_that_waits_has_its_values_computed_again_after_their_own_step_was_walked()
    {
        Tensor x = Numbers.Random(2, 2, 3, 4), w = Numbers.Random(3, 2, 3, 4);
        (x.RequiresGrad, w.RequiresGrad) = (true, true);
        float[] target = Ops.InstanceNorm(x.Detach(), activation: Activation.Relu).Span.ToArray();
        long before = RentedMemory.OfTheLiving();
        using (Tape tape = new())
        {
            Tensor waiting, loss;
            using (MemoryScope scope = new())
            {
                Tensor y = Ops.InstanceNorm(x, activation: Activation.Relu), joined = Ops.Concat([y, y]);
                waiting = scope.Return(Ops.BinaryCrossEntropyWithLogits(w, Ops.Slice(joined, -1, 0, 4)));
                waiting = scope.Return(Ops.Add(waiting, Ops.BinaryCrossEntropyWithLogits(w, y)));
                loss = scope.Return(Ops.Exp(joined));
            }
            for (int i = 0; i < 4; i++) Tensor.Full(float.NaN, 2, 3, 4).Dispose(); // what was given back has other numbers
            tape.Backward(loss, Tensor.Full(1f, 2, 3, 8));
            tape.Backward(waiting);
        }
        for (int i = 0; i < target.Length; i++)
        {
            float p = 1 / (1 + MathF.Exp(-w.Span[i]));
            Assert.That(Gradient(w)[i], Is.EqualTo(2f * (p - target[i]) / target.Length).Within(1e-6f), $"element {i}");
        }
        Assert.That(BufferPool.Rented, Is.EqualTo(before + GradientsOf(x, w)), "and everything is given back");
    }

    /// <summary>A norm of a norm, a norm of a concatenation, and the reverse, whose memory is given back after the forward pass.</summary>
    [Test]
    public void Values_are_computed_again_from_others_that_are([Values(0, 1, 2)] int chain)
    {
        Tensor x = Numbers.Random(2, 2, 3, 4), w = Numbers.Random(3, 2, 3, chain == 0 ? 4 : 8);
        (x.RequiresGrad, w.RequiresGrad) = (true, true);
        (float[] ofX, float[] ofW) = Gradients(scoped: false);
        (float[] againX, float[] againW) = Gradients(scoped: true);
        Assert.That(againX, Is.EqualTo(ofX));
        Assert.That(againW, Is.EqualTo(ofW));

        (float[] X, float[] W) Gradients(bool scoped)
        {
            x.ZeroGrad();
            w.ZeroGrad();
            using Tape tape = new();
            Tensor y = scoped ? InScope() : Product();
            tape.Backward(y, Tensor.Full(1f, y.Shape));
            return (Gradient(x), Gradient(w));
        }

        Tensor InScope()
        {
            using MemoryScope scope = new();
            return scope.Return(Product());
        }

        // The product saves its factor, which is recomputed for the gradient of w.
        Tensor Product() => Ops.Multiply(w, chain switch
        {
            0 => Norm(Norm(x)),
            1 => Norm(Ops.Concat([Norm(x), x])),
            _ => Ops.Concat([Norm(Norm(x)), x]),
        });

        static Tensor Norm(Tensor x) => Ops.BatchNorm(x, options: new() { Training = true, Activation = Activation.Relu });
    }

    [Test]
    public void An_inner_tape_records_on_while_the_outer_one_walks_back()
    {
        Tensor x = Leaf(2f);
        using Tape outer = new();
        Tensor y = Ops.Exp(x);
        using Tape inner = new();
        Tensor before = Ops.Scale(x, 3f);
        outer.Backward(y);
        Assert.That(Tape.IsRecording);
        Tensor after = Ops.Scale(before, 5f);
        x.ZeroGrad();
        inner.Backward(after);
        Assert.That(Gradient(x)[0], Is.EqualTo(15f));
    }

    [Test]
    public void A_gradient_that_an_inner_tape_leaves_flows_on_in_the_outer_one()
    {
        Tensor x = Leaf(2f);
        using Tape outer = new();
        Tensor h = Ops.Scale(x, 3f), z = Ops.Scale(h, 2f);
        using (Tape inner = new()) inner.Backward(Ops.Scale(h, 10f));
        outer.Backward(z);
        Assert.That(Gradient(x)[0], Is.EqualTo(36f));
    }

    [Test]
    public void A_loss_of_another_tape_is_refused_and_not_ignored()
    {
        Tensor x = Leaf(2f);
        using Tape outer = new();
        Tensor y = Ops.Exp(x);
        using Tape inner = new();
        Assert.That(() => inner.Backward(y), Throws.InvalidOperationException.With.Message.Contains("another tape"));
        Assert.That(() => inner.Gradients(y, x), Throws.InvalidOperationException.With.Message.Contains("another tape"));
    }

    [Test]
    public void Nothing_that_a_backward_step_computes_is_recorded()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        Tensor y = Tensor.Full(4f, 1);
        bool recorded = true;
        Tape.Push(y, x, (x, dy) =>
        {
            recorded = Tape.IsRecording || Ops.Exp(x).NeedsGrad;
            dy.Span.CopyTo(x.OpenGrad().Span);
        }, x);
        tape.Backward(y);
        Assert.That((recorded, Tape.IsRecording), Is.EqualTo((false, true)));
    }

    [Test]
    public void A_step_that_calls_backward_on_its_own_tape_is_refused()
    {
        Tensor x = Leaf(2f);
        Tape tape = new();
        Tensor y = Tensor.Full(4f, 1), z = Ops.Exp(x);
        Tape.Push(y, (x, z, tape), static (context, _) => context.tape.Backward(context.z), x);
        Assert.That(() => tape.Backward(y), Throws.InvalidOperationException);
        tape.Dispose();
    }

    [Test]
    public void Losses_one_after_the_other_allocate_nothing_and_give_everything_back()
    {
        Tensor x = Numbers.Random(5, 3, 4, 8);
        x.RequiresGrad = true;
        for (int i = 0; i < 3; i++) Step(x);
        long memory = RentedMemory.OfTheLiving(), before = GC.GetAllocatedBytesForCurrentThread();
        Step(x);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
        Assert.That(BufferPool.Rented, Is.EqualTo(memory));

        static void Step(Tensor x)
        {
            using Tape tape = new();
            Tensor a = Ops.InstanceNorm(x, activation: Activation.Relu), b = Ops.Exp(x), c = Ops.Softmax(Ops.Concat([a, b.Detach()]));
            tape.Backward(b, x);
            using (Tape.Pause()) Ops.Exp(a);
            tape.Gradients(Ops.BinaryCrossEntropyWithLogits(c, c.Detach()), x, a, c);
        }
    }

    [Test]
    public void A_tape_is_differentiated_on_its_own_thread_alone()
    {
        Tensor x = Leaf(2f);
        Tape tape = new();
        Tensor y;
        using (MemoryScope scope = new()) y = scope.Return(Ops.Exp(Ops.Square(x)));
        Exception? refused = null;
        Thread other = new(() => refused = Assert.Catch(() => tape.Backward(y)));
        other.Start();
        other.Join();
        Assert.That(refused, Is.InstanceOf<InvalidOperationException>().With.Message.Contains("another thread"));
        Assert.That(x.Grad, Is.Null);
        tape.Backward(y);
        Assert.That(Gradient(x)[0], Is.EqualTo(4f * MathF.Exp(4f)).Within(1e-3f), "on its own thread it is as it was");
        tape.Dispose();
    }

    [Test]
    public void A_backward_pass_from_no_output_is_refused_and_not_ignored()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        Tensor y = Ops.Exp(x);
        Assert.That(() => tape.Backward([], []), Throws.ArgumentException.And.Not.InstanceOf<ShapeException>());
        Assert.That(() => tape.Backward([y], []), Throws.ArgumentException.And.Not.InstanceOf<ShapeException>());
        tape.Backward(y);
        Assert.That(Gradient(x)[0], Is.EqualTo(MathF.Exp(2f)).Within(1e-5f));
    }

    [Test]
    public void A_step_without_an_output_or_a_backward_pass_is_refused_at_the_door()
    {
        using Tape tape = new();
        Tensor y = Tensor.Zeros(2);
        Assert.That(() => Tape.Push(y, 0, (Action<int, Tensor>)null!), Throws.ArgumentNullException);
        Assert.That(y.NeedsGrad, Is.False, "nothing was recorded");
        Assert.That(() => Tape.Push([], 0, static (int _, ReadOnlySpan<Tensor> _) => { }), Throws.ArgumentException);
    }

    [Test]
    public void A_tensor_that_the_tape_returns_outlives_it()
    {
        Tensor x = Leaf(2f), gradient, value, lost;
        using (Tape tape = new())
        {
            Tensor y = Ops.Exp(x);
            value = tape.Return(y.Detach());
            lost = y;
            using MemoryScope scope = new();
            gradient = tape.Return(scope.Return(tape.Gradients(y, x)[0]));
        }
        Assert.That(new[] { value.Item(), gradient.Item() }, Is.All.EqualTo(MathF.Exp(2f)).Within(1e-5f));
        Assert.That(() => lost.Item(), Throws.TypeOf<ObjectDisposedException>());
        Assert.That((value.NeedsGrad, gradient.NeedsGrad), Is.EqualTo((false, false)));
    }

    private static Tensor Leaf(params float[] values)
    {
        Tensor x = Tensor.From(values, values.Length);
        x.RequiresGrad = true;
        return x;
    }

    private static float[] Gradient(Tensor x) => x.Grad!.Value.Span.ToArray();

    /// <summary>What the pool counts for the gradients of these leaves.</summary>
    private static long GradientsOf(params Tensor[] leaves) => leaves.Sum(leaf => Math.Max(64, leaf.Count));
}
