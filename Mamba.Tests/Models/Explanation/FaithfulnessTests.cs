using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Explanation;
using Mamba.Models.Files;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Models;

/// <summary>Deletion and insertion of a model that is known: it sees how bright a square is.</summary>
internal sealed class FaithfulnessTests
{
    private const int Side = 32, First = 12, Last = 19, Steps = 8;

    [Test]
    public void The_map_that_names_the_square_beats_random_orders_and_its_reverse_does_not()
    {
        FaithfulnessCurves[] curves = Measure(At(i => IsInside(i) ? 1 : 0), At(i => IsInside(i) ? 0 : 1));
        Assert.That(curves[0].BeatsRandom, Is.True);
        Assert.That(curves[0].ToString(), Does.Match(
            @"^deletion 0\.\d\d \(random 0\.\d\d\), insertion 0\.\d\d \(random 0\.\d\d\): better than random$"));
        Assert.That(curves[1].BeatsRandom, Is.False);
        Assert.That(curves[1].ToString(), Does.EndWith(": not better than random"));
        Assert.That(FaithfulnessCurves.Area(curves[0].Deletion), Is.LessThan(FaithfulnessCurves.Area(curves[1].Deletion) - 0.15));
        Assert.That(FaithfulnessCurves.Area(curves[0].Insertion), Is.GreaterThan(FaithfulnessCurves.Area(curves[1].Insertion) + 0.15));
    }

    [Test]
    public void Curves_begin_and_end_at_the_image_and_at_the_blurred_one()
    {
        FaithfulnessCurves c = Measure(At(i => i))[0];
        foreach (IReadOnlyList<double> curve in new[] { c.Deletion, c.RandomDeletion, c.Insertion, c.RandomInsertion })
            Assert.That(curve, Has.Count.EqualTo(Steps + 1));
        Assert.That(c.Deletion[0], Is.EqualTo(1).Within(1e-6));
        Assert.That(c.Insertion[^1], Is.EqualTo(1).Within(1e-6));
        Assert.That(c.RandomDeletion[0], Is.EqualTo(c.Deletion[0]).Within(1e-12));
        Assert.That(c.Deletion[^1], Is.EqualTo(c.Insertion[0]).Within(1e-12).And.LessThan(0.9));
    }

    [Test]
    public void A_flat_map_is_a_random_order_and_no_order_of_the_pixels()
    {
        ImageExplanation seen = Explanation(At(_ => 1));
        int[] order = new FaithfulnessMeter(Score, seen, (Side, Side, 1), 4, Steps).Order(seen.Methods[0].Mean.Pixels);
        Assert.That(order, Is.EquivalentTo(Enumerable.Range(0, 64)).And.Not.EqualTo(Enumerable.Range(0, 64)));
        Assert.That(order, Is.Not.Ordered.And.Not.Ordered.Descending);
    }

    [Test]
    public void Blocks_are_ordered_by_their_mean_also_where_the_last_are_cut()
    {
        ImageExplanation seen = Explanation(At(i => i / Side * 100 + i % Side));
        int[] order = new FaithfulnessMeter(Score, seen, (Side, Side, 1), 12, Steps).Order(seen.Methods[0].Mean.Pixels);
        Assert.That(order, Is.EqualTo(new[] { 8, 7, 6, 5, 4, 3, 2, 1, 0 }));
    }

    [Test]
    public void The_mean_of_several_images_is_that_of_each_point()
    {
        FaithfulnessCurves[] both = Measure(At(i => IsInside(i) ? 1 : 0), At(i => i));
        FaithfulnessCurves mean = FaithfulnessCurves.MeanOf(both);
        Assert.That(mean.Deletion, Is.EqualTo(both[0].Deletion.Zip(both[1].Deletion, (a, b) => (a + b) / 2)).Within(1e-12));
        Assert.That(() => FaithfulnessCurves.MeanOf([]), Throws.ArgumentException);
    }

    [Test]
    public void An_area_is_a_trapezoids() => Assert.That(FaithfulnessCurves.Area([1, 0.5, 0]), Is.EqualTo(0.5));

    private static FaithfulnessCurves[] Measure(params float[][] maps) =>
        new FaithfulnessMeter(Score, Explanation(maps), (Side, Side, 1), 4, Steps).Measure(CancellationToken.None);

    /// <summary>The brightness of the square, as the probability of each of its pixels.</summary>
    private static Tensor Score(Tensor images)
    {
        Tensor y = Tensor.Zeros(images.Shape);
        int pixels = Side * Side;
        for (int image = 0; image < images.Shape[0]; image++)
        {
            Span<float> x = images.Span.Slice(image * pixels, pixels), to = y.Span.Slice(image * pixels, pixels);
            float sum = 0, count = 0;
            for (int i = 0; i < pixels; i++)
                if (IsInside(i)) (sum, count) = (sum + x[i], count + 1);
            for (int i = 0; i < pixels; i++)
                if (IsInside(i)) to[i] = sum / count;
        }
        return y;
    }

    private static ImageExplanation Explanation(params float[][] maps)
    {
        Image picture = new(Side, Side, 1);
        float[] input = At(i => IsInside(i) ? 1 : 0);
        ModelInfo info = new(
            "unet", Registry.Find("unet").Config with { InputChannels = 1 }, ["lesion"], Normalization.None(1),
            new RunData(SplitProtocol.Image, 0, null, Side, Side));
        ExplanationTarget target = ExplanationTarget.Of(info, input, picture, new ExplanationOptions());
        Assert.That(target.Description, Is.EqualTo("lesion, 64 of 1,024 pixels"));
        InputSize size = new(Side, Side, Side, Side);
        return new ImageExplanation(picture, input, target, [.. maps.Select(values =>
        {
            ExplanationMap map = ExplanationMap.Of("layer", "", Side, Side, values, size);
            return new MethodExplanation(ExplanationMethod.GradCam, [map], map);
        })]);
    }

    private static float[] At(Func<int, float> value) => [.. Enumerable.Range(0, Side * Side).Select(value)];

    private static bool IsInside(int i) => i / Side is >= First and <= Last && i % Side is >= First and <= Last;
}
