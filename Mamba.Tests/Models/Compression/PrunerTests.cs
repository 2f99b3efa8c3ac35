using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

[NonParallelizable]
internal sealed class PrunerTests
{
    private string _path = null!;

    [SetUp]
    public void NewPath() => _path = Path.Combine(Path.GetTempPath(), $"mamba-{Guid.NewGuid():N}.safetensors");

    [TearDown]
    public void Remove() => File.Delete(_path);

    /// <summary>
    /// A channel whose numbers are all zero adds nothing to what reads it. So the smaller model computes what the larger one does with
    /// zeros for all that was removed; a table that names another channel, or forgets a tensor, shows.
    /// </summary>
    [TestCase("unet", 32), TestCase("resnet8", 32), TestCase("resnet20", 32), TestCase("resnet18", 32), TestCase("resnet50", 32)]
    [TestCase("resnet18-seg", 32), TestCase("resnet50-seg", 32), TestCase("umambabot", 32), TestCase("umambabot-pp", 32)]
    [TestCase("vit", 32), TestCase("vim", 32)]
    [TestCase("ul-vm-unet", 64), TestCase("ul-vm-unet-v1", 64), TestCase("ul-vm-unet-v2", 64), TestCase("ul-vm-unet-v3", 64)]
    [TestCase("ul-vm-unet-v4", 64), TestCase("ul-vm-unet-v5", 64), TestCase("ul-vm-unet-v6", 64)]
    public void The_smaller_model_computes_what_the_larger_one_does_without_the_channels(string name, int size)
    {
        VisionModel model = Create(name);
        ModelEntry entry = Registry.Find(name);
        if (model is UltraLightVmUnet) PassConstants(model.Parameters);
        Tensor image = Numbers.Uniform(3, -1f, 1f, 1, size, size, 3);
        float[] whole = model.Forward(image).Span.ToArray();
        (PruningGroup Group, int[] Kept)[] groups =
            [.. PruningGroups.Of(model).Select(g => (g, Pruner.Strongest(model.Parameters, g, 0.5)))];
        PrunedModel pruned = Pruner.Keep(model, entry, groups);
        Assert.That(pruned.Model.Parameters.ParameterCount, Is.LessThan(model.Parameters.ParameterCount));
        Assert.That(pruned.Layers.Select(l => (double)l.After / l.Before), Is.All.InRange(0.49, 0.67));

        model.Parameters.Thaw();
        foreach ((PruningGroup group, int[] kept) in groups)
            foreach (PruningMember member in group.Members)
                foreach (int c in Enumerable.Range(0, group.Channels).Except(kept))
                    if (group.Place(member, c) is >= 0 and var place) Clear(model.Parameters[member.Tensor], member.Axis, place);
        model.Parameters.Freeze();
        float[] masked = model.Forward(image).Span.ToArray(), small = pruned.Model.Forward(image).Span.ToArray();
        Assert.That(Error(masked, whole), Is.GreaterThan(1e-4), "the channels matter");
        Assert.That(Error(small, masked), Is.LessThan(1e-5));
    }

