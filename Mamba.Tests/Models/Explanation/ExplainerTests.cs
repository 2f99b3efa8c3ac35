using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Explanation;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Whole models: which methods they have, where the tokens of their maps are, and what Grad-CAM must be.</summary>
[NonParallelizable]
internal sealed class ExplainerTests
{
    private const int Delta = (int)ExplanationMethod.Delta, Influence = (int)ExplanationMethod.Influence,
        Rollout = (int)ExplanationMethod.Rollout, GradCam = (int)ExplanationMethod.GradCam;

    private static readonly string[] s_labels = ["cat", "dog", "frog"];

    [TestCase("ul-vm-unet", 64, "encoder6", Influence, Delta, GradCam)]
    [TestCase("umambabot", 32, "encoder.stages.4.blocks.0", Influence, Delta, GradCam)]
    [TestCase("vim", 16, null, Influence, Delta)]
    [TestCase("vit", 16, null, Rollout)]
    [TestCase("segformer", 64, "encoder.stages.3", Rollout, GradCam)]
    [TestCase("unet", 32, "bottleneck", GradCam)]
    [TestCase("resnet18-seg", 64, "encoder.7.1", GradCam)]
    [TestCase("resnet20", 16, "layer3.2", GradCam)]
    [TestCase("resnet8", 16, "stack3", GradCam)]
    public void A_model_has_its_methods_and_each_gives_maps(string name, int side, string? layer, params int[] methods)
    {
        using Explainer explainer = Of(name, side);
        Assert.That(explainer.Methods.Select(m => (int)m), Is.EqualTo(methods));
        Assert.That(explainer.DefaultLayer, Is.EqualTo(layer));
        ImageExplanation seen = explainer.Explain(Pictures.Random(side, side, 3), new ExplanationOptions { Methods = explainer.Methods });
        foreach (MethodExplanation method in seen.Methods)
        {
            Assert.That(method.Maps, Is.Not.Empty);
            foreach (ExplanationMap map in method.Maps.Append(method.Mean))
            {
                Assert.That(map.Values, Has.Count.EqualTo(map.Height * map.Width).And.All.GreaterThanOrEqualTo(0));
                Assert.That(map.Pixels, Has.Count.EqualTo(side * side).And.All.InRange(0, float.MaxValue), $"{method.Method} {map.Layer}");
            }
            if (method.Maps.Count > 1) Assert.That(method.Mean.Pixels.Sum(), Is.EqualTo(1).Within(1e-3));
        }
        foreach (FaithfulnessCurves curves in explainer.Measure(seen, 3))
            Assert.That(curves.Deletion[0], Is.EqualTo(seen.Target.Score).Within(1e-3), "the frozen model is the recorded one");
    }

    [TestCase("vim", 16, MixerKind.Mamba2, "backward", "forward"), TestCase("ul-vm-unet", 64, MixerKind.Mamba2, "forward")]
    [TestCase("vim", 16, MixerKind.Mamba3, "backward", "forward"), TestCase("ul-vm-unet", 64, MixerKind.Mamba3, "forward")]
    [TestCase("vim", 16, MixerKind.S4d, "backward", "forward"), TestCase("ul-vm-unet", 64, MixerKind.S4d, "forward")]
    public void Every_mixer_has_maps_of_influence_and_delta(string name, int side, MixerKind mixer, params string[] directions)
    {
        using Explainer explainer = Of(name, side, mixer);
        Assert.That(explainer.IsTimeInvariant, Is.EqualTo(mixer == MixerKind.S4d));
        Assert.That(explainer.Methods.Take(2).Select(m => (int)m), Is.EqualTo(new[] { Influence, Delta }));
        ExplanationOptions options = new() { Methods = [ExplanationMethod.Influence, ExplanationMethod.Delta] };
        ImageExplanation one = explainer.Explain(Pictures.Random(side, side, 3), options);
        ImageExplanation two = explainer.Explain(Pictures.Smooth(side, side, 3), options);
        for (int method = 0; method < 2; method++)
        {
            IReadOnlyList<ExplanationMap> maps = one.Methods[method].Maps;
            Assert.That(maps.Take(directions.Length).Select(m => m.Direction), Is.EqualTo(directions));
            for (int i = 0; i < maps.Count; i++)
            {
                Assert.That(maps[i].Values, Is.All.InRange(0, float.MaxValue).And.Some.GreaterThan(0), maps[i].Layer);
                if (mixer == MixerKind.S4d && name == "vim")
                    Assert.That(two.Methods[method].Maps[i].Values, Is.EqualTo(maps[i].Values), "the same for every image");
                else if (mixer != MixerKind.S4d)
                    Assert.That(two.Methods[method].Maps[i].Values, Is.Not.EqualTo(maps[i].Values), maps[i].Layer);
            }
        }
        bool[] flat = [.. one.Methods[1].Maps.Append(one.Methods[1].Mean).Select(m => m.Pixels.Distinct().Count() == 1)];
        Assert.That(flat, Is.All.EqualTo(mixer == MixerKind.S4d));
    }

