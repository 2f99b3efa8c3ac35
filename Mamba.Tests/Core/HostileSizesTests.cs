using Mamba.Core;
using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Memory;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Fault 11: sizes whose sums and products leave 32 bits are refused by name, and neither wrap round nor reach memory.</summary>
internal sealed class HostileSizesTests
{
    private const int Huge = int.MaxValue, Large = 1 << 30;

    private static Tensor SmallImage => Tensor.Zeros(1, 4, 4, 2);

    private static Tensor SmallWeight => Tensor.Zeros(3, 2, 3, 3);

    [Test]
    public void A_sum_of_extents_that_wraps_round_is_refused()
    {
        OperatorCheck.Refuses("Split", () => Ops.Split(Tensor.Zeros(1, 100), 2147483448, 2147483448, 500)[0]);
        OperatorCheck.Refuses("Split", () => Ops.Split(Tensor.Zeros(1, 100), Huge, Huge, 102)[0]);
        Tensor large = Tensor.Zeros(0, Large);
        OperatorCheck.Refuses("Concat", () => Ops.Concat([large, large, large, large]));
        OperatorCheck.Refuses("Concat", () => Ops.Concat([Tensor.Zeros(0, Huge), Tensor.Zeros(0, Huge), Tensor.Zeros(0, 12)]));
    }

    [Test]
    public void A_buffer_is_never_smaller_than_asked_for()
    {
        for (long length = 1; length <= Shape.MaxCount; length += Math.Max(1, length / 97))
            Assert.That(BufferPool.ClassOf((int)length), Is.GreaterThanOrEqualTo(length));
        Assert.That(BufferPool.ClassOf(Shape.MaxCount), Is.EqualTo(Shape.MaxCount));
        foreach (int length in new[] { 2147483600, Huge, Shape.MaxCount + 1, -1 })
            Assert.That(() => BufferPool.ClassOf(length), Throws.TypeOf<ShapeException>(), $"{length}");
        Assert.That(Array.MaxLength - 64, Is.EqualTo(Shape.MaxCount));
    }

    [TestCase(1L << 31), TestCase(1L << 40), TestCase(-1L), TestCase(long.MaxValue)]
    public void Working_memory_that_no_array_holds_is_refused(long length) => Assert.That(() =>
    {
        using Scratch scratch = new((nint)length);
    }, Throws.TypeOf<ShapeException>().With.Message.Contains(length.ToString()));

    [Test]
    public void Ranks_and_ranges_of_tensors_are_checked()
    {
        Tensor x = Tensor.Zeros(4, 3);
        OperatorCheck.Refuses("Tensor.Reshape", () => x.Reshape(new int[10_000_000])); // on the stack it would end the process
        OperatorCheck.Refuses("Shape", () => Tensor.Zeros(new int[10_000_000]));
        OperatorCheck.Refuses("Shape", () => x.Reshape(-1, -1));
        OperatorCheck.Refuses("Shape", () => x.Reshape(Huge, Huge, -1));
        OperatorCheck.Refuses("Tensor.Reshape", () => x.Reshape(-1, 5));
        foreach ((int start, int count) in new[] { (Huge, Huge), (Huge, 1), (1, Huge), (-1, 2), (0, -1), (int.MinValue, Huge), (5, 0) })
        {
            OperatorCheck.Refuses("Tensor.Rows", () => x.Rows(start, count));
            OperatorCheck.Refuses("Slice", () => Ops.Slice(x, 1, start, count));
        }
        foreach (int axis in new[] { 2, -3, Huge, int.MinValue })
        {
            OperatorCheck.Refuses("Slice", () => Ops.Slice(x, axis, 0, 1));
            OperatorCheck.Refuses("Flip", () => Ops.Flip(x, axis));
            OperatorCheck.Refuses("Concat", () => Ops.Concat([x, x], axis));
            Assert.That(() => x.Shape.With(axis, 1), Throws.TypeOf<ShapeException>());
            Assert.That(() => x.Shape[axis], Throws.TypeOf<ShapeException>());
        }
        int[][] impossible = [[Huge, 2], [1 << 16, 1 << 16], [Huge, Huge, Huge, Huge, Huge, Huge], [Large, Large, 4, 1], [-1]];
        foreach (int[] extents in impossible)
            Assert.That(() => new Shape(extents), Throws.TypeOf<ShapeException>());
        Assert.That(new Shape(Huge, Huge, 0, Huge, Huge, Huge).Count, Is.Zero);
    }

    [Test]
    public void Results_that_no_array_holds_are_refused()
    {
        Tensor tall = Tensor.Zeros(1 << 16, 0), column = Tensor.Zeros(1 << 16, 1), row = Tensor.Zeros(1, 1 << 16);
        Assert.That(() => Ops.MatMul(tall, tall, transposeB: true), Throws.TypeOf<ShapeException>());
        Assert.That(() => Ops.Linear(tall, tall), Throws.TypeOf<ShapeException>());
        Assert.That(() => Ops.Add(column, row), Throws.TypeOf<ShapeException>());
        Assert.That(() => Ops.Multiply(column, row), Throws.TypeOf<ShapeException>());
        foreach ((int height, int width) in new[] { (Huge, Huge), (Huge, 1), (1 << 16, 1 << 16) })
        {
            Assert.That(() => Ops.ResizeBilinear(SmallImage, (height, width), false), Throws.TypeOf<ShapeException>());
            Assert.That(() => Ops.AdaptiveAvgPool2d(SmallImage, (height, width)), Throws.TypeOf<ShapeException>());
        }
    }

