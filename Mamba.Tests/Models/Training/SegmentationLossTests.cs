using Mamba.Core;
using Mamba.Models.Recipes;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The losses of segmentation against their formulas in double precision, with gradients by finite differences.</summary>
internal sealed class SegmentationLossTests
{
    private const int Batch = 2, Side = 5, Pixels = Batch * Side * Side, Classes = 3;
    private const double Tolerance = 2e-5;

    private static readonly LossKind[] s_mask =
        [LossKind.Dice, LossKind.BceWithLogits, LossKind.BceDice, LossKind.Focal, LossKind.Tversky];

    private static readonly LossKind[] s_classes = [LossKind.CeDice, LossKind.Ce, LossKind.Dice, LossKind.Focal, LossKind.Tversky];

    private static readonly float[] s_truth = Array.ConvertAll(Numbers.Uniform(Pixels, 5), v => v > 0.3f ? 1f : 0f);

    private static IEnumerable<TestCaseData> MaskLosses =>
        from loss in s_mask
        from output in Enum.GetValues<ModelOutput>()
        from weight in new float[]?[] { null, [3f], [2f, 0.5f] }
        where weight is null || loss is not (LossKind.Dice or LossKind.Tversky)
        select new TestCaseData(loss, output, weight).SetArgDisplayNames($"{loss}", $"{output}", weight is null ? "" : $"{weight.Length}");

    [TestCaseSource(nameof(MaskLosses))]
    public void A_loss_of_a_mask(LossKind loss, ModelOutput output, float[]? weights)
    {
        Objective objective = Objective.Segmentation(new ObjectiveOptions(loss) { ClassWeights = weights });
        Tensor x = output == ModelOutput.Logits
            ? Numbers.Uniform(1, -3f, 3f, Batch, Side, Side, 1) : Numbers.Uniform(1, 0.05f, 0.95f, Batch, Side, Side, 1);
        Tensor target = Tensor.From(s_truth, Batch, Side, Side, 1);
        double? positive = weights is null ? null : weights.Length == 1 ? weights[0] : weights[1] / weights[0];
        GradCheck.Check(
            inputs => objective.Loss(inputs[0], output, target, training: true),
            inputs => [NaiveMask(loss, Array.ConvertAll(inputs[0], Probability), positive)], [x], Tolerance);

        double Probability(double value) => output == ModelOutput.Logits ? 1 / (1 + Math.Exp(-value)) : value;
    }

    private static IEnumerable<TestCaseData> ClassLosses =>
        from loss in s_classes
        from weight in new float[]?[] { null, [0.5f, 2f, 1f] }
        where weight is null || loss is not (LossKind.Dice or LossKind.Tversky)
        from ignored in new[] { false, true }
        select new TestCaseData(loss, weight, ignored).SetArgDisplayNames($"{loss}", weight is null ? "" : "weights", ignored ? "255" : "");

    [TestCaseSource(nameof(ClassLosses))]
    public void A_loss_of_several_classes(LossKind loss, float[]? weights, bool ignored)
    {
        Objective objective = Objective.Segmentation(new ObjectiveOptions(loss) { Classes = Classes, ClassWeights = weights });
        float[] truth = Array.ConvertAll(Numbers.Uniform(Pixels, 6, 0f, 2.999f), v => MathF.Floor(v));
        if (ignored) for (int i = 0; i < Pixels; i += 7) truth[i] = 255;
        Tensor target = Tensor.From(truth, Batch, Side, Side, 1);
        GradCheck.Check(
            inputs => objective.Loss(inputs[0], ModelOutput.Logits, target, training: true),
            inputs => [NaiveClasses(loss, Softmax(inputs[0]), truth, weights)],
            [Numbers.Uniform(1, -3f, 3f, Batch, Side, Side, Classes)], Tolerance);
    }

    [Test]
    public void Ignored_pixels_change_nothing_and_a_batch_of_them_has_no_loss([ValueSource(nameof(s_classes))] LossKind loss)
    {
        Objective objective = Objective.Segmentation(new ObjectiveOptions(loss) { Classes = Classes });
        Tensor target = Tensor.From([0, 1, 2, 255], 1, 2, 2, 1);
        Tensor one = Numbers.Random(1, 1, 2, 2, Classes), other = one.Clone();
        for (int c = 0; c < Classes; c++) other.Span[3 * Classes + c] = 5 * c;
        Assert.That(Loss(one, target), Is.EqualTo(Loss(other, target)).And.Positive);
        Assert.That(Loss(one, Tensor.Full(255f, 1, 2, 2, 1)), Is.Zero);

        double Loss(Tensor logits, Tensor truth) => objective.Loss(logits, ModelOutput.Logits, truth, training: true).Item();
    }