    [Test]
    public void A_model_whose_blocks_report_nothing_is_refused() => Assert.That(
        () => Of("alexnet", 64),
        Throws.ArgumentException.With.Message.Contains("alexnet cannot be explained; expected a model whose blocks report"));

    [Test]
    public void What_does_not_apply_is_refused_with_what_does()
    {
        using Explainer explainer = Of("resnet8", 16);
        Image image = Pictures.Random(16, 16, 3);
        Refuses(new ExplanationOptions { Methods = [ExplanationMethod.Delta] }, "delta does not apply to resnet8; expected gradcam");
        Refuses(new ExplanationOptions { Methods = [] }, "no method");
        Refuses(new ExplanationOptions { Layer = "stack9" }, "has no feature map 'stack9'; expected one of stack1, stack2, stack3");
        Refuses(new ExplanationOptions { Class = "cow" }, "has no class 'cow'; expected one of cat, dog, frog");
        Refuses(new ExplanationOptions { Pixel = (16, 0) }, "pixel 16,0 is outside of a picture of 16 x 16");
        Refuses(new ExplanationOptions { Pixel = (0, -1) }, "outside");
        Assert.That(() => explainer.Measure(explainer.Explain(image), 0), Throws.InstanceOf<ArgumentOutOfRangeException>());

        void Refuses(ExplanationOptions options, string message) =>
            Assert.That(() => explainer.Explain(image, options), Throws.ArgumentException.With.Message.Contains(message));
    }

    /// <summary>
    /// Patches of vim are embedded one by one, and its first layer sees them through a convolution of four taps, causal in either
    /// direction. So only tokens that are up to three places after (before) a patch change when it does, the class token among them. The
    /// steps of Mamba-2 and Mamba-3 are made before any convolution, and those of S4D of nothing.
    /// </summary>
    [TestCase(0, 0), TestCase(2, 1), TestCase(1, 3), TestCase(3, 3)]
    [TestCase(2, 1, MixerKind.Mamba2, 0), TestCase(2, 1, MixerKind.Mamba3, 0), TestCase(2, 1, MixerKind.S4d, -1)]
    public void A_bright_patch_changes_the_steps_of_its_own_cell_and_of_those_that_the_convolution_reaches(
        int row, int column, MixerKind mixer = MixerKind.Mamba, int reached = 3)
    {
        const int Side = 16, Patch = 4, Across = Side / Patch;
        using Explainer explainer = Of("vim", Side, mixer);
        Image dark = new(Side, Side, 3), bright = new(Side, Side, 3);
        for (int y = 0; y < Patch; y++)
            bright.Pixels.AsSpan(3 * ((row * Patch + y) * Side + column * Patch), 3 * Patch).Fill(byte.MaxValue);
        ExplanationMap[] before = Steps(dark), after = Steps(bright);
        int cell = row * Across + column, token = TokenOf(cell);
        for (int direction = 0; direction < 2; direction++)
            for (int i = 0; i < Across * Across; i++)
            {
                int reach = before[direction].Direction == "forward" ? TokenOf(i) - token : token - TokenOf(i);
                bool changes = before[direction].Values[i] != after[direction].Values[i];
                Assert.That(changes, Is.EqualTo(reach >= 0 && reach <= reached), $"{direction}: cell {i}");
            }

        ExplanationMap[] Steps(Image image) =>
            [.. explainer.Explain(image, new ExplanationOptions { Methods = [ExplanationMethod.Delta] }).Methods[0].Maps.Take(2)];

        static int TokenOf(int cell) => cell < Across * Across / 2 ? cell : cell + 1;
    }

