using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class NormTests(VectorWidth width)
{
    private static readonly BatchNormOptions s_training = new() { Training = true };

    [TestCase(3, 4, 5, 1), TestCase(1, 5, 5, 3), TestCase(3, 3, 4, 17), TestCase(1, 4, 5, 33)]
    [TestCase(2, 30, 40, 9)] // several chunks of rows
    public void BatchNorm_in_training_uses_the_batch(int batch, int height, int wide, int channels) => OperatorCheck.Run(
        width, i => Ops.BatchNorm(i[0], i[1], i[2], Tensor.Zeros(channels), Tensor.Full(1f, channels), s_training),
        i => Naive.Normalize(i[0], e => e % channels, i[1], i[2], channels),
        [Numbers.Uniform(1, -1f, 3f, batch, height, wide, channels), Numbers.Random(2, channels), Numbers.Random(3, channels)]);

    [TestCase(3, 1), TestCase(1, 17), TestCase(3, 33)]
    public void BatchNorm_in_evaluation_uses_the_running_statistics(int batch, int channels) => OperatorCheck.Run(
        width, i => Ops.BatchNorm(i[0], i[1], i[2], i[3], i[4], new BatchNormOptions { Eps = 1e-3f }),
        i =>
        [
            .. i[0].Select((x, e) =>
                (x - i[3][e % channels]) / Math.Sqrt(i[4][e % channels] + 1e-3) * i[1][e % channels] + i[2][e % channels]),
        ],
        [
            Numbers.Random(1, batch, 3, 5, channels), Numbers.Random(2, channels), Numbers.Random(3, channels), Numbers.Random(4, channels),
            Numbers.Uniform(5, 0.5f, 2f, channels),
        ], 1e-5, 3, 4);

    [TestCase(3, 4, 5, 1), TestCase(1, 5, 5, 3), TestCase(3, 3, 4, 17), TestCase(1, 4, 5, 40)]
    [TestCase(1, 10, 14, 3)] // several chunks of rows
    public void BatchNorm_with_ReLU_is_one_operator(int batch, int height, int wide, int channels) => OperatorCheck.Run(
        width, i => Ops.BatchNorm(i[0], i[1], i[2], Tensor.Zeros(channels), Tensor.Full(1f, channels),
            s_training with { Activation = Activation.Relu }),
        i => [.. Naive.Normalize(i[0], e => e % channels, i[1], i[2], channels).Select(y => Math.Max(0, y))],
        [Numbers.Uniform(1, -1f, 3f, batch, height, wide, channels), Numbers.Random(2, channels), Numbers.Random(3, channels)]);

    // Many pixels: several short rows are one long row. batch, height, width, channels, groups
    [TestCase(2, 8, 12, 6, 3), TestCase(1, 13, 16, 8, 4), TestCase(1, 11, 17, 24, 4), TestCase(1, 16, 20, 4, 1)]
    public void GroupNorm_of_few_channels_normalizes_groups_of_each_image(int batch, int height, int wide, int channels, int groups) =>
        OperatorCheck.Run(
            width, i => Ops.GroupNorm(i[0], groups, i[1], i[2]),
            i => Naive.Normalize(
                i[0], e => e / (height * wide * channels) * groups + e % channels / (channels / groups), i[1], i[2], channels),
            [Numbers.Uniform(1, -1f, 3f, batch, height, wide, channels), Numbers.Random(2, channels), Numbers.Random(3, channels)]);

    // Windows before normalization, and three operators one after the other: a negative weight takes the second way.
    [Test]
    public void A_norm_with_windows_and_activation_is_the_three_operators(
        [Values(8, 12, 24)] int channels, [Values(false, true)] bool negative, [Values] bool recorded,
        [Values(Activation.None, Activation.Relu, Activation.Gelu, Activation.Silu)] Activation activation)
    {
        using IDisposable _ = Isa.Use(width);
        ParameterStore store = new(1);
        GroupNorm norm = new(new Scope(store), 4, channels);
        Numbers.Uniform(2, negative ? -1f : 0f, 2f, channels).Span.CopyTo(norm.Weight.Span);
        Numbers.Random(3, channels).Span.CopyTo(norm.Bias.Span);
        Tensor x = Numbers.Random(1, 2, 17, 18, channels);
        using Tape? tape = recorded ? new Tape() : null;
        float[] expected = Ops.Apply(activation, Ops.MaxPool2d(norm.Forward(x), 2)).Span.ToArray();
        Assert.That(norm.ForwardMaxPool(x, 2, activation).Span.ToArray(), Is.EqualTo(expected));
        Assert.That(norm.ForwardMaxPool(Tensor.Zeros(0, 4, 4, channels), 2, activation).Shape, Is.EqualTo(new Shape(0, 2, 2, channels)));
    }

    [TestCase(1, 1), TestCase(3, 3), TestCase(1, 17), TestCase(3, 33)]
    public void InstanceNorm_with_leaky_ReLU_is_one_operator(int batch, int channels) => OperatorCheck.Run(
        width, i => Ops.InstanceNorm(i[0], eps: 1e-4f, activation: Activation.LeakyRelu),
        i =>
        [
            .. Naive.Normalize(i[0], e => e / (20 * channels) * channels + e % channels, null, null, channels, 1e-4)
                .Select(y => Math.Max(0.01 * y, y)),
        ],
        [Numbers.Uniform(1, -1f, 3f, batch, 4, 5, channels)]);

    [Test]
    public void BatchNorm_learns_the_running_statistics()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Numbers.Uniform(1, 2f, 4f, 2, 3, 5, 2), mean = Tensor.From([1f, 2f], 2), variance = Tensor.From([3f, 4f], 2);
        Ops.BatchNorm(x, Tensor.Full(1f, 2), Tensor.Zeros(2), mean, variance, s_training with { Momentum = 0.25f });
        for (int c = 0; c < 2; c++)
        {
            double[] values = [.. x.ToDouble().Where((_, i) => i % 2 == c)];
            double average = values.Average(), unbiased = values.Sum(v => (v - average) * (v - average)) / (values.Length - 1);
            Assert.That(mean.Span[c], Is.EqualTo(0.75 * (c + 1) + 0.25 * average).Within(1e-6));
            Assert.That(variance.Span[c], Is.EqualTo(0.75 * (c + 3) + 0.25 * unbiased).Within(1e-6));
        }
    }

    [TestCase(1, 3, 1), TestCase(3, 6, 3), TestCase(1, 34, 2), TestCase(3, 33, 11), TestCase(3, 17, 17)]
    public void GroupNorm_normalizes_groups_of_each_image(int batch, int channels, int groups) => OperatorCheck.Run(
        width, i => Ops.GroupNorm(i[0], groups, i[1], i[2]),
        i => Naive.Normalize(i[0], e => e / (20 * channels) * groups + e % channels / (channels / groups), i[1], i[2], channels),
        [Numbers.Uniform(1, -1f, 3f, batch, 4, 5, channels), Numbers.Random(2, channels), Numbers.Random(3, channels)]);

    [TestCase(1, 1), TestCase(3, 3), TestCase(1, 17), TestCase(3, 33)]
    public void InstanceNorm_normalizes_channels_of_each_image(int batch, int channels) => OperatorCheck.Run(
        width, i => Ops.InstanceNorm(i[0], eps: 1e-4f),
        i => Naive.Normalize(i[0], e => e / (20 * channels) * channels + e % channels, null, null, channels, 1e-4),
        [Numbers.Uniform(1, -1f, 3f, batch, 4, 5, channels)]);

    [TestCase(1, 3), TestCase(2, 65), TestCase(3, 17), TestCase(5, 33), TestCase(600, 33), TestCase(7, 2100)]
    public void LayerNorm_normalizes_rows(int rows, int channels)
    {
        Tensor x = Numbers.Uniform(1, -1f, 3f, rows, channels);
        OperatorCheck.Run(
            width, i => Ops.LayerNorm(i[0], i[1], i[2]), i => Naive.Normalize(i[0], e => e / channels, i[1], i[2], channels),
            [x, Numbers.Random(2, channels), Numbers.Random(3, channels)]);
        OperatorCheck.Run(width, i => Ops.LayerNorm(i[0]), i => Naive.Normalize(i[0], e => e / channels, null, null, channels), [x]);
    }

    [TestCase(1, 2), TestCase(3, 3), TestCase(3, 17), TestCase(600, 33)]
    public void RmsNorm_divides_rows_by_their_root_mean_square(int rows, int channels) => OperatorCheck.Run(
        width, i => Ops.RmsNorm(i[0], i[1], 1e-3f),
        i => Naive.Normalize(i[0], e => e / channels, i[1], null, channels, 1e-3, center: false),
        [Numbers.Uniform(1, -1f, 3f, rows, channels), Numbers.Random(2, channels)]);

    [Test]
    public void A_large_mean_does_not_drown_the_variance()
    {
        using IDisposable _ = Isa.Use(width);
        // 1000 and 1000.5 alternate: float32 holds both exactly, but not their squares.
        Tensor x = Tensor.From([.. Enumerable.Range(0, 64).Select(i => i / 2 % 2 == 0 ? 1000f : 1000.5f)], 1, 4, 8, 2);
        Tensor y = Ops.InstanceNorm(x, eps: 0f);
        for (int i = 0; i < 64; i++) Assert.That(y.Span[i], Is.EqualTo(i / 2 % 2 == 0 ? -1f : 1f).Within(1e-3f));
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(2, 3, 3, 4), four = Tensor.Zeros(4), three = Tensor.Zeros(3);
        OperatorCheck.Refuses("BatchNorm", () => Ops.BatchNorm(x, three, four, four, four, s_training));
        OperatorCheck.Refuses("BatchNorm", () => Ops.BatchNorm(x, four, three, four, four, s_training));
        OperatorCheck.Refuses("BatchNorm", () => Ops.BatchNorm(x, four, four, three, four));
        OperatorCheck.Refuses("BatchNorm", () => Ops.BatchNorm(x, four, four, four, three));
        OperatorCheck.Refuses("BatchNorm", () => Ops.BatchNorm(Tensor.Zeros(1, 1, 1, 4), four, four, four, four, s_training));
        OperatorCheck.Refuses("GroupNorm", () => Ops.GroupNorm(x, 3));
        OperatorCheck.RefusesArgument("GroupNorm", () => Ops.GroupNorm(x, 0));
        OperatorCheck.Refuses("GroupNorm", () => Ops.GroupNorm(x, 2, three));
        OperatorCheck.Refuses("InstanceNorm", () => Ops.InstanceNorm(four));
        OperatorCheck.Refuses("LayerNorm", () => Ops.LayerNorm(x, three));
        OperatorCheck.Refuses("LayerNorm", () => Ops.LayerNorm(Tensor.Zeros()));
        Assert.That(() => Ops.BatchNorm(x), Throws.TypeOf<ArgumentException>());
        Assert.That(() => Ops.BatchNorm(x, four, four, runningVar: four, options: s_training), Throws.TypeOf<ArgumentException>());
        OperatorCheck.Refuses("RmsNorm", () => Ops.RmsNorm(x, three));
    }

    [TestCase(7, 5), TestCase(3, 33)]
    public void BatchNorm_takes_features_without_affine_parameters(int batch, int channels) => OperatorCheck.Run(
        width, i => Ops.BatchNorm(i[0], options: s_training), i => Naive.Normalize(i[0], e => e % channels, null, null, channels),
        [Numbers.Uniform(1, -1f, 3f, batch, channels)]);

    [Test]
    public void Any_activation_follows_a_norm()
    {
        Tensor x = Numbers.Uniform(1, -1f, 3f, 2, 4, 5, 7);
        OperatorCheck.Run(
            width, i => Ops.BatchNorm(i[0], options: s_training with { Activation = Activation.Silu }),
            i => [.. Naive.Normalize(i[0], e => e % 7, null, null, 7).Select(y => y / (1 + Math.Exp(-y)))], [x]);
    }

    [Test]
    public void Norms_take_no_images_and_no_rows()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor weight = Tensor.Full(1f, 4), mean = Tensor.Zeros(4), variance = Tensor.Full(1f, 4), images = Tensor.Zeros(0, 3, 5, 4);
        OperatorCheck.IsEmpty(i => Ops.GroupNorm(i[0], 2, i[1], i[2]), images, weight, mean);
        OperatorCheck.IsEmpty(i => Ops.InstanceNorm(i[0], i[1], activation: Activation.Relu), images, weight);
        OperatorCheck.IsEmpty(i => Ops.LayerNorm(i[0], i[1], i[2]), Tensor.Zeros(3, 0, 4), weight, mean);
        OperatorCheck.IsEmpty(i => Ops.RmsNorm(i[0], i[1]), Tensor.Zeros(0, 4), weight);
        OperatorCheck.IsEmpty(i => Ops.BatchNorm(i[0], i[1], i[2], mean.Clone(), variance.Clone()), images, weight, mean);
    }

    [Test]
    public void An_outlier_in_the_corner_costs_no_accuracy()
    {
        // Deviations were once taken from the first pixel, which padding makes unlike the others.
        const int Side = 64, Channels = 16;
        Tensor x = Numbers.Uniform(3, 0f, 1f, 1, Side, Side, Channels);
        x.Span[..Channels].Fill(30f);
        Tensor y = Ops.InstanceNorm(x);
        double worst = 0;
        for (int c = 0; c < Channels; c++)
        {
            double[] column = [.. Enumerable.Range(0, Side * Side).Select(i => (double)x.Span[i * Channels + c])];
            double mean = column.Average(), deviation = Math.Sqrt(column.Average(v => (v - mean) * (v - mean)) + 1e-5);
            for (int i = 0; i < column.Length; i++)
                worst = Math.Max(worst, Math.Abs(y.Span[i * Channels + c] - (column[i] - mean) / deviation));
        }
        Assert.That(worst, Is.LessThan(5e-6)); // the outlier itself is at 43, with a spacing of 4e-6
    }
}
