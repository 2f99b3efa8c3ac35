using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class PositionEmbeddingTests
{
    // The first grid x grid of these numbers, resampled by torch.nn.functional.interpolate(mode="bicubic", align_corners=False) in double
    // precision.
    private static readonly float[] s_table =
    [
        -1f, -0.365f, 0.27f, 0.905f, -0.46f, 0.175f, 0.81f, -0.555f, 0.08f, 0.715f, -0.65f, -0.015f, 0.62f, -0.745f, -0.11f, 0.525f,
    ];

    private static readonly float[] s_4To6 =
    [
        -1.101997f, -0.7889063f, -0.2796576f, 0.07282311f, 0.6869618f, 1.101928f, -0.8357465f, -0.5402344f, 0.03713252f, 0.6178154f,
        0.4777344f, 0.07641493f,
        -0.4031356f, -0.03950521f, 0.4495424f, 0.7132778f, 0.04154225f, -0.7222547f, -0.1051919f, 0.4866406f, 0.6587408f, -0.3114916f,
        -0.4386777f, -0.1375312f,
        0.432309f, 0.2699219f, -0.08963252f, -0.5153154f, -0.1574219f, 0.3770226f, 0.800435f, -0.1782378f, -0.9002697f, -0.2610092f,
        0.3301823f, 0.6269965f,
    ];

    private static readonly float[] s_4To3 =
    [
        -0.8523679f, 0.06815104f, 0.6527592f, -0.062364f, 0.4851563f, -0.402798f, 0.3917291f, -0.5333131f, 0.3661957f,
    ];

    private static readonly float[] s_3To5 =
    [
        -1.262272f, -0.907724f, -0.35588f, 0.092284f, 0.34008f, -0.240484f, -0.354448f, -0.39502f, -0.016552f, 0.30094f, 1.03604f, 0.32966f,
        -0.46f,
        -0.16966f, 0.23596f, 1.128884f, 0.352808f, -0.52498f, -0.245008f, 0.17098f, 0.93192f, 0.22554f, -0.56412f, -0.27378f, 0.13184f,
    ];

    private static IEnumerable<TestCaseData> Cases => new[] { (4, 6, s_4To6), (4, 3, s_4To3), (3, 5, s_3To5), (4, 4, s_table) }
        .SelectMany(c => new[] { true, false }.Select(middle => new TestCaseData(c.Item1, c.Item2, c.Item3, middle)
            .SetArgDisplayNames($"{c.Item1} to {c.Item2}", middle ? "middle" : "first")));

    [TestCaseSource(nameof(Cases))]
    public void Resamples_as_PyTorch_does_and_keeps_the_class_token(int from, int to, float[] expected, bool middle)
    {
        int Token(int grid) => middle ? grid * grid / 2 : 0;
        float[] result = new float[2 * (to * to + 1)];
        PositionEmbedding.Resample(Table(s_table, from, Token(from)), from, result, to, 2, Token);
        Assert.That(result, Is.EqualTo(Table(expected, to, Token(to))).Within(from == to ? 0 : 1e-6));
    }

    /// <summary>Two channels, the second minus twice the first, and a class token that is like no patch.</summary>
    private static float[] Table(float[] patches, int grid, int token)
    {
        List<float> first = [.. patches[..(grid * grid)]];
        first.Insert(token, 7f);
        return [.. first.SelectMany(x => new[] { x, -2f * x })];
    }

    [TestCase("vim", "pos_embed"), TestCase("vit", "pos_embedding")]
    public void Weights_of_another_image_size_are_taken_and_run(string name, string table)
    {
        ModelConfig config = Registry.Find(name).Config with { Depth = 1 };
        VisionModel small = Registry.Find(name).Create(config with { ImageSize = 16 }, seed: 1),
            large = Registry.Find(name).Create(config, seed: 2);
        Load(large, small.Parameters);
        PositionEmbedding embedding = new(
            new Scope(new ParameterStore()), new PositionConfig("t", 8, 168, Init.Zeros) { MiddleClassToken = name == "vim" });
        int Token(int grid) => name == "vim" ? grid * grid / 2 : 0;
        Assert.That(embedding.ClassToken, Is.EqualTo(Token(8)));
        float[] expected = new float[65 * 168];
        PositionEmbedding.Resample(small.Parameters[table].Span, 4, expected, 8, 168, Token);
        Assert.That(large.Parameters[table].Span.ToArray(), Is.EqualTo(expected));
        foreach ((string other, Mamba.Core.Tensor tensor) in small.Parameters.All)
            if (other != table) Assert.That(large.Parameters[other].Span.SequenceEqual(tensor.Span), other);
        Assert.That(large.Forward(Numbers.Uniform(1, 0f, 1f, 1, 32, 32, 3)).Shape.ToArray(), Is.EqualTo(new[] { 1, 10 }));
    }

    [Test]
    public void What_is_no_table_is_reported_as_misshapen()
    {
        ParameterStore target = Registry.Find("vit").Create().Parameters,
            wide = Registry.Find("vit").Create(Registry.Find("vit").Config with { Width = 8 }).Parameters;
        Assert.That(
            () => target.Load(Names(wide), n => wide[n].Shape.ToArray(), (n, v) => wide[n].Span.CopyTo(v), "file"),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("pos_embedding is (65, 8), expected (65, 168)"));
        foreach (int[] shape in new int[][] { [64, 168], [168], [1, 17, 168], [1, 168], [0, 168] })
            Assert.That(
                () => target.Load(
                    Names(target), n => n == "pos_embedding" ? shape : target[n].Shape.ToArray(), (n, v) => target[n].Span.CopyTo(v),
                    "file"),
                Throws.TypeOf<CheckpointException>().With.Message.Contains("misshapen: pos_embedding"));
    }

    private static void Load(VisionModel model, ParameterStore from) =>
        model.Parameters.Load(
            Names(from).Select(n => "module." + n), n => from[n["module.".Length..]].Shape.ToArray(),
            (n, v) => from[n["module.".Length..]].Span.CopyTo(v), "file");

    private static IEnumerable<string> Names(ParameterStore store) => store.All.Select(p => p.Name);
}