    /// <summary>The slices of a PVM layer are sequences in reading order, whatever the slice.</summary>
    [TestCase(0, 0), TestCase(2, 3), TestCase(4, 5)]
    public void A_pixel_changes_the_steps_of_its_own_cell_of_a_pvm_layer_and_of_the_next_three(int row, int column)
    {
        const int Height = 5, Width = 6, Channels = 8;
        PvmLayer layer = new(new Scope(new ParameterStore(4)) / "layer", new PvmConfig(Channels, Channels, Chunks: 4));
        Tensor image = Numbers.Random(1, 1, Height, Width, Channels);
        ScanTrace before = Trace();
        int pixel = row * Width + column;
        for (int c = 0; c < Channels; c++) image.Span[pixel * Channels + c] = c % 3;
        ScanTrace after = Trace();
        Assert.That((after.Layer, after.Sequences, after.Grid.Height, after.Grid.Width), Is.EqualTo(("layer.mamba", 4, Height, Width)));
        float[] from = before.Grid.Cells(ImplicitAttention.Steps(before, DeltaChannels.Mean));
        float[] to = after.Grid.Cells(ImplicitAttention.Steps(after, DeltaChannels.Mean));
        for (int i = 0; i < Height * Width; i++) Assert.That(from[i] != to[i], Is.EqualTo(i - pixel is >= 0 and <= 3), $"cell {i}");

        ScanTrace Trace()
        {
            ModelTrace trace = new();
            using (new MemoryScope()) trace.Watch(() => layer.Forward(image));
            return trace.Scans.Single();
        }
    }

    [Test]
    public void A_scan_is_influenced_by_what_it_has_seen_and_by_nothing_else([Values] MixerKind mixer)
    {
        using Explainer explainer = Of("vim", 16, mixer);
        Image image = Pictures.Random(32, 32, 3); // resized to 16 x 16: pixel (21, 13) is in cell (1, 2) of 4 x 4
        ImageExplanation seen = explainer.Explain(image, new ExplanationOptions { Pixel = (21, 13) });
        Assert.That((seen.Target.Pixel, seen.Methods[0].Method), Is.EqualTo(((21, 13), ExplanationMethod.Influence)));
        string[] directions = mixer == MixerKind.Mamba ? ["forward", "backward"] : ["backward", "forward"];
        Assert.That(seen.Methods[0].Maps.Select(m => m.Direction), Is.EqualTo(directions.Concat(directions)));
        foreach (ExplanationMap map in seen.Methods[0].Maps)
            for (int i = 0; i < 16; i++)
                Assert.That(map.Values[i] > 0, Is.EqualTo(map.Direction == "forward" ? i <= 6 : i >= 6), $"{map.Layer}: cell {i}");

        ImageExplanation whole = explainer.Explain(image);
        Assert.That(whole.Target.Pixel, Is.Null);
        foreach (ExplanationMap map in whole.Methods[0].Maps)
            for (int i = 0; i < 16; i++)
                Assert.That(map.Values[i] > 0, Is.EqualTo(map.Direction == "forward" ? i < 8 : i >= 8), "the class token is in the middle");
    }

    /// <summary>
    /// A mean over the image and a linear layer follow resnet8's last map F. So the gradient of a class's logit by F[p, k] is W[class, k] /
    /// P, and Grad-CAM is the older class activation map: the positive part of W F / P.
    /// </summary>
    [TestCase(null), TestCase("dog")]
    public void Grad_cam_of_a_mean_and_a_linear_layer_is_the_class_activation_map(string? label)
    {
        ModelInfo info = Info("resnet8", 16, null);
        VisionModel model = Create(info);
        Tensor head = model.Parameters["fc.weight"];
        Numbers.Uniform(head.Count, 9, -0.5f, 1f).CopyTo(head.Span); // the maps are not empty then
        Image image = Pictures.Random(16, 16, 3);
        Tensor input = Tensor.Zeros(1, 16, 16, 3);
        for (int i = 0; i < input.Count; i++) input.Span[i] = image.Pixels[i] / 255f;
        ModelTrace trace = new();
        float[] logits = [];
        trace.Watch(() => logits = model.Forward(input).Span.ToArray());
        float[] weight = model.Parameters["fc.weight"].Span.ToArray();
        using Explainer explainer = new(model, info);
        ImageExplanation seen = explainer.Explain(image, new ExplanationOptions { Class = label });

        FeatureTrace features = trace.Features.Single(f => f.Layer == "stack3");
        int pixels = features.Height * features.Width, k = label is null ? Array.IndexOf(logits, logits.Max()) : 1;
        double[] expected = new double[pixels];
        for (int p = 0; p < pixels; p++)
        {
            for (int c = 0; c < features.Channels; c++)
                expected[p] += (double)weight[k * features.Channels + c] * features.Values[p * features.Channels + c] / pixels;
            expected[p] = Math.Max(0, expected[p]);
        }
        Assert.That(expected, Has.Some.GreaterThan(0), "else the test tells nothing");
        GradCheck.Close(expected, [.. seen.Methods[0].Maps[0].Values], 1e-4, "map");
        Assert.That(seen.Target.Description, Is.EqualTo($"class {s_labels[k]}"));
    }

