using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class TokenModelTests
{
    private static readonly string[] s_names = ["vim", "vit"];

    private static readonly ModelConfig[] s_changes =
    [
        Small(
            new ModelConfig(
                InputChannels: 1,
                Classes: 3)), Small(new ModelConfig(Classes: 2)) with { ImageSize = 24 }, Small(new ModelConfig()) with { Patch = 16 },
        Small(new ModelConfig()) with { Width = 20 }, Small(new ModelConfig()) with { Depth = 3 },
        Small(new ModelConfig()) with { DropPath = 0.5 },
    ];

    [Test]
    public void Every_size_can_be_chosen([ValueSource(nameof(s_names))] string name, [ValueSource(nameof(s_changes))] ModelConfig config)
    {
        VisionModel model = Registry.Find(name).Create(config);
        model.Parameters.Training = true;
        int size = config.ImageSize!.Value;
        Tensor y = model.Forward(Numbers.Uniform(1, 0f, 1f, 2, size, size, config.InputChannels));
        Assert.That(y.Shape, Is.EqualTo(new Shape(2, config.Classes)));
        Assert.That(y.Span.ToArray(), Is.All.Matches<float>(float.IsFinite));
        Assert.That(model.Probabilities(y).Span.ToArray().Sum(), Is.EqualTo(2).Within(1e-5));
        Assert.That(
            model.Parameters.All.Count(p => p.Name.EndsWith(name == "vim" ? ".mixer.D" : ".to_qkv.weight", StringComparison.Ordinal)),
            Is.EqualTo(config.Depth));
    }

    [Test]
    public void What_does_not_fit_is_refused_by_name([ValueSource(nameof(s_names))] string name)
    {
        ModelEntry entry = Registry.Find(name);
        Assert.That(
            () => entry.Create(entry.Config with { Patch = 5 }),
            Throws.ArgumentException.With.Message.Contains("image size 32 is no multiple of patch 5"));
        Assert.That(() => entry.Create(entry.Config with { Width = 0 }), Throws.ArgumentException.With.Message.Contains("width is 0"));
        Assert.That(() => entry.Create(new ModelConfig()), Throws.ArgumentException.With.Message.Contains("image size is missing"));
        Assert.That(() => entry.Create(entry.Config with { DropPath = 1 }), Throws.TypeOf<ArgumentOutOfRangeException>());
        VisionModel model = entry.Create(Small(new ModelConfig()));
        Assert.That(
            () => model.Forward(Tensor.Zeros(1, 32, 32, 3)),
            Throws.TypeOf<ShapeException>().With.Message.Contains("equal to 16").And.Message.Contains("(1, 32, 32, 3)"));
        Assert.That(() => model.Forward(Tensor.Zeros(1, 16, 16, 1)), Throws.TypeOf<ShapeException>());
    }

    [Test]
    public void Drop_path_follows_from_seed_place_and_step_alone([ValueSource(nameof(s_names))] string name)
    {
        Tensor images = Numbers.Uniform(1, 0f, 1f, 8, 16, 16, 3);
        float[] Logits(ulong seed, long step, double rate, bool training = true)
        {
            // The weights are those of seed 0 whatever the seed of chance.
            VisionModel model = Registry.Find(name).Create(Small(new ModelConfig()) with { DropPath = rate }, seed),
                weights = Registry.Find(name).Create(Small(new ModelConfig()));
            foreach ((string parameter, Tensor tensor) in weights.Parameters.All) tensor.Span.CopyTo(model.Parameters[parameter].Span);
            (model.Parameters.Training, model.Parameters.Step) = (training, step);
            model.Forward(images); // nothing is counted on
            return model.Forward(images).Span.ToArray();
        }
        float[] plain = Logits(1, 5, rate: 0), dropped = Logits(1, 5, rate: 0.5);
        Assert.That(Logits(1, 5, rate: 0.5, training: false), Is.EqualTo(plain));
        Assert.That(dropped, Is.Not.EqualTo(plain));
        Assert.That(Logits(1, 5, rate: 0.5), Is.EqualTo(dropped));
        Assert.That(Logits(1, 6, rate: 0.5), Is.Not.EqualTo(dropped));
        Assert.That(Logits(2, 5, rate: 0.5), Is.Not.EqualTo(dropped));
    }

    [Test]
    public void Vision_mamba_starts_as_its_authors_start_it()
    {
        ParameterStore p = Registry.Find("vim").Create(seed: 4).Parameters;
        Assert.That(Deviation(p["pos_embed"]), Is.EqualTo(0.02).Within(0.001));
        Assert.That(Deviation(p["cls_token"]), Is.EqualTo(0.02).Within(0.004));
        Assert.That(Deviation(p["head.weight"]), Is.EqualTo(0.02).Within(0.002));
        // LeCun, as timm 0.4.12 has it
        Assert.That(Deviation(p["patch_embed.proj.weight"]), Is.EqualTo(Math.Sqrt(1 / 48.0) / 0.8796).Within(0.005));
        // uniform, over the root of the depth
        Assert.That(Largest(p["layers.7.mixer.out_proj.weight"]), Is.EqualTo(1 / Math.Sqrt(336 * 8)).Within(1e-4));
        Assert.That(Largest(p["layers.0.mixer.in_proj.weight"]), Is.EqualTo(1 / Math.Sqrt(168)).Within(1e-4));
        foreach (string zero in new[] { "patch_embed.proj.bias", "head.bias", "layers.3.mixer.dt_proj_b.bias" })
            Assert.That(Largest(p[zero]), Is.Zero, zero);
        // softplus
        foreach (float bias in p["layers.3.mixer.dt_proj.bias"].Span)
            Assert.That(Math.Log(1 + Math.Exp(bias)), Is.InRange(0.000999, 0.1001));
        foreach (string name in new[] { "A_log", "A_b_log" }) Assert.That(p[$"layers.0.mixer.{name}"].Span[17], Is.EqualTo(MathF.Log(2)));
    }

    [Test]
    public void The_vision_transformer_starts_as_its_authors_start_it()
    {
        ParameterStore p = Registry.Find("vit").Create(seed: 4).Parameters;
        Assert.That(Deviation(p["pos_embedding"]), Is.EqualTo(1).Within(0.03));
        Assert.That(Deviation(p["cls_token"]), Is.EqualTo(1).Within(0.15));
        Assert.That(Largest(p["transformer.layers.0.0.to_qkv.weight"]), Is.EqualTo(1 / Math.Sqrt(168)).Within(1e-4));
        Assert.That(Largest(p["transformer.layers.0.1.net.4.weight"]), Is.EqualTo(1 / Math.Sqrt(128)).Within(1e-4));
        Assert.That(Largest(p["transformer.layers.0.1.net.4.bias"]), Is.GreaterThan(0.08).And.LessThanOrEqualTo(1 / Math.Sqrt(128)));
    }

    [Test]
    public void Random_features_are_blocks_of_orthogonal_rows()
    {
        const int Width = 24, Features = 60;
        ModelConfig config = Small(new ModelConfig()) with { Features = Features };
        ParameterStore p = Registry.Find("performer").Create(config with { Width = 48 }, seed: 4).Parameters;
        Assert.That(p.All.Count(t => t.Name.EndsWith("fast_attention.projection_matrix", StringComparison.Ordinal)), Is.EqualTo(2));
        Assert.That(p["transformer.layers.0.0.fast_attention.projection_matrix"].Shape, Is.EqualTo(new Shape(Features, 64)));
        float[] rows = new float[Features * Width];
        RandomFeatureAttention.Orthogonal(rows, Width, new Mamba.Core.RandomStream(3, "features"));
        double[] lengths = [.. Enumerable.Range(0, Features).Select(i => Math.Sqrt(Product(i, i)))];
        // The length of a row of n normal numbers: sqrt n or a little less, with a deviation of sqrt(1/2).
        Assert.That(lengths.Average(), Is.EqualTo(Math.Sqrt(Width)).Within(0.4));
        Assert.That(lengths, Is.All.InRange(2, 8));
        Assert.That(lengths, Is.Unique);
        for (int i = 0; i < Features; i++)
            for (int j = i + 1; j < Math.Min(Features, (i / Width + 1) * Width); j++)
                Assert.That(Math.Abs(Product(i, j)), Is.LessThan(1e-5), $"rows {i} and {j}");
        Assert.That(Math.Abs(Product(0, Width)), Is.GreaterThan(1e-3), "blocks are independent");
        Assert.That(() => Registry.Find("performer").Create(config with { Features = 0 }), Throws.ArgumentException);

        double Product(int i, int j) => Enumerable.Range(0, Width).Sum(k => (double)rows[i * Width + k] * rows[j * Width + k]);
    }

    /// <summary>With many random features a Performer is nearly the vision transformer of the same weights.</summary>
    [Test]
    public void A_performer_approximates_the_vision_transformer()
    {
        ModelConfig config = Small(new ModelConfig()) with { ImageSize = 32, Depth = 1 };
        VisionModel vit = Registry.Find("vit").Create(config, seed: 4);
        Tensor images = Numbers.Uniform(1, 0f, 1f, 4, 32, 32, 3);
        float[] expected = vit.Forward(images).Span.ToArray();
        double few = Error(16), many = Error(4096);
        Assert.That(many, Is.LessThan(0.02).And.LessThan(few / 4));

        double Error(int features)
        {
            VisionModel performer = Registry.Find("performer").Create(config with { Features = features }, seed: 4);
            float[] logits = performer.Forward(images).Span.ToArray();
            return Math.Sqrt(logits.Zip(expected).Sum(p => Math.Pow(p.First - p.Second, 2)) / expected.Sum(x => (double)x * x));
        }
    }

    private static ModelConfig Small(ModelConfig config) => config with { ImageSize = 16, Patch = 8, Width = 24, Depth = 2 };

    private static double Deviation(Tensor x)
    {
        float[] values = x.Span.ToArray();
        double mean = values.Average();
        return Math.Sqrt(values.Average(v => (v - mean) * (v - mean)));
    }

    private static double Largest(Tensor x) => x.Span.ToArray().Max(Math.Abs);
}
