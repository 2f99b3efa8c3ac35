using Mamba.Core;

namespace Mamba.Tests.Core;

internal sealed class Size2dTests
{
    [Test]
    public void One_number_stands_for_two_equal_ones_and_a_pair_is_rows_and_columns()
    {
        Size2d three = 3, pair = (2, 5);
        Assert.That((three.Height, three.Width, pair.Height, pair.Width), Is.EqualTo((3, 3, 2, 5)));
        Assert.That(pair.ToString(), Is.EqualTo("2 x 5"));
    }

    [Test]
    public void Padding_of_one_number_or_a_pair_is_the_same_on_opposite_sides()
    {
        Padding2d one = 2, pair = (1, 3);
        Assert.That(one, Is.EqualTo(new Padding2d(2, 2, 2, 2)));
        Assert.That(pair, Is.EqualTo(new Padding2d(Top: 1, Left: 3, Bottom: 1, Right: 3)));
        Assert.That((one.IsSame, Padding2d.Same.IsSame, Padding2d.Same.ToString()), Is.EqualTo((false, true, "same")));
    }

    // PyTorch: the smaller half before, the larger half after.
    [TestCase(3, 1, 1, 1), TestCase(4, 1, 1, 2), TestCase(2, 3, 1, 2), TestCase(1, 9, 0, 0)]
    [TestCase(int.MaxValue, int.MaxValue, int.MaxValue, int.MaxValue)] // more than an int holds, for the operator to refuse
    public void Same_padding_follows_from_the_window(int kernel, int dilation, int before, int after)
    {
        Assert.That(Padding2d.Same.For(kernel, dilation), Is.EqualTo(new Padding2d(before, before, after, after)));
        Assert.That(((Padding2d)7).For(kernel, dilation), Is.EqualTo((Padding2d)7));
    }
}