    [Test]
    public void Half_the_channels_are_those_of_a_model_of_half_the_width()
    {
        VisionModel unet = Registry.Find("unet").Create(new ModelConfig { Width = 16, Depth = 3 }, seed: 2);
        PrunedModel half = Pruner.Channels(unet, Registry.Find("unet"), 0.5);
        VisionModel narrow = Registry.Find("unet").Create(new ModelConfig { Width = 8, Depth = 3 });
        Assert.That(Shapes(half.Model).Where(Inside), Is.EqualTo(Shapes(narrow).Where(Inside)));
        Assert.That(half.Model.Parameters["conv.weight"].Shape, Is.EqualTo(new Shape(1, 16, 1, 1)), "what the output layer reads stays");

        ModelEntry v5 = Registry.Find("ul-vm-unet-v5"), ul = Registry.Find("ul-vm-unet");
        PrunedModel light = Pruner.Channels(v5.Create(seed: 1), v5, 0.5);
        Assert.That(
            Enumerable.Range(1, 6).Select(i => light.Config.Widths!.Channels[$"encoder{i}"]),
            Is.EqualTo(new[] { 8, 16, 32, 64, 128, 256 }));
        Assert.That(light.Config.Widths!.Channels["decoder1.0.mamba"], Is.EqualTo(64), "half of 2 x 512 / 8");
        Assert.That(light.Model.Parameters["decoder1.0.mamba.dt_proj.weight"].Shape, Is.EqualTo(new Shape(64, 4)), "the rank stays");
        Assert.That(light.Model.Parameters.ParameterCount, Is.LessThan(0.3 * v5.Create().Parameters.ParameterCount));

        UltraLightVmUnetVariant quarter = new([4, 8, 12, 16, 24, 32], MambaChunks: 4);
        VisionModel expected = new UltraLightVmUnet(new Scope(new ParameterStore()), ul.Config, quarter);
        Assert.That(Shapes(Pruner.Channels(ul.Create(seed: 1), ul, 0.5).Model), Is.EqualTo(Shapes(expected)));

        static bool Inside(string shape) => !shape.StartsWith("conv.", StringComparison.Ordinal)
            && !shape.StartsWith("decoder1.3", StringComparison.Ordinal) && !shape.StartsWith("decoder1.4", StringComparison.Ordinal);
    }

