using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Recipes;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

[NonParallelizable]
internal sealed class DistillationTests
{
    private const int Side = 32;

    private static readonly Objective s_mask = Objective.Segmentation(LossKind.BceDice);

    /// <summary>T^2 times the divergence of two coins in each pixel; its derivative is T (sigmoid(s / T) - sigmoid(t / T)).</summary>
    [TestCase(1, 0.5), TestCase(4, 0.3), TestCase(4, 1)]
    public void The_loss_of_a_mask_is_that_of_lesion_and_background_in_each_pixel(double temperature, double weight)
    {
        VisionModel teacher = Teacher();
        Tensor images = Numbers.Uniform(1, 0f, 1f, 2, Side, Side, 3);
        float[] t = teacher.Segment(images).Span.ToArray();
        Assert.That(t.Max() - t.Min(), Is.GreaterThan(0.05), "a teacher that says something");
        foreach (ModelOutput output in new[] { ModelOutput.Logits, ModelOutput.Probabilities })
        {
            float[] s = Numbers.Uniform(t.Length, 2, -6f, 6f);
            Tensor student = Tensor.From(
                output == ModelOutput.Logits ? s : Array.ConvertAll(s, x => (float)Sigmoid(x)), 2, Side, Side, 1);
            student.RequiresGrad = true;
            double expected = 0;
            double[] slope = new double[s.Length];
            for (int i = 0; i < s.Length; i++)
            {
                double p = Sigmoid(t[i] / temperature), q = Sigmoid(s[i] / temperature);
                expected += temperature * temperature * (p * Math.Log(p / q) + (1 - p) * Math.Log((1 - p) / (1 - q))) / s.Length;
                double own = Sigmoid(s[i]), perLogit = output == ModelOutput.Logits ? 1 : 1 / (own * (1 - own));
                slope[i] = weight * temperature * (q - p) * perLogit / s.Length;
            }
            using Tape tape = new();
            Tensor loss = new Distillation(teacher, temperature, weight).Loss(Tensor.Full(2f), s_mask, images, student, output);
            Assert.That(loss.Item(), Is.EqualTo((1 - weight) * 2 + weight * expected).Within(1e-5), $"{output}");
            tape.Backward(loss);
            double scale = slope.Max(Math.Abs);
            Assert.That(student.Grad!.Value.ToDouble(), Is.EqualTo(slope).Within(2e-4 * scale), $"{output}");
            Assert.That(teacher.Parameters.All.All(parameter => parameter.Tensor.Grad is null), "the teacher gets no gradient");
        }
    }

    [Test]
    public void The_loss_of_classes_is_the_operator()
    {
        ModelEntry entry = Registry.Find("resnet8");
        VisionModel teacher = entry.Create(entry.Config with { Width = 4 }, seed: 3);
        teacher.Parameters.Freeze();
        Objective objective = Objective.Of(entry, LossKind.CrossEntropy);
        Tensor images = Numbers.Uniform(1, 0f, 1f, 4, Side, Side, 3), student = Numbers.Uniform(2, -3f, 3f, 4, 10);
        float expected = Ops.Distillation(student, teacher.Forward(images), 4f).Item();
        Tensor loss = new Distillation(teacher, 4, 0.25).Loss(Tensor.Full(2f), objective, images, student, ModelOutput.Logits);
        Assert.That(loss.Item(), Is.EqualTo(0.75 * 2 + 0.25 * expected).Within(1e-5));

        // several classes of a segmentation: the mean over pixels
        VisionModel unet = Registry.Find("unet").Create(new ModelConfig(Classes: 3) { Width = 4, Depth = 1 }, seed: 3);
        unet.Parameters.Freeze();
        Objective classes = Objective.Segmentation(new ObjectiveOptions(LossKind.Ce) { Classes = 3 });
        Tensor pixels = Numbers.Uniform(2, -3f, 3f, 4, Side, Side, 3);
        Tensor rows = unet.Forward(images).Reshape(-1, 3);
        double each = Ops.Distillation(pixels.Reshape(-1, 3), rows, 2f, Reduction.Sum).Item() / (4.0 * Side * Side);
        Tensor mixed = new Distillation(unet, 2, 1).Loss(Tensor.Full(2f), classes, images, pixels, ModelOutput.Logits);
        Assert.That(mixed.Item(), Is.EqualTo(each).Within(1e-5));
    }

