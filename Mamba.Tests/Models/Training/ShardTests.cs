using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Recipes;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The gradient of a step has the same bits however its shards are spread.</summary>
[NonParallelizable]
internal sealed class ShardTests
{
    private const int Side = 32;

    private static readonly string[] s_models = ["ul-vm-unet", "resnet18-seg", "segformer"];

    [Test]
    public void Parts_add_up_to_the_gradient_of_the_whole_step([ValueSource(nameof(s_models))] string model, [Values(5)] int shards)
    {
        StepOrder order = new(0, 1, 0, shards);
        using Node whole = new(model, shards);
        whole.Gradients.Compute(order, CancellationToken.None);
        float[] expected = whole.Sum();
        foreach (int[] cuts in new int[][] { [0, shards], [0, 1, shards], [0, 3, 4, shards], [.. Enumerable.Range(0, shards + 1)] })
        {
            GradientSums sums = new(whole.Model.Parameters);
            for (int part = 0; part + 1 < cuts.Length; part++)
            {
                using Node node = new(model, shards);
                GradientSums partial = new(node.Model.Parameters);
                node.Gradients.Compute(order, cuts[part], cuts[part + 1], partial, CancellationToken.None);
                foreach (GradientBlock block in partial.Blocks) sums.Add(block);
            }
            sums.MoveToParameters();
            Assert.That(whole.Sum(), Is.EqualTo(expected), $"cut at {string.Join(", ", cuts)}");
        }
    }

    [Test]
    public void Shards_are_added_in_a_binary_tree([Range(1, 9)] int shards)
    {
        using Node node = new("ul-vm-unet", 1);
        (string _, Tensor parameter) = node.Model.Parameters.Parameters.First();
        float[] values = [.. Numbers.Uniform(3, -1f, 1f, shards).Span];
        GradientSums sums = new(node.Model.Parameters);
        for (int shard = 0; shard < shards; shard++)
        {
            parameter.ZeroGrad();
            parameter.OpenGrad().Span.Fill(values[shard]);
            sums.AddFromParameters(shard);
        }
        sums.MoveToParameters();
        Assert.That(parameter.Grad!.Value.Span[0], Is.EqualTo(Tree(values)));

        static float Tree(ReadOnlySpan<float> v)
        {
            if (v.Length == 1) return v[0];
            int left = 1;
            while (2 * left < v.Length) left *= 2;
            return Tree(v[..left]) + Tree(v[left..]);
        }
    }

    [Test]
    public void A_parameter_without_a_gradient_in_some_shards_has_that_of_the_others()
    {
        using Node node = new("ul-vm-unet", 1);
        Tensor[] parameters = [.. node.Model.Parameters.Parameters.Select(p => p.Tensor)];
        GradientSums sums = new(node.Model.Parameters);
        foreach (int shard in new[] { 0, 1, 2 })
        {
            node.Model.Parameters.ZeroGrad();
            parameters[shard].OpenGrad().Span.Fill(shard + 1f);
            sums.AddFromParameters(shard);
        }
        sums.MoveToParameters();
        Assert.That(parameters.Take(3).Select(p => p.Grad!.Value.Span[^1]), Is.EqualTo(new[] { 1f, 2f, 3f }));
        Assert.That(parameters.Skip(3).All(p => p.Grad is null));
    }

    [TestCase(1, 2), TestCase(0, 3), TestCase(0, 0), TestCase(2, -2), TestCase(6, 4)]
    public void A_block_that_the_tree_has_not_is_refused(int first, int count)
    {
        using Node node = new("ul-vm-unet", 1);
        GradientSums sums = new(node.Model.Parameters);
        int parameters = node.Model.Parameters.Parameters.Count(), length = (int)node.Model.Parameters.ParameterCount;
        Assert.Throws<ArgumentException>(() => sums.Add(new GradientBlock(first, count, new float[length], new bool[parameters])));
        Assert.Throws<ArgumentException>(() => sums.Add(new GradientBlock(0, 1, new float[length - 1], new bool[parameters])));
        sums.Add(new GradientBlock(0, 1, new float[length], new bool[parameters]));
        Assert.Throws<ArgumentException>(() => sums.Add(new GradientBlock(0, 1, new float[length], new bool[parameters])), "twice");
        sums.Add(new GradientBlock(2, 1, new float[length], new bool[parameters]));
        Assert.Throws<InvalidOperationException>(sums.MoveToParameters, "shard 1 is missing");
    }