    [Test]
    public void A_pruned_model_can_be_pruned_again_and_its_input_stays_as_it_is()
    {
        ModelEntry entry = Registry.Find("ul-vm-unet-v5");
        VisionModel model = entry.Create(seed: 1);
        float[] before = Values(model);
        PrunedModel half = Pruner.Channels(model, entry, 0.5), quarter = Pruner.Channels(half.Model, entry, 0.5);
        Assert.That(Values(model), Is.EqualTo(before));
        Assert.That(quarter.Config.Widths!.Channels["encoder6"], Is.EqualTo(128));
        Assert.That(quarter.Model.Forward(Tensor.Zeros(1, 64, 64, 3)).Span.ToArray(), Is.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void The_channels_of_the_largest_norms_stay()
    {
        VisionModel model = Registry.Find("unet").Create(new ModelConfig { Width = 4, Depth = 1 });
        PruningGroup group = PruningGroups.Of(model).Single(g => g.Layer == "encoder1.0");
        Tensor made = model.Parameters["encoder1.0.weight"], taken = model.Parameters["encoder1.3.weight"];
        made.Span.Fill(1f);
        taken.Span.Fill(1f);
        model.Parameters["encoder1.1.weight"].Span.Fill(1f);
        Assert.That(Pruner.Strongest(model.Parameters, group, 0.5), Is.EqualTo(new[] { 0, 1 }), "of equally strong ones the first");
        made.Span[..27].Fill(-0.1f); // channel 0
        Assert.That(Pruner.Strongest(model.Parameters, group, 0.5), Is.EqualTo(new[] { 1, 2 }));
        for (int o = 0; o < 4; o++) taken.Span.Slice((o * 4 + 3) * 9, 9).Fill(3f); // channel 3 is read more
        Assert.That(Pruner.Strongest(model.Parameters, group, 0.5), Is.EqualTo(new[] { 1, 3 }));
        Assert.That(Pruner.Strongest(model.Parameters, group, 0.25), Is.EqualTo(new[] { 1, 2, 3 }));
        Assert.That(Pruner.Strongest(model.Parameters, group, 0.99), Is.EqualTo(new[] { 3 }), "one stays");
    }

    [Test]
    public void Groups_of_a_norm_keep_equally_many_channels_and_chunks_the_same_ones()
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create(seed: 3);
        IReadOnlyList<PruningGroup> groups = PruningGroups.Of(model);
        int[] outer = Kept("encoder1"), inner = Kept("encoder4");
        Assert.That(outer.Select(c => c / 2), Is.EqualTo(new[] { 0, 1, 2, 3 }), "8 channels in 4 groups");
        Assert.That(inner.Select(c => c / 8), Is.EqualTo(Enumerable.Range(0, 16).Select(i => i / 4)), "32 channels in 4 chunks");
        Assert.That(inner.Select(c => c % 8), Is.EqualTo(Enumerable.Range(0, 16).Select(i => inner[i % 4])));

        int[] Kept(string layer) => Pruner.Strongest(model.Parameters, groups.Single(g => g.Layer == layer), 0.5);
    }

    [TestCase("unet"), TestCase("ul-vm-unet-v4"), TestCase("vim")]
    public void A_file_holds_the_pruned_model(string name)
    {
        ModelEntry entry = Registry.Find(name);
        PrunedModel pruned = Pruner.Channels(Create(name), entry, 0.5);
        ModelFile.Save(_path, pruned.Model, Info(name, pruned.Config));
        (VisionModel loaded, ModelInfo info) = ModelFile.Load(_path);
        Assert.That(info.Config.Widths, Is.EqualTo(pruned.Config.Widths).And.Not.Null);
        Assert.That(Values(loaded), Is.EqualTo(Values(pruned.Model)));
        Tensor image = Numbers.Uniform(3, -1f, 1f, 1, 32, 32, 3);
        Assert.That(loaded.Forward(image).Span.ToArray(), Is.EqualTo(pruned.Model.Forward(image).Span.ToArray()));
    }

    [TestCase("encoder9=4", "encoder9"), TestCase("encoder3=23", "23 channels"), TestCase("encoder3=0", "no width")]
    [TestCase("encoder6=63", "63 channels in 4 chunks"), TestCase("encoder3", "no width"), TestCase("", "no width")]
    [TestCase("encoder3=4,encoder3=8", "repeated"), TestCase("encoder4.0.mamba=1000000", "at most")]
    [TestCase("encoder3=20", "do not fit the model")]
    public void Widths_that_do_not_fit_the_model_are_refused(string widths, string expected)
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        ModelFile.Save(_path, model, Info("ul-vm-unet", model.Config));
        Dictionary<string, string> metadata;
        using (WeightFile file = WeightFile.Open(_path)) metadata = new(file.Metadata);
        metadata["config"] = metadata["config"].Replace("}", $",\"widths\":\"{widths}\"}}", StringComparison.Ordinal);
        Safetensors.Write(_path, model.Parameters.All, metadata);
        Assert.That(
            () => ModelFile.Load(_path),
            Throws.TypeOf<CheckpointException>().With.Message.Contains(expected).And.Message.StartsWith(_path));
    }

    [Test]
    public void Widths_are_written_as_they_are_read()
    {
        ChannelWidths widths = ChannelWidths.Parse("b.1=3,a=12");
        Assert.That(widths.ToString(), Is.EqualTo("a=12,b.1=3"));
        Assert.That(widths, Is.EqualTo(ChannelWidths.Parse("a=12,b.1=3")).And.Not.EqualTo(ChannelWidths.Parse("a=12,b.1=4")));
        Assert.That(widths.GetHashCode(), Is.EqualTo(ChannelWidths.Parse("a=12,b.1=3").GetHashCode()));
        Assert.That(widths.Channels["a"], Is.EqualTo(12));
        Assert.That(() => ChannelWidths.Parse("a=+1"), Throws.ArgumentException.With.Message.Contains("'a=+1'"));
        Assert.That(() => new ChannelWidths(new Dictionary<string, int>()), Throws.ArgumentException);
        Assert.That(() => new ChannelWidths(new Dictionary<string, int> { ["a,b"] = 1 }), Throws.ArgumentException);
        Assert.That(
            () => Registry.Find("unet").Create(new ModelConfig { Widths = ChannelWidths.Parse("encoder7.0=3") }),
            Throws.ArgumentException.With.Message.Contains("encoder7.0"));
    }

