using Mamba.Core;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Tape.Gradients: gradients as results, which no tensor keeps.</summary>
internal sealed class SeparateGradientsTests
{
    [Test]
    public void Gradients_come_in_the_order_and_the_shapes_of_the_inputs()
    {
        Tensor x = Leaf(2f, 3f), w = Leaf(5f, 7f);
        using Tape tape = new();
        Tensor h = Ops.Multiply(x, w), sum = Sum(Ops.Scale(h, 10f));
        TensorList gradients = tape.Gradients(sum, h, w, x.Reshape(2, 1), x, sum);
        Assert.That(gradients.Count, Is.EqualTo(5));
        Assert.That(gradients[0].Span.ToArray(), Is.EqualTo(new[] { 10f, 10f }), "of a result");
        Assert.That(gradients[1].Span.ToArray(), Is.EqualTo(new[] { 20f, 30f }));
        Assert.That(gradients[2].Span.ToArray(), Is.EqualTo(new[] { 50f, 70f }));
        Assert.That(gradients[2].Shape, Is.EqualTo(new Shape(2, 1)));
        Assert.That(gradients[3].Span.ToArray(), Is.EqualTo(new[] { 50f, 70f }));
        Assert.That(gradients[4].Item(), Is.EqualTo(1f));
        Assert.That(gradients[0].NeedsGrad, Is.False);
    }

    [Test]
    public void Gradients_of_the_leaves_stay_as_they_are()
    {
        Tensor x = Leaf(2f), w = Leaf(5f), unused = Leaf(1f);
        using (Tape tape = new()) tape.Backward(Ops.Scale(x, 3f));
        using (Tape tape = new())
        {
            Assert.That(tape.Gradients(Ops.Multiply(x, w), w)[0].Item(), Is.EqualTo(2f));
            Assert.That((x.Grad!.Value.Item(), w.Grad), Is.EqualTo((3f, (Tensor?)null)));
            Tensor y = Ops.Exp(x);
            Assert.That(() => tape.Gradients(y, x, unused), Throws.InvalidOperationException.With.Message.Contains("input 1"));
            Assert.That((x.Grad!.Value.Item(), unused.Grad), Is.EqualTo((3f, (Tensor?)null)));
        }
    }

