using Mamba.Core;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>When a gradient counts as complete. That it does not change afterwards is checked for every operator and every model.</summary>
internal sealed class GradientWatchTests
{
    private readonly List<int> _told = [];

    [SetUp]
    public void SetUp() => _told.Clear();

    /// <summary>The last steps are walked first; a leaf of two steps waits for the first of them.</summary>
    [Test]
    public void Leaves_are_complete_in_the_order_of_the_walk()
    {
        Tensor[] leaves = Leaves(4);
        Dictionary<int, float[]?> complete = [];
        GradientWatch watch = new(leaves, i =>
        {
            _told.Add(i);
            complete[i] = leaves[i].Grad?.Span.ToArray();
        });
        for (int pass = 0; pass < 2; pass++)
        {
            _told.Clear();
            foreach (Tensor leaf in leaves) leaf.ZeroGrad();
            using Tape tape = new() { Watch = watch };
            Tensor y = Ops.Multiply(leaves[0], leaves[1].Reshape(4).Reshape(2, 2));
            y = Ops.Multiply(Ops.Silu(y), leaves[2]);
            using (Tape.Pause()) Ops.Multiply(y, leaves[3]);
            y = Ops.Add(y, leaves[1]);
            tape.Backward(y, Tensor.Full(1f, y.Shape));
            Assert.That(_told, Is.EqualTo(new[] { 3, 2, 1, 0 }));
            Assert.That(complete[3], Is.Null);
            for (int i = 0; i < 3; i++) Assert.That(complete[i], Is.EqualTo(leaves[i].Grad!.Value.Span.ToArray()));
        }
    }

    /// <summary>A step that writes to what no operator has named would make a complete gradient wrong.</summary>
    [Test]
    public void An_input_that_is_not_named_is_found([Values] bool namedLater)
    {
        Tensor[] leaves = Leaves(2);
        GradientWatch watch = new(leaves, _told.Add);
        using (Tape tape = new() { Watch = watch })
        {
            Tensor y = Tensor.Zeros(2, 2);
            Assert.That(Tape.Needs(leaves[0]));
            Tape.Push(y, leaves[1], static (hidden, dy) => hidden.OpenGrad().Span.Fill(1f));
            if (namedLater) y = Ops.Multiply(y, leaves[1]);
            Assert.That(
                () => tape.Backward(y, Tensor.Full(1f, y.Shape)), Throws.InvalidOperationException.With.Message.Contains("Tape.Needs"));
        }
        leaves[1].OpenGrad().Span.Fill(2f); // the pass is over
        Assert.That(leaves[1].Grad!.Value.Span[3], Is.EqualTo(2f));
        Assert.That(_told, Does.Contain(1).And.Not.Contain(0));
    }

    [Test]
    public void A_watch_sees_one_pass_of_one_tape()
    {
        Tensor[] leaves = Leaves(2);
        GradientWatch watch = new(leaves, _told.Add);
        using Tape tape = new() { Watch = watch };
        Tensor a = Ops.Sum(Ops.Silu(leaves[0])), b = Ops.Sum(Ops.Silu(leaves[1]));
        tape.Backward(a);
        Assert.That(() => tape.Backward(b), Throws.InvalidOperationException.With.Message.Contains("one backward pass"));
        Assert.That(_told, Is.EqualTo(new[] { 1, 0 }), "the second loss is not walked, and no one is told twice");
        using (Tape inner = new() { Watch = watch }) inner.Backward(Ops.Sum(Ops.Silu(leaves[0])));
        Assert.That(_told, Has.Count.EqualTo(4));
    }

    [Test]
    public void A_tape_inside_takes_the_watch_and_the_outer_one_says_so()
    {
        Tensor[] leaves = Leaves(1);
        GradientWatch watch = new(leaves, _told.Add);
        using Tape tape = new() { Watch = watch };
        Tensor y = Ops.Sum(Ops.Silu(leaves[0]));
        using (Tape inner = new() { Watch = watch }) Assert.That(inner.Watch, Is.SameAs(watch));
        Assert.That(() => tape.Backward(y), Throws.InvalidOperationException);
        Assert.That(_told, Is.Empty);
    }

    [Test, NonParallelizable]
    public void Watching_allocates_nothing()
    {
        Tensor[] leaves = Leaves(3);
        int told = 0;
        GradientWatch watch = new(leaves, _ => told++);
        long before = 0;
        for (int pass = 0; pass < 5; pass++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            using Tape tape = new() { Watch = watch };
            tape.Backward(Ops.Sum(Ops.Multiply(Ops.Multiply(leaves[0], leaves[1]), leaves[2])));
        }
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
        Assert.That(told, Is.EqualTo(15));
    }

    private static Tensor[] Leaves(int count)
    {
        Tensor[] leaves = [.. Enumerable.Range(0, count).Select(i => Numbers.Random(i + 1, 2, 2))];
        foreach (ref Tensor leaf in leaves.AsSpan()) leaf.RequiresGrad = true;
        return leaves;
    }
}