    [Test]
    public void The_smallest_weights_are_zero_and_no_others()
    {
        VisionModel model = Create("vit"), twin = Create("vit");
        foreach (VisionModel one in new[] { model, twin }) // a layer of small numbers, which is not erased
        {
            one.Parameters.Thaw();
            foreach (ref float w in one.Parameters["to_patch_embedding.2.weight"].Span) w *= 1e-3f;
        }
        Dictionary<string, float[]> before = model.Parameters.All.ToDictionary(p => p.Name, p => p.Tensor.Span.ToArray());
        IReadOnlyList<PrunedLayer> layers = Pruner.Weights(model, 0.3);
        string[] names = [.. layers.Select(l => l.Layer)];
        Assert.That(names, Has.Some.EqualTo("to_patch_embedding.2.weight"));
        Assert.That(names, Has.None.EndsWith("bias").And.None.EqualTo("pos_embedding").And.None.EqualTo("mlp_head.weight"));
        long all = names.Sum(n => (long)before[n].Length);
        Assert.That(layers.Sum(l => l.Before - l.After), Is.EqualTo((long)(0.3 * all)));
        Assert.That(Pruner.Sparsity(model), Is.EqualTo(0.3).Within(1e-4));
        double largestGone = 0, smallestKept = double.PositiveInfinity;
        foreach ((string name, float[] values) in before)
        {
            float[] after = model.Parameters[name].Span.ToArray();
            if (!names.Contains(name))
            {
                Assert.That(after, Is.EqualTo(values), name);
                continue;
            }
            double size = Math.Sqrt(values.Sum(v => (double)v * v) / values.Length);
            for (int i = 0; i < values.Length; i++)
                if (after[i] == 0) largestGone = Math.Max(largestGone, Math.Abs(values[i]) / size);
                else
                {
                    Assert.That(after[i], Is.EqualTo(values[i]), name);
                    smallestKept = Math.Min(smallestKept, Math.Abs(values[i]) / size);
                }
        }
        Assert.That(largestGone, Is.LessThan(smallestKept * (1 + 1e-6)));
        Pruner.Weights(twin, 0.3);
        Assert.That(Values(twin), Is.EqualTo(Values(model)));
    }

    [Test]
    public void Equal_weights_go_from_the_first()
    {
        VisionModel model = Registry.Find("unet").Create(new ModelConfig { Width = 2, Depth = 1 });
        foreach ((_, Tensor tensor) in model.Parameters.Parameters) tensor.Span.Fill(0.5f);
        IReadOnlyList<PrunedLayer> layers = Pruner.Weights(model, 0.5);
        float[] zeros = [.. layers.SelectMany(l => model.Parameters[l.Layer].Span.ToArray())];
        Assert.That(zeros[..(zeros.Length / 2)], Is.All.Zero);
        Assert.That(zeros[(zeros.Length / 2)..], Is.All.EqualTo(0.5f));
    }

    [Test]
    public void What_cannot_be_pruned_is_refused()
    {
        ModelEntry unet = Registry.Find("unet"), segformer = Registry.Find("segformer"), ul = Registry.Find("ul-vm-unet");
        ModelConfig small = new() { Width = 4, Depth = 1 };
        foreach (double sparsity in new[] { 0, 1, -0.5, double.NaN })
        {
            Assert.That(() => Pruner.Channels(unet.Create(small), unet, sparsity), Throws.ArgumentException);
            Assert.That(() => Pruner.Weights(unet.Create(small), sparsity), Throws.ArgumentException);
        }
        Assert.That(
            () => Pruner.Channels(unet.Create(small), unet, 0.01), Throws.ArgumentException.With.Message.Contains("larger --sparsity"));
        Assert.That(
            () => Pruner.Channels(segformer.Create(segformer.Config with { Width = 8 }), segformer, 0.5),
            Throws.ArgumentException.With.Message.Contains("segformer").And.Message.Contains("--unstructured"));
        Assert.That(
            () => Pruner.Channels(ul.Create(ul.Config with { Mixer = MixerKind.Mamba2 }), ul, 0.5),
            Throws.ArgumentException.With.Message.Contains("mixer Mamba2"));
        VisionModel broken = unet.Create(small);
        broken.Parameters["conv.weight"].Span[1] = float.NaN;
        Assert.That(() => Pruner.Channels(broken, unet, 0.5), Throws.ArgumentException.With.Message.Contains("'conv.weight' holds NaN"));
        Assert.That(() => Pruner.Weights(broken, 0.5), Throws.ArgumentException.With.Message.Contains("'conv.weight' holds NaN"));
    }