    [Test]
    public void Saturated_probabilities_have_a_finite_loss_and_gradient([ValueSource(nameof(s_mask))] LossKind loss)
    {
        Tensor p = Tensor.From([0, 1, 1, 0], 1, 2, 2, 1), target = Tensor.From([0, 1, 0, 1], 1, 2, 2, 1);
        p.RequiresGrad = true;
        using Tape tape = new();
        Tensor value = Objective.Segmentation(loss).Loss(p, ModelOutput.Probabilities, target, training: true);
        tape.Backward(value);
        Assert.That(value.Item(), Is.Positive.And.LessThan(200));
        Assert.That(p.Grad!.Value.Span.ToArray(), Is.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void What_does_not_fit_is_refused_in_words()
    {
        ModelEntry unet = Registry.Find("unet");
        Refused(new ObjectiveOptions(LossKind.BceWithLogits) { Classes = 3 }, "3 classes");
        Refused(new ObjectiveOptions(LossKind.Ce), "one class");
        Refused(new ObjectiveOptions(LossKind.CrossEntropy), "does not fit unet");
        Refused(new ObjectiveOptions(LossKind.Dice) { ClassWeights = [2f] }, "class weights do not change loss dice");
        Refused(new ObjectiveOptions(LossKind.Tversky) { Classes = 3, ClassWeights = [1f, 1f, 2f] }, "class weights");
        Refused(new ObjectiveOptions(LossKind.Ce) { Classes = 3, ClassWeights = [1f, 2f] }, "expected 3 positive numbers");
        Refused(new ObjectiveOptions(LossKind.Focal) { Classes = 2, ClassWeights = [1f, -2f] }, "positive");
        Refused(new ObjectiveOptions(LossKind.Ce) { Classes = 256 }, "256 classes");
        Assert.That(
            () => Objective.Segmentation(LossKind.Dice).Loss(
                Tensor.Zeros(1, 1, 2, 1), ModelOutput.Logits, Tensor.From([0, 255], 1, 1, 2, 1), training: true),
            Throws.ArgumentException.With.Message.Contains("255"), "a mask of one class has no pixel to ignore");
        Assert.That(
            () => Objective.Segmentation(new ObjectiveOptions(LossKind.Ce) { Classes = 2 }).ThrowIfUnfit(ModelOutput.Probabilities),
            Throws.ArgumentException.With.Message.Contains("logits"));

        void Refused(ObjectiveOptions options, string part) =>
            Assert.That(() => Objective.Of(unet, options), Throws.ArgumentException.With.Message.Contains(part));
    }

    [Test]
    public void A_classifier_weighs_its_classes()
    {
        Objective objective = Objective.Of(
            Registry.Find("vit"), new ObjectiveOptions(LossKind.CrossEntropy) { Classes = 3, ClassWeights = [1f, 4f, 2f] });
        double[] truth = [0, 1, 0, 1, 0, 0];
        Tensor target = Tensor.From(Array.ConvertAll(truth, v => (float)v), 2, 3);
        GradCheck.Check(
            inputs => objective.Loss(inputs[0], ModelOutput.Logits, target, training: false),
            inputs => [(-4 * Math.Log(Softmax(inputs[0])[0][1]) - Math.Log(Softmax(inputs[0])[1][0])) / 2],
            [Numbers.Random(3, 2, 3)], Tolerance);
    }

    private static double NaiveMask(LossKind loss, double[] p, double? weight)
    {
        int perImage = p.Length / Batch;
        double w = weight ?? 1, entropy = 0, focal = 0, both = 0, predicted = 0, truth = 0, byImage = 0;
        double alpha = weight is { } positive ? positive / (1 + positive) : 0.25;
        for (int i = 0; i < p.Length; i++)
        {
            double t = s_truth[i], own = t == 1 ? p[i] : 1 - p[i];
            entropy -= (t == 1 ? w : 1) * Math.Log(own) / p.Length;
            focal -= (t == 1 ? alpha : 1 - alpha) * Math.Pow(1 - own, 2) * Math.Log(own) / p.Length;
            (both, predicted, truth) = (both + p[i] * t, predicted + p[i], truth + t);
        }
        for (int image = 0; image < Batch; image++)
        {
            int[] pixels = [.. Enumerable.Range(image * perImage, perImage)];
            byImage += 1 - (2 * pixels.Sum(i => p[i] * s_truth[i]) + 1) / (pixels.Sum(i => p[i] + s_truth[i]) + 1);
        }
        return loss switch
        {
            LossKind.Dice => 1 - (2 * both + 100) / (predicted + truth + 100),
            LossKind.BceWithLogits => entropy,
            LossKind.BceDice => entropy + byImage / Batch,
            LossKind.Focal => focal,
            _ => 1 - (both + 1) / (both + 0.3 * (predicted - both) + 0.7 * (truth - both) + 1),
        };
    }

    private static double NaiveClasses(LossKind loss, double[][] p, float[] truth, float[]? weights)
    {
        double entropy = 0, weight = 0, focal = 0, dice = 0, tversky = 0;
        int[] counted = [.. Enumerable.Range(0, p.Length).Where(i => truth[i] != 255)];
        foreach (int i in counted)
        {
            int t = (int)truth[i];
            double w = weights?[t] ?? 1;
            entropy -= w * Math.Log(p[i][t]);
            focal -= w * Math.Pow(1 - p[i][t], 2) * Math.Log(p[i][t]) / counted.Length;
            weight += w;
        }
        for (int c = 1; c < Classes; c++)
        {
            double both = counted.Where(i => truth[i] == c).Sum(i => p[i][c]), predicted = counted.Sum(i => p[i][c]);
            int real = counted.Count(i => truth[i] == c);
            dice += (1 - (2 * both + 1) / (predicted + real + 1)) / (Classes - 1);
            tversky += (1 - (both + 1) / (both + 0.3 * (predicted - both) + 0.7 * (real - both) + 1)) / (Classes - 1);
        }
        return loss switch
        {
            LossKind.Ce => entropy / weight,
            LossKind.CeDice => entropy / weight + dice,
            LossKind.Dice => dice,
            LossKind.Focal => focal,
            _ => tversky,
        };
    }

    private static double[][] Softmax(double[] logits) => [.. logits.Chunk(Classes).Select(row =>
    {
        double sum = row.Sum(Math.Exp);
        return Array.ConvertAll(row, v => Math.Exp(v) / sum);
    })];
}