    [Test]
    public void Empty_tensors_with_huge_other_extents_stay_empty()
    {
        Tensor x = Tensor.Zeros(0, 1 << 20, 1 << 20);
        Assert.That(Ops.Permute(x, 2, 0, 1).Shape, Is.EqualTo(new Shape(1 << 20, 0, 1 << 20)));
        Tensor[] results =
        [
            Ops.Flip(x, 1), Ops.Softmax(x), Ops.LayerNorm(x), Ops.Add(x, x), Ops.InstanceNorm(x), Ops.Relu(x),
            Ops.Concat([x, Tensor.Zeros(0, 1 << 20, 5)]), Ops.Slice(x, 2, 7, 1 << 19), Ops.Mean(x, [-1], keepDim: true),
        ];
        foreach (Tensor y in results)
            Assert.That(y.Count, Is.Zero);
    }

    [Test]
    public void Windows_padding_and_dilation_are_checked_in_64_bits()
    {
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(SmallImage, SmallWeight, options: new() { Padding = Huge }));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(SmallImage, SmallWeight, options: new() { Padding = Large }));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(SmallImage, SmallWeight, options: new() { Dilation = Huge }));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(SmallImage, SmallWeight, options: new() { Padding = Huge, Dilation = Huge }));
        OperatorCheck.Refuses("Conv2d", () =>
            Ops.Conv2d(SmallImage, SmallWeight, options: new() { Padding = Huge, Dilation = Huge, Stride = Huge }));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(SmallImage, SmallWeight, options: new() { Groups = Huge }));
        OperatorCheck.Refuses("Conv1d", () =>
            Ops.Conv1d(Tensor.Zeros(1, 4, 2), Tensor.Zeros(3, 2, 3), options: new() { Padding = Huge, Dilation = Huge }));
        Assert.That(Ops.Conv2d(SmallImage, SmallWeight, options: new() { Stride = Huge }).Shape, Is.EqualTo(new Shape(1, 1, 1, 3)));
        Assert.That(
            () => Ops.Conv2d(SmallImage, SmallWeight, options: new() { Padding = Large - 4, Stride = Large }),
            Throws.TypeOf<ShapeException>(), "a band as large as the padding");

        Tensor weight = Tensor.Zeros(2, 3, 3, 3);
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(SmallImage, weight, options: new() { Stride = Huge }));
        OperatorCheck.Refuses("ConvTranspose2d", () =>
            Ops.ConvTranspose2d(SmallImage, weight, options: new() { Padding = Huge, Stride = Huge }));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(SmallImage, weight, options: new() { Padding = Huge }));
        Assert.That(() => Ops.ConvTranspose2d(SmallImage, weight, options: new() { Stride = 1 << 20 }), Throws.TypeOf<ShapeException>());

        OperatorCheck.RefusesArgument("MaxPool2d", () => Ops.MaxPool2d(SmallImage, 2, new() { Stride = 1, Padding = Huge }));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(SmallImage, Huge, new() { Stride = 1, Padding = Huge / 2 }));
        OperatorCheck.RefusesArgument("MaxPool2d", () => Ops.MaxPool2d(SmallImage, Huge, new() { Stride = Huge, Padding = Huge }));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(SmallImage, Large, new() { Stride = 1, Padding = Large / 2 }));
        Assert.That(Ops.MaxPool2d(SmallImage, 2, new() { Stride = Huge }).Shape, Is.EqualTo(new Shape(1, 1, 1, 2)));
        Assert.That(Ops.MaxPool2d(SmallImage, 4096, new() { Stride = 1, Padding = 2048 }).Shape, Is.EqualTo(new Shape(1, 5, 5, 2)));
    }

    [Test]
    public void Heads_and_groups_do_not_wrap_round()
    {
        Tensor x = Tensor.Zeros(2, 5, 6);
        OperatorCheck.Refuses("SelfAttention", () => Ops.SelfAttention(x, 1431655766)); // three times that is 2 in 32 bits
        OperatorCheck.Refuses("Attention", () => Ops.Attention(x, x, x, Huge));
        OperatorCheck.Refuses("GroupNorm", () => Ops.GroupNorm(x, Huge));
        foreach (int none in new[] { 0, -1, int.MinValue })
        {
            OperatorCheck.RefusesArgument("SelfAttention", () => Ops.SelfAttention(x, none));
            OperatorCheck.RefusesArgument("Attention", () => Ops.Attention(x, x, x, none));
            OperatorCheck.RefusesArgument("GroupNorm", () => Ops.GroupNorm(x, none));
        }
    }

    [Test]
    public void Bands_of_a_convolution_are_sized_in_64_bits()
    {
        ConvShape s = new(1, 1 << 20, 1 << 20, 1 << 10, 1 << 10, 1 << 20, 2, 3, 3, 1 << 10, 1, 0, 0, 1 << 19, 1 << 19, 1);
        Assert.That(() =>
        {
            using PaddedBand band = new(s, 1 << 10);
        }, Throws.TypeOf<ShapeException>());
        Assert.That(() =>
        {
            using PlanarBand band = new(s with { DilationY = Large, DilationX = Large, Cin = 4 }, 1, 16);
        }, Throws.TypeOf<ShapeException>());
    }
}