    private static VisionModel Create(string name)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = entry.Config;
        if (config.Width > 8) config = config with { Width = config.Patch is null ? 8 : 32 };
        if (config.Depth > 2) config = config with { Depth = name == "resnet20" ? 6 : 2 };
        VisionModel model = entry.Create(config, seed: 4);
        foreach ((string key, Tensor tensor) in model.Parameters.All)
            if (key.EndsWith("running_var", StringComparison.Ordinal)) Numbers.Uniform(tensor.Count, 1, 0.5f, 2f).CopyTo(tensor.Span);
            else if (tensor.Shape.Rank == 1 && !key.EndsWith(".D", StringComparison.Ordinal))
                Numbers.Uniform(tensor.Count, Seed(key), 0.1f, 1f).CopyTo(tensor.Span);
        model.Parameters.Freeze();
        return model;
    }

    /// <summary>
    /// Statistics over channels change when channels go. Here norms put out their bias and nothing else, and the bridge looks neither at
    /// sums over channels nor at a channel's neighbors; what is left shows which channel each layer makes and reads.
    /// </summary>
    private static void PassConstants(ParameterStore parameters)
    {
        parameters.Thaw();
        foreach ((string name, Tensor tensor) in parameters.Parameters)
            if (name.Contains("bn", StringComparison.Ordinal) || name.Contains(".norm.", StringComparison.Ordinal))
            {
                if (name.EndsWith("weight", StringComparison.Ordinal)) tensor.Span.Clear();
                else Numbers.Uniform(tensor.Count, Seed(name), -1f, 1f).CopyTo(tensor.Span);
            }
            else if (name.EndsWith("shared_conv2d.0.weight", StringComparison.Ordinal)) tensor.Span.Clear();
            else if (name.EndsWith("get_all_att.weight", StringComparison.Ordinal)) (tensor.Span[0], tensor.Span[2]) = (0, 0);
            else if (tensor.Shape.Rank == 2 && !name.EndsWith("A_log", StringComparison.Ordinal))
                Numbers.Uniform(tensor.Count, Seed(name), -0.5f, 0.5f).CopyTo(tensor.Span);
        parameters.Freeze();
    }

    private static int Seed(string name) => name.Select((letter, i) => letter * (i + 1)).Sum();

    private static void Clear(Tensor tensor, int axis, int place)
    {
        int inner = 1;
        for (int i = axis + 1; i < tensor.Shape.Rank; i++) inner *= tensor.Shape[i];
        for (int i = 0; i < tensor.Count; i++)
            if (i / inner % tensor.Shape[axis] == place) tensor.Span[i] = 0;
    }

    private static string[] Shapes(VisionModel model) => [.. model.Parameters.All.Select(p => $"{p.Name} {p.Tensor.Shape}")];

    private static float[] Values(VisionModel model) => [.. model.Parameters.All.SelectMany(p => p.Tensor.Span.ToArray())];

    private static ModelInfo Info(string name, ModelConfig config) => new(
        name, config, [.. Enumerable.Range(0, config.Classes).Select(i => $"class {i}")], Normalization.None(3),
        new RunData(SplitProtocol.Image, 0, null, 32, 32));

    private static double Error(float[] actual, float[] expected) =>
        Math.Sqrt(actual.Zip(expected, (a, e) => Math.Pow((double)a - e, 2)).Sum() / expected.Sum(e => (double)e * e));
}
