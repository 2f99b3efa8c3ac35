using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class PadTests(VectorWidth width)
{
    private static readonly Padding2d[] s_paddings = [0, 1, (2, 3), new(3, 0, 1, 2), new(-1, 2, 1, -2), new(-2, -1, -1, -3), new(2, 3,
        -2, -1)];

    // batch, height, width, channels
    [TestCase(2, 4, 5, 1)]
    [TestCase(1, 4, 5, 3)]
    [TestCase(2, 5, 4, 17)]
    [TestCase(1, 4, 18, 33)]
    public void Pad_fills_borders_and_crops(int batch, int height, int wide, int channels)
    {
        Tensor[] x = [Numbers.Random(1, batch, height, wide, channels)];
        foreach (PadMode mode in Enum.GetValues<PadMode>())
            foreach (Padding2d padding in channels <= 3 ? s_paddings : s_paddings[3..5])
                OperatorCheck.Run(width, i => Ops.Pad(i[0], padding, mode, -1.5f), i => Naive(i[0], x[0].Shape, padding, mode, -1.5), x);
    }

    [TestCase(2, 7, 3), TestCase(1, 8, 17)]
    public void Pad_takes_sequences(int batch, int length, int channels)
    {
        Tensor[] x = [Numbers.Random(1, batch, length, channels)];
        Shape image = new(batch, 1, length, channels);
        foreach (PadMode mode in Enum.GetValues<PadMode>())
            OperatorCheck.Run(
                width, i => Ops.Pad(i[0], new Padding2d(9, 3, 9, 2), mode), i => Naive(i[0], image, new Padding2d(0, 3, 0, 2), mode, 0), x);
    }

    [Test]
    public void Pad_makes_an_image_of_nothing_and_nothing_of_an_image()
    {
        using IDisposable _ = Isa.Use(width);
        OperatorCheck.IsEmpty(i => Ops.Pad(i[0], 2, PadMode.Reflect), Tensor.Zeros(0, 3, 3, 2));
        OperatorCheck.IsEmpty(i => Ops.Pad(i[0], (-1, 0)), Numbers.Random(1, 1, 2, 3, 2));
        OperatorCheck.IsEmpty(i => Ops.Pad(i[0], 1), Tensor.Zeros(1, 2, 3, 0));
        Tensor nothing = Tensor.Zeros(1, 0, 3, 2);
        nothing.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.Pad(nothing, 1, value: 3f);
        Assert.That(y.Shape, Is.EqualTo(new Shape(1, 2, 5, 2)));
        Assert.That(y.Span.ToArray(), Is.All.EqualTo(3f));
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        Assert.That(nothing.Grad!.Value.Count, Is.Zero);
    }

    [Test]
    public void NaN_and_infinity_are_copied()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.From([float.NaN, float.PositiveInfinity, -0f], 1, 1, 3, 1);
        float[] expected = [float.NaN, float.NaN, float.PositiveInfinity, -0f, -0f];
        Assert.That(Ops.Pad(x, (0, 1), PadMode.Replicate).Span.ToArray(), Is.EqualTo(expected));
        Assert.That(Ops.Pad(x, (0, 1), value: float.NaN).Span.ToArray()[0], Is.NaN);
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        const int Huge = int.MaxValue;
        Tensor x = Tensor.Zeros(1, 4, 4, 2);
        OperatorCheck.Refuses("Pad", () => Ops.Pad(Tensor.Zeros(4, 2), 1));
        OperatorCheck.Refuses("Pad", () => Ops.Pad(x, new Padding2d(-3, 0, -2, 0)));
        OperatorCheck.Refuses("Pad", () => Ops.Pad(x, new Padding2d(-Huge, 0, -Huge, 0)));
        OperatorCheck.Refuses("Pad", () => Ops.Pad(x, Huge));
        OperatorCheck.Refuses("Pad", () => Ops.Pad(x, new Padding2d(0, 0, Huge, 0), PadMode.Replicate));
        OperatorCheck.Refuses("Pad", () => Ops.Pad(x, 4, PadMode.Reflect));
        OperatorCheck.Refuses("Pad", () => Ops.Pad(x, 5, PadMode.Circular));
        OperatorCheck.Refuses("Pad", () => Ops.Pad(Tensor.Zeros(1, 0, 4, 2), 1, PadMode.Replicate));
        Assert.That(() => Ops.Pad(x, 1 << 15), Throws.TypeOf<ShapeException>());
        OperatorCheck.RefusesArgument("Pad", () => Ops.Pad(x, Padding2d.Same));
        OperatorCheck.RefusesArgument("Pad", () => Ops.Pad(x, 1, (PadMode)4));
    }

    private static double[] Naive(double[] x, Shape s, Padding2d padding, PadMode mode, double value)
    {
        int height = s[1] + padding.Top + padding.Bottom, wide = s[2] + padding.Left + padding.Right, channels = s[3];
        double[] y = new double[s[0] * height * wide * channels];
        for (int e = 0; e < y.Length; e++)
        {
            int c = e % channels, b = e / channels / wide / height;
            int v = Source(e / channels / wide % height - padding.Top, s[1]), u = Source(e / channels % wide - padding.Left, s[2]);
            y[e] = v < 0 || u < 0 ? value : x[((b * s[1] + v) * s[2] + u) * channels + c];
        }
        return y;

        int Source(int i, int extent)
        {
            bool inside = i >= 0 && i < extent;
            return mode switch
            {
                PadMode.Constant => inside ? i : -1,
                PadMode.Replicate => Math.Clamp(i, 0, extent - 1),
                PadMode.Circular => (i % extent + extent) % extent,
                _ => inside ? i : i < 0 ? -i : 2 * (extent - 1) - i,
            };
        }
    }
}