    [Test]
    public void Without_a_weight_the_teacher_changes_no_bit_and_with_one_the_student_comes_closer()
    {
        VisionModel untaught = Train(null, threads: 1), teacher = Train(null, threads: 1);
        teacher.Parameters.Thaw();
        foreach (string name in new[] { "conv.weight", "conv.bias" }) // it says the opposite of the masks
            foreach (ref float w in teacher.Parameters[name].Span) w = -w;
        teacher.Parameters.Freeze();
        float[] alone = Values(untaught), ignored = Values(Train(new Distillation(teacher, 4, 0), threads: 1));
        Assert.That(ignored, Is.EqualTo(alone));
        VisionModel student = Train(new Distillation(teacher, 4, 1), threads: 1);
        Assert.That(Values(Train(new Distillation(teacher, 4, 1), threads: 3)), Is.EqualTo(Values(student)), "on three threads");
        Assert.That(Distance(student), Is.LessThan(0.7 * Distance(untaught)).And.LessThan(0.7 * Distance(Student())));

        double Distance(VisionModel model)
        {
            model.Parameters.Freeze();
            using BatchLoader images = Loader(shuffle: false);
            double sum = 0;
            foreach (Batch batch in images.Epoch(1))
            {
                using Batch _ = batch;
                float[] s = model.Segment(batch.Images).Span.ToArray(), t = teacher.Segment(batch.Images).Span.ToArray();
                sum += s.Zip(t, (a, b) => Math.Abs(Sigmoid(a) - Sigmoid(b))).Sum();
            }
            return sum;
        }
    }

    [TestCase("size", "expected --size 64x64"), TestCase("normalization", "--normalize"), TestCase("labels", "has the classes")]
    [TestCase("channels", "expected --channels 1"), TestCase("task", "is for classification"), TestCase("intensity", "--intensity range")]
    public void A_teacher_of_other_inputs_or_classes_is_refused(string what, string expected)
    {
        ModelInfo student = new(
            "unet", new ModelConfig(), ["lesion"], Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, Side, Side));
        ModelInfo fitting = student with { Model = "ul-vm-unet", Labels = ["tumour"] };
        Assert.That(() => Distillation.ThrowIfUnfit("t", fitting, student), Throws.Nothing);
        ModelInfo teacher = what switch
        {
            "size" => student with { Data = new RunData(SplitProtocol.Image, 0, null, 64, 64) },
            "normalization" => student with { Normalization = Normalization.Of(NormalizationKind.Half, 3) },
            "labels" => student with { Labels = ["background", "disc", "square"], Config = new ModelConfig(Classes: 3) },
            "channels" => student with { Config = new ModelConfig(InputChannels: 1), Normalization = Normalization.None(1) },
            "task" => student with { Model = "vit" },
            _ => student with { Intensity = Intensity.Parse("range") },
        };
        Assert.That(
            () => Distillation.ThrowIfUnfit("t.safetensors", teacher, student),
            Throws.ArgumentException.With.Message.StartsWith("--teacher: t.safetensors ").And.Message.Contains(expected));
    }

    [Test]
    public void Zeros_stay_zero_and_all_else_is_trained([Values] OptimizerKind optimizer, [Values(1, 2)] int accumulate)
    {
        VisionModel model = Student();
        Tensor sparse = model.Parameters["encoder1.0.weight"], norm = model.Parameters["encoder1.1.bias"];
        for (int i = 0; i < sparse.Count; i += 2) sparse.Span[i] = 0;
        norm.Span.Clear();
        float[] before = sparse.Span.ToArray();
        Train(model, plan => plan with
        {
            KeepZeros = true,
            Accumulate = accumulate,
            MaxGradientNorm = 0.5,
            Recipe = plan.Recipe with { Optimizer = optimizer, WeightDecay = 0.01 },
        });
        float[] after = sparse.Span.ToArray();
        for (int i = 0; i < after.Length; i++)
            Assert.That(after[i], i % 2 == 0 ? Is.Zero : Is.Not.EqualTo(before[i]));
        Assert.That(norm.Span.ToArray(), Is.All.Not.Zero, "a norm is no weight of a convolution");
    }

    private static VisionModel Teacher()
    {
        VisionModel teacher = Registry.Find("unet").Create(new ModelConfig { Width = 4, Depth = 1 }, seed: 9);
        foreach (ref float w in teacher.Parameters["conv.weight"].Span) w *= 4000; // far from a coin
        teacher.Parameters.Freeze();
        return teacher;
    }

    private static VisionModel Student() => Registry.Find("unet").Create(new ModelConfig { Width = 4, Depth = 2 }, seed: 1);

    private static VisionModel Train(Distillation? distillation, int threads)
    {
        using ThreadCount _ = new(threads);
        return Train(Student(), plan => plan with { Distillation = distillation });
    }

    private static VisionModel Train(VisionModel model, Func<TrainingPlan, TrainingPlan> change)
    {
        using BatchLoader train = Loader(shuffle: true), validation = Loader(shuffle: false);
        TrainingPlan plan = new(TrainingRecipe.UNet, s_mask, 1e-2, Epochs: 12);
        _ = new Trainer(model, train, validation, change(plan)).Run().Count();
        return model;
    }

    private static BatchLoader Loader(bool shuffle) => new(
        new SyntheticLesions(5, 12, Side, Side), [.. Enumerable.Range(0, 12)],
        new BatchOptions { Height = Side, Width = Side, Shuffle = shuffle, BatchSize = 4 });

    private static float[] Values(VisionModel model) => [.. model.Parameters.All.SelectMany(p => p.Tensor.Span.ToArray())];

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
}