    [Test]
    public void Batch_norms_move_by_what_their_shards_noted_to_the_bits_of_a_plain_pass()
    {
        StepOrder order = new(0, 1, 0, 3);
        using Node plain = new("resnet18-seg", 3), noted = new("resnet18-seg", 3), far = new("resnet18-seg", 3);
        float[] before = noted.Buffers();
        plain.Model.Parameters.Training = true;
        foreach (Batch batch in plain.Train.Epoch(1, [0, 1, 2]))
        {
            using MemoryScope _ = new();
            plain.Model.Forward(batch.Images);
            batch.Dispose();
        }
        IReadOnlyList<Shard> shards = far.Gradients.Compute(order, CancellationToken.None);
        Assert.That(far.Buffers(), Is.EqualTo(before), "noted, not moved");
        foreach (Shard shard in shards) noted.Model.Parameters.MoveStatistics(shard.Moments);
        Assert.That(noted.Buffers(), Is.EqualTo(plain.Buffers()).And.Not.EqualTo(before));
        Assert.Throws<ArgumentException>(() => noted.Model.Parameters.MoveStatistics(shards[0].Moments.AsSpan(0, 5)));
        Assert.Throws<ArgumentException>(() => noted.Model.Parameters.MoveStatistics([1e9, 4, 0, 0]));
        Assert.That(noted.Buffers(), Is.EqualTo(plain.Buffers()), "a refusal changes nothing");
    }

    [Test]
    public void A_shard_of_later_steps_is_the_one_of_a_pass_from_the_start()
    {
        using Node steady = new("ul-vm-unet", 4), jumping = new("ul-vm-unet", 4);
        GradientSums one = new(steady.Model.Parameters), other = new(jumping.Model.Parameters);
        for (int step = 0; step < 3; step++)
        {
            StepOrder order = new(step, 1, 4 * step, 4);
            one.Clear();
            other.Clear();
            steady.Gradients.Compute(order, 1, 3, one, CancellationToken.None);
            (int first, int end) = step == 1 ? (0, 4) : (1, 3);
            if (step == 1) jumping.Gradients.Compute(order, first, end, new GradientSums(jumping.Model.Parameters), default);
            jumping.Gradients.Compute(order, 1, 3, other, CancellationToken.None);
            Assert.That(other.Blocks[0].Values, Is.EqualTo(one.Blocks[0].Values), $"step {step}");
        }
    }

    /// <summary>A process that computes shards: its own model and images, all from the same seed.</summary>
    private sealed class Node : IDisposable
    {
        public Node(string name, int shards)
        {
            ModelEntry entry = Registry.Find(name);
            Model = entry.Create(entry.Config.Width is null ? entry.Config : entry.Config with { Width = 8 }, seed: 5);
            SyntheticLesions data = new(2, 24, Side, Side);
            Train = new BatchLoader(data, [.. Enumerable.Range(0, 24)], new BatchOptions
            {
                Height = Side,
                Width = Side,
                BatchSize = 2,
                Shuffle = true,
                Seed = 3,
            });
            TrainingPlan plan = new(TrainingRecipe.UltraLight, Objective.Segmentation(LossKind.BceDice), 1e-3, Epochs: 1)
            {
                Accumulate = shards,
            };
            Gradients = new ShardGradients(Model, Train, plan);
        }

        public VisionModel Model { get; }

        public BatchLoader Train { get; }

        public ShardGradients Gradients { get; }

        public float[] Sum() => [.. Model.Parameters.Parameters.SelectMany(p => p.Tensor.Grad is { } g ? g.Span.ToArray() : [])];

        public float[] Buffers() =>
            [.. Model.Parameters.All.Where(p => !p.Tensor.RequiresGrad).SelectMany(p => p.Tensor.Span.ToArray())];

        public void Dispose()
        {
            Gradients.Dispose();
            Train.Dispose();
        }
    }
}
