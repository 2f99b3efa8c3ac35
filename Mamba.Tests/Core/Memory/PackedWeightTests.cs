using Mamba.Core;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

internal sealed class PackedWeightTests
{
    [Test]
    public void A_view_knows_of_a_freeze_or_a_thaw_that_came_after_it([Values] bool made)
    {
        Tensor w = Tensor.Full(1f, 8, 4), x = Tensor.Full(1f, 1, 4);
        Tensor early = w.Rows(4, 4);
        w.Freeze();
        Tensor late = w.Rows(0, 4);
        Assert.That((early.Forms, late.Forms), Is.EqualTo((w.Forms, w.Forms)), "packed forms belong to the memory");
        if (made) Check(4f); // so that packed forms are there
        w.Thaw();
        foreach (ref float value in w.Span) value *= 2f;
        Check(8f);
        w.Freeze();
        Check(8f);

        void Check(float expected)
        {
            foreach (Tensor view in new[] { early, late, w.Reshape(8, 4), w })
                Assert.That(Ops.Linear(x, view).Span.ToArray(), Is.All.EqualTo(expected));
        }
    }

    [Test]
    public void Memory_that_is_used_again_is_not_frozen()
    {
        Tensor w = Numbers.Random(1, 1234, 7);
        w.Freeze();
        w.Dispose();
        Tensor next = Tensor.Full(1f, 1234, 7); // most likely the same memory
        Assert.That(next.Forms, Is.Null);
    }
}