    [Test]
    public void Uses_of_one_tensor_add_up()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        Assert.That(tape.Gradients(Ops.Add(Ops.Multiply(x, x), Ops.Scale(x, 3f)), x)[0].Item(), Is.EqualTo(7f));
    }

    [Test]
    public void The_gradient_of_a_result_is_whole_though_its_memory_is_passed_on()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        // a takes h's gradient, and then adds to it.
        Tensor a = Ops.Scale(x, 1f), early = Ops.Scale(a, 100f), h = Ops.Add(a, Tensor.Full(1f, 1));
        TensorList gradients = tape.Gradients(Ops.Add(early, h), h, a, x);
        Assert.That(gradients[0].Item(), Is.EqualTo(1f));
        Assert.That(gradients[1].Item(), Is.EqualTo(101f));
        Assert.That(gradients[2].Item(), Is.EqualTo(101f));
    }

    [Test]
    public void Steps_before_the_first_result_that_is_asked_for_wait()
    {
        Tensor x = Leaf(2f);
        using Tape tape = new();
        Tensor trunk = Ops.Scale(x, 3f), skip = Ops.Scale(x, 1000f), h = Ops.Exp(trunk), y = Ops.Add(Ops.Multiply(h, h), skip);
        Assert.That(tape.Gradients(y, h)[0].Item(), Is.EqualTo(2f * MathF.Exp(6f)).Within(1e-3f));
        tape.Backward(Ops.Scale(h, 1f)); // the trunk stands, and nothing of the first pass is left in it
        Assert.That(x.Grad!.Value.Item(), Is.EqualTo(3f * MathF.Exp(6f)).Within(1e-3f));
        tape.Backward(Ops.Scale(skip, 1f));
        Assert.That(x.Grad!.Value.Item(), Is.EqualTo(1000f + 3f * MathF.Exp(6f)).Within(1e-3f));
    }

    [Test]
    public void A_tape_around_it_notices_nothing()
    {
        Tensor x = Leaf(2f), w = Leaf(5f);
        using Tape outer = new();
        Tensor h = Ops.Scale(x, 3f), y = Ops.Scale(h, 2f);
        using (Tape inner = new()) Assert.That(inner.Gradients(Ops.Multiply(h, w), w, h)[1].Item(), Is.EqualTo(5f));
        using (Tape inner = new()) inner.Gradients(Ops.Multiply(h, w), w);
        outer.Backward(y);
        Assert.That(x.Grad!.Value.Item(), Is.EqualTo(6f));
    }

    [Test]
    public void A_backward_step_may_differentiate_a_piece_anew()
    {
        Tensor x = Leaf(2f), w = Leaf(5f);
        foreach (bool separate in new[] { false, true })
        {
            using Tape tape = new();
            Tensor y;
            using (Tape.Pause()) y = Piece(x, w);
            Tape.Push(y, (x, w), static (context, dy) =>
            {
                using Tape again = new();
                again.Backward(Piece(context.x, context.w), dy);
            }, x, w);
            float ofX, ofW;
            if (separate) (ofX, ofW) = tape.Gradients(Ops.Scale(y, 10f), x, w) is var both ? (both[0].Item(), both[1].Item()) : default;
            else
            {
                tape.Backward(Ops.Scale(y, 10f));
                (ofX, ofW) = (x.Grad!.Value.Item(), w.Grad!.Value.Item());
                x.ZeroGrad();
                w.ZeroGrad();
            }
            Assert.That((ofX, ofW), Is.EqualTo((200f, 40f)), separate ? "Gradients" : "Backward");
            Assert.That((x.Grad, w.Grad), Is.EqualTo(((Tensor?)null, (Tensor?)null)));
        }

        static Tensor Piece(Tensor x, Tensor w) => Ops.Multiply(Ops.Multiply(x, w), x); // x^2 w
    }

    [Test]
    public void Many_threads_differentiate_by_one_parameter()
    {
        Tensor w = Leaf(5f);
        Parallel.For(0, 64, i =>
        {
            Tensor x = Tensor.Full(i, 1);
            using Tape tape = new();
            Assert.That(tape.Gradients(Ops.Multiply(x, Ops.Multiply(w, w)), w)[0].Item(), Is.EqualTo(10f * i));
        });
        Assert.That(w.Grad, Is.Null);
    }

    [Test]
    public void Wrong_calls_are_refused()
    {
        Tensor x = Leaf(2f), constant = Tensor.Full(1f, 1);
        using Tape tape = new();
        Tensor y = Ops.Exp(x), wide = Ops.Concat([y, y]);
        Assert.That(() => tape.Gradients(wide, x), Throws.TypeOf<ShapeException>());
        Assert.That(() => tape.Gradients(y), Throws.ArgumentException);
        Assert.That(() => tape.Gradients(y, constant), Throws.InvalidOperationException);
        Assert.That(() => tape.Gradients(constant, x), Throws.InvalidOperationException);
        tape.Gradients(y, x);
        Assert.That(() => tape.Gradients(y, x), Throws.InvalidOperationException, "a second time");
        Assert.That(() => tape.Gradients(wide.Detach(), y), Throws.TypeOf<ShapeException>());
        Assert.That(() => tape.Gradients(Sum(wide), y), Throws.InvalidOperationException, "of a result that was walked");
        Assert.That(x.Grad, Is.Null);
    }

    private static Tensor Leaf(params float[] values)
    {
        Tensor x = Tensor.From(values, values.Length);
        x.RequiresGrad = true;
        return x;
    }

    private static Tensor Sum(Tensor x) => Ops.Scale(Ops.Mean(x), x.Count);
}