    /// <summary>
    /// A pointwise convolution follows the last map, of U-Net at once and of UltraLight VM-UNet before a resize. Its weights are the
    /// gradient at a pixel, or are spread over its neighbors; either way their mean over the image is a share of 1 / pixels. The sigmoid at
    /// the end of the latter must make no difference.
    /// </summary>
    [TestCase("unet", "decoder1"), TestCase("ul-vm-unet", "decoder5")]
    public void Grad_cam_of_a_region_has_the_gradient_of_the_sum_of_its_logits(string name, string layer)
    {
        using Explainer explainer = Of(name, 32);
        Image image = Pictures.Random(32, 32, 3);
        ExplanationOptions options = new() { Pixel = (9, 20), Layer = layer, Methods = [ExplanationMethod.GradCam] };
        ImageExplanation seen = explainer.Explain(image, options);
        Assert.That(seen.Target.Region!.Pixels.Count(p => p != 0), Is.EqualTo(1));
        ExplanationMap map = seen.Methods[0].Maps[0];

        ModelInfo info = Info(name, 32, null);
        using VisionModel model = Create(info);
        ModelTrace trace = new();
        Tensor input = Tensor.Zeros(1, 32, 32, 3);
        for (int i = 0; i < input.Count; i++) input.Span[i] = image.Pixels[i] / 255f;
        using (new MemoryScope()) trace.Watch(() => model.Forward(input));
        FeatureTrace features = trace.Features.Last(f => f.Layer == layer);
        float[] weight = model.Parameters[name == "unet" ? "conv.weight" : "final.weight"].Span.ToArray();
        double[] expected = new double[features.Height * features.Width];
        for (int p = 0; p < expected.Length; p++)
        {
            for (int c = 0; c < features.Channels; c++)
                expected[p] += (double)weight[c] * features.Values[p * features.Channels + c] / expected.Length;
            expected[p] = Math.Max(0, expected[p]);
        }
        Assert.That(expected, Has.Some.GreaterThan(0), "else the test tells nothing");
        GradCheck.Close(expected, [.. map.Values], 1e-4, "map");
    }

    [Test]
    public void A_region_is_seen_from_the_pixel_that_is_nearest_to_its_middle()
    {
        ModelInfo info = Info("unet", 8, null);
        float[] probabilities = new float[64];
        foreach (int i in new[] { 9, 10, 11, 17, 19, 25, 26, 27 }) probabilities[i] = 0.75f; // a ring around (2, 2)
        ExplanationTarget target = ExplanationTarget.Of(info, probabilities, new Image(16, 16, 3), new ExplanationOptions());
        Assert.That((target.Description, target.Score), Is.EqualTo(("lesion, 8 of 64 pixels", 0.75)));
        Assert.That(target.InputPixel, Is.EqualTo((2, 1)), "not the hole; the first of four");
        Assert.That(target.Pixel, Is.EqualTo((5, 3)), "its middle in a picture of twice the size");
        ExplanationTarget none = ExplanationTarget.Of(info, new float[64], new Image(8, 8, 3), new ExplanationOptions());
        Assert.That(
            (none.Description, none.Pixel, none.Score), Is.EqualTo(("no lesion is predicted; lesion at the middle pixel", (4, 4), 0.0)));
        Assert.That((none.IsEmpty, target.IsEmpty), Is.EqualTo((true, false)));
        ExplanationTarget one = ExplanationTarget.Of(info, probabilities, new Image(16, 16, 3), new ExplanationOptions { Pixel = (2, 3) });
        Assert.That((one.Description, one.InputPixel, one.Pixel, one.Score), Is.EqualTo(("lesion at the pixel", (1, 1), (2, 3), 0.75)));
    }

