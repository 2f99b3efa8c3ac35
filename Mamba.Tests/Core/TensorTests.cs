using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

internal sealed class TensorTests
{
    [Test]
    public void A_handle_never_reads_the_tensor_that_came_after_its_own()
    {
        Tensor lost;
        using (MemoryScope scope = new()) lost = Tensor.Full(1f, 7);
        using Tensor next = Tensor.Full(2f, 7);
        Assert.That(() => lost.Span[0], Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => lost.Shape, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => Ops.Relu(lost), Throws.TypeOf<ObjectDisposedException>());
        lost.Dispose();
        Assert.That(next.Span[6], Is.EqualTo(2f), "a stale handle gives nothing back");
        Assert.That(lost, Is.Not.EqualTo(next));
    }

    [Test]
    public void A_handle_kept_beyond_its_tape_is_refused()
    {
        Tensor x = Numbers.Random(1, 12), kept;
        x.RequiresGrad = true;
        using (Tape tape = new())
        {
            kept = Ops.Exp(x);
            tape.Backward(kept, Tensor.Full(1f, 12));
        }
        using (Tape tape = new())
        {
            Tensor next = Ops.Exp(x);
            Assert.That(() => kept.Span[0], Throws.TypeOf<ObjectDisposedException>());
            Assert.That(() => kept.NeedsGrad, Throws.TypeOf<ObjectDisposedException>());
            Assert.That(() => tape.Backward(kept, next), Throws.TypeOf<ObjectDisposedException>());
        }
    }

    [Test]
    public void A_closed_tape_is_refused_while_another_is_open()
    {
        Tape closed = new();
        closed.Dispose();
        using Tape open = new();
        Tensor x = Numbers.Random(2, 1);
        x.RequiresGrad = true;
        Tensor y = Ops.Exp(x);
        Assert.That(() => closed.Backward(y), Throws.TypeOf<ObjectDisposedException>());
        closed.Dispose();
        open.Backward(y);
        Assert.That(x.Grad!.Value.Span[0], Is.EqualTo(y.Span[0]));
    }

    [Test]
    public void A_step_sees_shape_and_gradient_of_tensors_whose_memory_is_gone()
    {
        Tensor x = Numbers.Random(3, 4, 6);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y;
        using (MemoryScope scope = new())
        {
            Tensor sum = Ops.Add(x, x); // nothing saved: its memory goes with the scope
            y = scope.Return(Ops.Scale(sum.Reshape(24), 3f));
        }
        for (int i = 0; i < 8; i++) Tensor.Full(0f, 4, 6).Dispose(); // these must not take its place
        tape.Backward(y, Tensor.Full(1f, 24));
        Assert.That(x.Grad!.Value.Span.ToArray(), Is.All.EqualTo(6f));
    }

    [Test]
    public void A_list_holds_more_tensors_than_fit_into_it([Values(0, 1, 8, 9, 40)] int count)
    {
        using MemoryScope scope = new();
        TensorList list = default;
        for (int i = 0; i < count; i++) list = list.Append(Tensor.Full(i, 1, 1));
        TensorList longer = list.Append(Tensor.Full(-1f, 1, 1)), other = list.Append(Tensor.Full(-2f, 1, 1));
        Assert.That(list.Count, Is.EqualTo(count));
        Assert.That((longer.Count, longer[count].Item(), other[count].Item()), Is.EqualTo((count + 1, -1f, -2f)));
        Assert.That(() => list[count], Throws.TypeOf<IndexOutOfRangeException>());
        int index = 0;
        foreach (Tensor tensor in list) Assert.That(tensor.Item(), Is.EqualTo(index++));
        Assert.That(index, Is.EqualTo(count));
        Assert.That(new TensorList(list.AsSpan()).AsSpan().SequenceEqual(list.AsSpan()));
        if (count > 0) Assert.That(Ops.Concat(list.AsSpan()).Span.ToArray(), Is.EqualTo(Enumerable.Range(0, count)));
    }

    [Test]
    public void Many_parts_are_joined_and_cut_with_their_gradients()
    {
        Tensor[] parts = [.. Enumerable.Range(0, 11).Select(i => Numbers.Random(i, 3, 2))];
        foreach (Tensor part in parts) part.RequiresGrad = true;
        using Tape tape = new();
        Tensor joined = Ops.Concat(parts);
        TensorList cut = Ops.Split(joined, [.. Enumerable.Repeat(2, 11)]);
        tape.Backward(Ops.Scale(cut[10], 5f), Tensor.Full(1f, 3, 2));
        Assert.That(parts[10].Grad!.Value.Span.ToArray(), Is.All.EqualTo(5f));
        Assert.That(parts[0].Grad!.Value.Span.ToArray(), Is.All.Zero);
    }
}
