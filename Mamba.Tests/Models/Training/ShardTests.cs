using System.Runtime.InteropServices;
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

    /// <summary>Sums that are told to be final during the backward pass are those of the end, each once, to the bit.</summary>
    [Test]
    public void Streamed_sums_are_those_of_whole_gradients(
        [ValueSource(nameof(s_models))] string model, [Values(0, 1, 2)] int first, [Values(3, 6)] int end)
    {
        StepOrder order = new(0, 1, 0, 6);
        using Node whole = new(model, 6), streamed = new(model, 6);
        GradientSums expected = new(whole.Model.Parameters), sums = null!;
        whole.Gradients.Compute(order, first, end, expected, default);
        int[] counts = [.. streamed.Model.Parameters.Parameters.Select(p => p.Tensor.Count)];
        Dictionary<(int, int), float[]> final = [];
        sums = new GradientSums(streamed.Model.Parameters) { Final = (block, i) => final.Add((block, i), Values(block, i)) };
        streamed.Gradients.Compute(order, first, end, sums, default);
        Assert.That(sums.Blocks.Select(b => (b.First, b.Count)), Is.EqualTo(GradientSums.BlocksOf(first, end)));
        Assert.That(final, Has.Count.EqualTo(counts.Length * sums.Blocks.Count));
        foreach (((int block, int i), float[] values) in final) Assert.That(values, Is.EqualTo(Values(block, i)), $"{i} of {block}");
        foreach ((GradientBlock one, GradientBlock other) in sums.Blocks.Zip(expected.Blocks))
        {
            Assert.That(one.Values, Is.EqualTo(other.Values));
            Assert.That(one.Present, Is.EqualTo(other.Present));
        }

        float[] Values(int block, int i) => sums.Blocks[block].Values.AsSpan(counts.Take(i).Sum(), counts[i]).ToArray();
    }

    /// <summary>Random gradients, of which some are missing, added in random order of the parameters.</summary>
    [Test]
    public void Parameters_may_come_in_any_order([Range(1, 20)] int seed)
    {
        Random random = new(seed);
        using Node node = new("ul-vm-unet", 1);
        Tensor[] parameters = [.. node.Model.Parameters.Parameters.Select(p => p.Tensor)];
        GradientSums whole = new(node.Model.Parameters), single = new(node.Model.Parameters);
        int first = random.Next(10), end = first + 1 + random.Next(10);
        for (int shard = first; shard < end; shard++)
        {
            node.Model.Parameters.ZeroGrad();
            foreach (Tensor parameter in parameters)
                if (random.Next(3) > 0) Numbers.Random(random.Next(), parameter.Count).Span.CopyTo(parameter.OpenGrad().Span);
            whole.AddFromParameters(shard);
            int[] places = [.. Enumerable.Range(0, parameters.Length)];
            random.Shuffle(places);
            single.Begin(shard, 1);
            Assert.Throws<InvalidOperationException>(single.End, "no parameter was added");
            foreach (int i in places) single.AddFromParameter(i);
            single.End();
        }
        Assert.That(single.Blocks.Select(b => (b.First, b.Count)), Is.EqualTo(GradientSums.BlocksOf(first, end)));
        foreach ((GradientBlock one, GradientBlock other) in single.Blocks.Zip(whole.Blocks))
        {
            Assert.That(one.Present, Is.EqualTo(other.Present));
            Assert.That(one.Values, Is.EqualTo(other.Values));
        }
    }

    /// <summary>
    /// A loss is not finite after a first block; or a gradient is not, when some of the others were added already. The next part knows
    /// nothing of it.
    /// </summary>
    [Test]
    public void A_shard_that_fails_leaves_no_sums([Values] bool inTheMiddle)
    {
        StepOrder order = new(0, 1, 0, 4);
        using Node node = new("ul-vm-unet", 4, check: true);
        Tensor[] weights = [.. node.Model.Parameters.Parameters.Select(p => p.Tensor)];
        float[][] kept = [.. weights.Select(w => w.Span.ToArray())];
        (int first, int end) = inTheMiddle ? (0, 2) : (1, 3);
        int told = 0, wild = weights.Length / (inTheMiddle ? 2 : 1);
        GradientSums sums = new(node.Model.Parameters) { Final = Tell }, expected = new(node.Model.Parameters);
        node.Gradients.Compute(order, first, end, expected, default);
        IReadOnlyList<Shard> shards = node.Gradients.Compute(order, first, end, sums, default);
        Assert.That(shards.Select(s => s.Failure is null), Is.EqualTo(new[] { true, false }));
        Assert.That(sums.Blocks, Is.Empty);
        Assert.That(told, inTheMiddle ? Is.InRange(wild, weights.Length - 1) : Is.EqualTo(wild));
        for (int i = 0; i < weights.Length; i++) kept[i].CopyTo(weights[i].Span);
        node.Gradients.Compute(order, first, end, sums, default);
        Assert.That(sums.Blocks.Zip(expected.Blocks).Select(b => b.First.Values.SequenceEqual(b.Second.Values)), Is.All.True);
        Assert.Throws<ArgumentException>(() => node.Gradients.Compute(order, first, end, sums, default), "not empty");

        void Tell(int block, int parameter)
        {
            if (++told == wild) foreach (Tensor weight in weights) weight.Span.Fill(float.NaN);
        }
    }

    /// <summary>The gradient of every parameter of every model is at its end when the tape calls it complete.</summary>
    [TestCaseSource(typeof(DeterminismTests), nameof(DeterminismTests.Models))]
    public void A_complete_gradient_does_not_change(ModelEntry entry)
    {
        (VisionModel model, Func<Tensor> loss) = SmallTraining.Of(entry);
        Tensor[] parameters = [.. model.Parameters.Parameters.Select(p => p.Tensor)];
        float[]?[] complete = new float[]?[parameters.Length];
        int told = 0;
        GradientWatch watch = new(parameters, i =>
        {
            told++;
            complete[i] = parameters[i].Grad?.Span.ToArray() ?? [];
        });
        for (int step = 0; step < 2; step++)
        {
            model.Parameters.Step = step;
            model.Parameters.ZeroGrad();
            using Tape tape = new() { Watch = watch };
            tape.Backward(loss());
            Assert.That(told, Is.EqualTo((step + 1) * parameters.Length));
            for (int i = 0; i < parameters.Length; i++)
                Assert.That(
                    MemoryMarshal.AsBytes(parameters[i].Grad is { } g ? g.Span : [])
                        .SequenceEqual(MemoryMarshal.AsBytes(complete[i].AsSpan())),
                    $"{i}");
        }
    }

    /// <summary>A process that computes shards: its own model and images, all from the same seed.</summary>
    private sealed class Node : IDisposable
    {
        public Node(string name, int shards, bool check = false)
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
                CheckNumerics = check,
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
