using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ZooTests
{
    public static IEnumerable<ModelEntry> Segmenters => Registry.Models.Where(m => m.Task == ModelTask.Segmentation);

    [TestCase("ul-vm-unet", 49_457), TestCase("ul-vm-unet-v1", 217_165), TestCase("ul-vm-unet-v2", 42_737)]
    [TestCase("ul-vm-unet-v3", 176_453)]
    [TestCase("ul-vm-unet-v4", 1_135_309), TestCase("ul-vm-unet-v5", 703_885), TestCase("ul-vm-unet-v6", 769_677)]
    [TestCase("unet", 7_765_985)]
    [TestCase("vim", 1_791_226), TestCase("vim-patch8-1000", 1_974_664), TestCase("vit", 1_751_186), TestCase("vit-patch8", 1_767_602)]
    [TestCase("resnet18-seg", 13_930_497), TestCase("resnet50-seg", 42_909_633), TestCase("segformer", 17_782_913)]
    [TestCase("umambabot", 9_813_700), TestCase("umambabot-pp", 10_076_356)]
    [TestCase("resnet18", 11_689_512), TestCase("resnet50", 25_557_032), TestCase("resnet20", 269_722)]
    [TestCase("resnet8", 78_186)]
    [TestCase("performer", 1_751_186), TestCase("performer-relu", 1_751_186), TestCase("alexnet", 61_100_840)]
    [TestCase("vgg11", 132_863_336), TestCase("googlenet", 6_624_904), TestCase("inception-v3", 23_834_568)]
    [TestCase("mobilenet-v2", 3_504_872), TestCase("efficientnet-b0", 5_288_548), TestCase("regnet-x-400mf", 5_495_976)]
    [TestCase("regnet-y-400mf", 4_344_144)]
    public void Has_as_many_parameters_as_the_paper_states(string name, long parameters)
    {
        ModelEntry entry = Registry.Find(name);
        using VisionModel model = entry.Build(new Scope(new ParameterStore { SkipInitialValues = true }), entry.Config);
        Assert.That(model.Parameters.ParameterCount, Is.EqualTo(parameters));
        bool sized = entry.Task == ModelTask.Classification && model.InputSize is null; // masks are padded, tokens have one size
        Assert.That(entry.SmallestSide, Is.EqualTo(sized ? model.SmallestSide : 1));
    }

    [TestCase("alexnet", 63), TestCase("vgg11", 32), TestCase("googlenet", 15), TestCase("inception-v3", 75)]
    [TestCase("mobilenet-v2", 1), TestCase("efficientnet-b0", 1), TestCase("regnet-x-400mf", 1), TestCase("regnet-y-400mf", 1)]
    public void A_classifier_takes_images_from_its_smallest_side_on(string name, int smallest)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = entry.Config with { InputChannels = 1, Classes = 7, Dropout = null, DropPath = null };
        if (config.Width is not null) config = config with { Width = 8 };
        using VisionModel model = entry.Create(config, seed: 2);
        model.Parameters.Training = true; // the first running statistics let a deep network's signal fade
        foreach (int size in new[] { smallest, smallest + 1, smallest + 26 })
        {
            Tensor images = Numbers.Uniform(1, 0f, 1f, 2, size, size + 3, 1), logits = model.Forward(images);
            Assert.That(logits.Shape, Is.EqualTo(new Shape(2, 7)));
            Assert.That(logits.Span.ToArray(), Is.All.Matches<float>(float.IsFinite));
            float[] first = logits.Span[..7].ToArray();
            Assert.That(logits.Span[7..].ToArray(), Is.Not.EqualTo(first), "the images are told apart");
        }
        if (smallest == 1) return;
        Assert.That(
            () => model.Forward(Tensor.Zeros(1, smallest, smallest - 1, 1)),
            Throws.TypeOf<ShapeException>().With.Message.Contains($"at least {smallest}"));
        Assert.That(
            () => entry.ThrowIfTooSmall(smallest - 1, smallest),
            Throws.ArgumentException.With.Message.Contains($"{name} takes images from {smallest}x{smallest} on"));
        entry.ThrowIfTooSmall(smallest, smallest);
    }

    /// <summary>In training some inputs of the last layers are zeroed, others in each step, and the same when a step is repeated.</summary>
    [TestCase("alexnet", 63), TestCase("vgg11", 32), TestCase("googlenet", 32), TestCase("mobilenet-v2", 32)]
    [TestCase("efficientnet-b0", 32)]
    public void Dropout_follows_from_seed_place_and_step_alone(string name, int size)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = entry.Config with { Classes = 7, DropPath = 0 };
        if (config.Width is not null) config = config with { Width = 8 };
        Tensor images = Numbers.Uniform(1, 0f, 1f, 2, size, size, 3);
        using VisionModel model = entry.Create(config, seed: 2), without = entry.Create(config with { Dropout = null }, seed: 2);
        float[] Logits(VisionModel from, long step, bool training = true)
        {
            (from.Parameters.Training, from.Parameters.Step) = (training, step);
            return from.Forward(images).Span.ToArray();
        }
        float[] dropped = Logits(model, 5);
        Assert.That(Logits(model, 5), Is.EqualTo(dropped));
        Assert.That(Logits(model, 6), Is.Not.EqualTo(dropped));
        Assert.That(Logits(without, 5), Is.EqualTo(Logits(without, 6)).And.Not.EqualTo(dropped));
        using VisionModel fresh = entry.Create(config, seed: 2), plain = entry.Create(config with { Dropout = null }, seed: 2);
        Assert.That(Logits(fresh, 5, training: false), Is.EqualTo(Logits(plain, 5, training: false)));
    }

    [Test]
    public void Stochastic_depth_leaves_blocks_of_efficientnet_out()
    {
        ModelEntry entry = Registry.Find("efficientnet-b0");
        ModelConfig config = entry.Config with { Classes = 7, Dropout = 0, Width = 8 };
        Tensor images = Numbers.Uniform(1, 0f, 1f, 2, 32, 32, 3);
        float[] Logits(double rate, long step)
        {
            using VisionModel model = entry.Create(config with { DropPath = rate }, seed: 2);
            (model.Parameters.Training, model.Parameters.Step) = (true, step);
            return model.Forward(images).Span.ToArray();
        }
        float[] plain = Logits(0, 5), dropped = Logits(0.9, 5);
        Assert.That(Logits(0, 6), Is.EqualTo(plain));
        Assert.That(dropped, Is.Not.EqualTo(plain).And.EqualTo(Logits(0.9, 5)).And.Not.EqualTo(Logits(0.9, 6)));
    }

    [TestCaseSource(nameof(Segmenters))]
    public void Any_size_is_padded_and_cropped_back(ModelEntry entry)
    {
        VisionModel model = entry.Create();
        int multiple = model.SizeMultiple;
        Tensor image = Numbers.Uniform(1, 0f, 1f, 1, multiple - 3, multiple + 5, 3);
        Tensor result = model.Segment(image);
        Assert.That(result.Shape, Is.EqualTo(new Shape(1, multiple - 3, multiple + 5, 1)));

        // The same picture with the zeros written by hand.
        Tensor padded = Tensor.Zeros(1, multiple, 2 * multiple, 3);
        for (int y = 0; y < multiple - 3; y++)
            image.Span.Slice(y * (multiple + 5) * 3, (multiple + 5) * 3).CopyTo(padded.Span[(y * 2 * multiple * 3)..]);
        Tensor expected = model.Forward(padded);
        if (expected.Shape != new Shape(1, multiple, 2 * multiple, 1))
            expected = Ops.ResizeBilinear(expected, (multiple, 2 * multiple), alignCorners: false);
        for (int y = 0; y < multiple - 3; y++)
            Assert.That(
                result.Span.Slice(y * (multiple + 5), multiple + 5).SequenceEqual(expected.Span.Slice(y * 2 * multiple, multiple + 5)),
                $"row {y}");
    }

    [Test]
    public void A_residual_network_classifies_images_of_any_size(
        [Values("resnet18", "resnet50", "resnet20", "resnet8")] string name, [Values(1, 28, 32, 45)] int size)
    {
        ModelEntry entry = Registry.Find(name);
        VisionModel model = entry.Create(entry.Config with { InputChannels = 1, Classes = 7 });
        Tensor images = Numbers.Uniform(1, 0f, 1f, 2, size, size, 1), logits = model.Forward(images);
        Assert.That(logits.Shape, Is.EqualTo(new Shape(2, 7)));
        Assert.That(logits.Span.ToArray(), Is.All.Matches<float>(float.IsFinite));
        double rounding = 2e-6 * logits.Span.ToArray().Max(Math.Abs);
        for (int i = 0; i < 2; i++)
        {
            float[] alone = model.Forward(images.Rows(i, 1)).Span.ToArray();
            Assert.That(alone, Is.EqualTo(logits.Span.Slice(7 * i, 7).ToArray()).Within(rounding), $"image {i} alone");
        }
        float[] first = logits.Span[..7].ToArray();
        Assert.That(logits.Span[7..].ToArray(), Is.Not.EqualTo(first), "the images are told apart");
    }

    [TestCase(1, 1), TestCase(2, 3), TestCase(31, 34), TestCase(32, 32)]
    public void Strided_windows_of_resnet8_are_padded_as_TensorFlow_does(int height, int width)
    {
        // TensorFlow: total padding max(0, 2 (outputs - 1) + 3 - inputs), the smaller half before the image.
        static (int Before, int After) Same(int side) => (side % 2, 1);
        VisionModel model = Registry.Find("resnet8").Create(seed: 2);
        Tensor x = Numbers.Random(1, 1, height, width, 3), y = Layer(x, "conv", "bn", 1, Activation.Relu);
        foreach (int stack in new[] { 1, 2, 3 })
        {
            int stride = stack == 1 ? 1 : 2;
            string place = $"stack{stack}.";
            Tensor h = Layer(Layer(y, place + "conv1", place + "bn1", stride, Activation.Relu), place + "conv2", place + "bn2", 1, default);
            Tensor shortcut = stack == 1 ? y : Ops.Conv2d(
                y, model.Parameters[place + "shortcut.weight"], model.Parameters[place + "shortcut.bias"], new() { Stride = 2 });
            y = Ops.Relu(Ops.Add(h, shortcut));
        }
        Tensor pooled = Ops.AdaptiveAvgPool2d(y, 1).Reshape(1, 64);
        Tensor expected = Ops.Linear(pooled, model.Parameters["fc.weight"], model.Parameters["fc.bias"]);
        Assert.That(model.Forward(x).Span.ToArray(), Is.EqualTo(expected.Span.ToArray()).Within(1e-5));

        Tensor Layer(Tensor images, string conv, string norm, int stride, Activation activation)
        {
            ((int top, int bottom), (int left, int right)) =
                stride == 1 ? ((1, 1), (1, 1)) : (Same(images.Shape[1]), Same(images.Shape[2]));
            Tensor padded = Ops.Pad(images, new Padding2d(top, left, bottom, right));
            Tensor sums = Ops.Conv2d(
                padded, model.Parameters[conv + ".weight"], model.Parameters[conv + ".bias"], new() { Stride = stride });
            return Ops.BatchNorm(
                sums, model.Parameters[norm + ".weight"], model.Parameters[norm + ".bias"], model.Parameters[norm + ".running_mean"],
                model.Parameters[norm + ".running_var"], new BatchNormOptions { Eps = 1e-3f, Activation = activation });
        }
    }

    [Test]
    public void Width_and_depth_scale_a_model()
    {
        // ResNet-56 for CIFAR and ResNet-18 of half the width, counted by hand.
        ModelEntry cifar = Registry.Find("resnet20"), imageNet = Registry.Find("resnet18");
        Assert.That(cifar.Create(cifar.Config with { Depth = 27 }).Parameters.ParameterCount, Is.EqualTo(853_018));
        Assert.That(imageNet.Create(imageNet.Config with { Width = 32 }).Parameters.ParameterCount, Is.EqualTo(3_055_880));
        Assert.That(() => cifar.Create(cifar.Config with { Depth = 10 }), Throws.ArgumentException.With.Message.Contains("depth 10"));
        ModelEntry mamba = Registry.Find("umambabot");
        Assert.That(mamba.Create(mamba.Config with { Width = 16 }).Parameters["mamba.D"].Shape, Is.EqualTo(new Shape(512)));
    }

    [Test]
    public void What_does_not_fit_is_refused_by_name()
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        Assert.That(
            () => model.Forward(Tensor.Zeros(1, 33, 32, 3)),
            Throws.TypeOf<ShapeException>().With.Message.Contains("multiples of 32").And.Message.Contains("(1, 33, 32, 3)"));
        Assert.That(() => model.Segment(Tensor.Zeros(1, 32, 32, 1)), Throws.TypeOf<ShapeException>());
        Assert.That(() => model.Segment(Tensor.Zeros(32, 32, 3)), Throws.TypeOf<ShapeException>());
        Assert.That(() => Registry.Find("ul-vm-unte"), Throws.ArgumentException.With.Message.Contains("did you mean 'ul-vm-unet'"));
    }

    [Test]
    public void Initial_weights_follow_the_seed_alone()
    {
        float[] Weights(ulong seed) =>
            Registry.Find("ul-vm-unet").Create(seed: seed).Parameters["encoder5.0.mamba.in_proj.weight"].Span.ToArray();
        float[] first = Weights(3), second = Weights(3);
        Assert.That(second, Is.EqualTo(first));
        Assert.That(Weights(4), Is.Not.EqualTo(first));
    }
}