    [Test]
    public void Of_several_classes_the_foreground_is_explained_or_the_class_that_is_asked_for()
    {
        ModelInfo info = Info("unet", 2, null) with { Config = new ModelConfig(Classes: 3), Labels = ["background", "disc", "square"] };
        float[] p = [0.8f, 0.1f, 0.1f, 0.2f, 0.7f, 0.1f, 0.1f, 0.3f, 0.6f, 0.5f, 0.1f, 0.4f];
        Assert.That(Of(new ExplanationOptions()).Score, Is.EqualTo(0.65).Within(1e-6), "of disc and square");
        Assert.That(Of(new ExplanationOptions()).Description, Is.EqualTo("foreground, 2 of 4 pixels"));
        Assert.That(Of(new ExplanationOptions { Class = "square" }).Score, Is.EqualTo(0.6).Within(1e-6));
        Assert.That(Of(new ExplanationOptions { Class = "background" }).Description, Is.EqualTo("background, 2 of 4 pixels"));
        Assert.That(Of(new ExplanationOptions { Pixel = (1, 1) }).Description, Is.EqualTo("background at the pixel"));
        Assert.That(Of(new ExplanationOptions { Pixel = (1, 1), Class = "square" }).Score, Is.EqualTo(0.4).Within(1e-6));

        ExplanationTarget Of(ExplanationOptions options) => ExplanationTarget.Of(info, p, new Image(2, 2, 3), options);
    }

    [Test]
    public void A_size_that_is_no_multiple_of_the_models_is_padded_and_the_maps_are_cropped()
    {
        using Explainer explainer = Of("unet", 40); // padded to 48
        ImageExplanation seen = explainer.Explain(Pictures.Random(40, 40, 3), new ExplanationOptions { Pixel = (39, 39) });
        Assert.That((seen.Methods[0].Mean.Height, seen.Methods[0].Mean.Pixels.Count), Is.EqualTo((3, 1600)));
        Assert.That(seen.Target.Region!.Pixels[1599], Is.EqualTo(255));
    }

    [Test]
    public void Overlays_are_of_a_size_that_people_can_see_and_mark_the_pixel()
    {
        using Explainer explainer = Of("resnet8", 32);
        ImageExplanation seen = explainer.Explain(Pictures.Random(32, 32, 3), new ExplanationOptions { Pixel = (10, 20) });
        foreach (Image image in new[] { HeatMap.Overlay(seen, seen.Methods[0].Mean), HeatMap.Picture(seen) })
        {
            Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((256, 256, 3)));
            int arm = (20 * 8 + 4) * 256 + 10 * 8 + 4 + 5;
            Assert.That(image.Pixels.AsSpan(3 * arm, 3).ToArray(), Is.All.EqualTo(255), "of the cross");
        }
    }

    [Test]
    public void Threads_change_no_bit()
    {
        float[][] maps = [.. new[] { 1, 2 }.Select(threads =>
        {
            using ThreadCount _ = new(threads);
            using Explainer explainer = Of("ul-vm-unet", 64);
            ImageExplanation seen = explainer.Explain(
                Pictures.Random(64, 64, 3), new ExplanationOptions { Methods = explainer.Methods });
            double[] curve = [.. explainer.Measure(seen, 3)[0].Insertion];
            return (float[])[.. seen.Methods.SelectMany(m => m.Mean.Pixels), .. curve.Select(v => (float)v)];
        })];
        Assert.That(maps[1], Is.EqualTo(maps[0]));
    }

    private static Explainer Of(string name, int side, MixerKind mixer) =>
        Of(name, side, Registry.Find(name).Config with { Mixer = mixer });

    private static Explainer Of(string name, int side, ModelConfig? config = null)
    {
        ModelInfo info = Info(name, side, config);
        return new Explainer(Create(info), info);
    }

    /// <summary>A small model with running statistics that are no special case.</summary>
    private static VisionModel Create(ModelInfo info)
    {
        VisionModel model = info.Entry.Create(info.Config, seed: 5);
        model.Parameters.Training = false;
        int seed = 0;
        foreach ((string name, Tensor tensor) in model.Parameters.All)
            if (name.EndsWith("running_var", StringComparison.Ordinal))
                Numbers.Uniform(tensor.Count, ++seed, 0.01f, 0.1f).CopyTo(tensor.Span);
            else if (name.EndsWith("running_mean", StringComparison.Ordinal))
                Numbers.Uniform(tensor.Count, ++seed, -0.1f, 0.1f).CopyTo(tensor.Span);
        return model;
    }

    private static ModelInfo Info(string name, int side, ModelConfig? config)
    {
        ModelEntry entry = Registry.Find(name);
        bool classifier = entry.Task == ModelTask.Classification;
        ModelConfig c = config ?? entry.Config;
        if (c.Width is not null) c = c with { Width = name.StartsWith("vi", StringComparison.Ordinal) ? 16 : 8 };
        if (c.ImageSize is not null) c = c with { ImageSize = side, Depth = 2 };
        return new ModelInfo(
            name, classifier ? c with { Classes = 3 } : c, classifier ? s_labels : ["lesion"], Normalization.None(3),
            new RunData(SplitProtocol.Image, 0, null, side, side));
    }
}
