using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;

namespace Mamba.Models.Explanation;

/// <summary>
/// Measures the curves of an image. A block that is taken away is replaced by the same place of the image reduced to 4 x 4 and enlarged
/// again, which is blurred beyond recognition and has no new edges.
/// </summary>
/// <param name="probabilities">The model: (B, H, W, C) to probabilities.</param>
/// <param name="explanation">The image, its target and maps.</param>
/// <param name="shape">Of the input.</param>
/// <param name="block">Rows and columns of a block.</param>
/// <param name="steps">Steps of a curve.</param>
internal sealed class FaithfulnessMeter(
    Func<Tensor, Tensor> probabilities, ImageExplanation explanation, (int Height, int Width, int Channels) shape, int block, int steps)
{
    // A batch of its own size, so that results do not depend on the threads.
    private const int Batch = 4;
    private const int RandomOrders = 3;
    private const int Coarse = 4;

    private readonly int _across = (shape.Width + block - 1) / block;
    private readonly int _blocks = (shape.Width + block - 1) / block * ((shape.Height + block - 1) / block);
    private readonly float[] _blurred = Blurred(explanation.Input, shape);

    /// <summary>The curves of each method's mean map.</summary>
    public FaithfulnessCurves[] Measure(CancellationToken cancellation)
    {
        double[] randomDeletion = new double[steps + 1], randomInsertion = new double[steps + 1];
        for (int i = 0; i < RandomOrders; i++)
        {
            int[] order = Ranks($"explain.random.{i}");
            Add(randomDeletion, Curve(order, insertion: false, cancellation));
            Add(randomInsertion, Curve(order, insertion: true, cancellation));
        }
        FaithfulnessCurves[] results = new FaithfulnessCurves[explanation.Methods.Count];
        for (int i = 0; i < results.Length; i++)
        {
            int[] order = Order(explanation.Methods[i].Mean.Pixels);
            results[i] = new FaithfulnessCurves(
                block, Curve(order, insertion: false, cancellation), Curve(order, insertion: true, cancellation), randomDeletion,
                randomInsertion);
        }
        return results;

        static void Add(double[] mean, double[] curve)
        {
            for (int i = 0; i < mean.Length; i++) mean[i] += curve[i] / RandomOrders;
        }
    }

    /// <summary>Blocks from the most important to the least; equal ones in random order, so that a flat map is a random one.</summary>
    internal int[] Order(IReadOnlyList<float> pixels)
    {
        double[] sums = new double[_blocks], counts = new double[_blocks];
        for (int i = 0; i < pixels.Count; i++)
        {
            int at = BlockOf(i);
            sums[at] += pixels[i];
            counts[at]++;
        }
        int[] order = new int[_blocks], ranks = Ranks("explain.ties");
        for (int i = 0; i < order.Length; i++) (order[i], sums[i]) = (i, sums[i] / counts[i]);
        Array.Sort(order, (a, b) => sums[a] != sums[b] ? sums[b].CompareTo(sums[a]) : ranks[a].CompareTo(ranks[b]));
        return order;
    }

    private int[] Ranks(string name)
    {
        int[] ranks = new int[_blocks];
        for (int i = 0; i < ranks.Length; i++) ranks[i] = i;
        new RandomStream(0, name).Shuffle<int>(ranks);
        return ranks;
    }

    private int BlockOf(int pixel) => pixel / shape.Width / block * _across + pixel % shape.Width / block;

    /// <summary>The score of the target after each step.</summary>
    private double[] Curve(int[] order, bool insertion, CancellationToken cancellation)
    {
        int[] turn = new int[_blocks]; // when a block goes or comes
        for (int i = 0; i < order.Length; i++) turn[order[i]] = i;
        double[] curve = new double[steps + 1];
        int size = explanation.Input.Length;
        for (int first = 0; first <= steps; first += Batch)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = Math.Min(Batch, steps + 1 - first);
            using MemoryScope scope = new();
            Tensor images = Tensor.Empty(count, shape.Height, shape.Width, shape.Channels);
            for (int i = 0; i < count; i++)
                Mix(turn, (int)((long)(first + i) * _blocks / steps), insertion, images.Span.Slice(i * size, size));
            Tensor y = probabilities(images);
            int results = y.Count / count;
            for (int i = 0; i < count; i++) curve[first + i] = explanation.Target.ScoreOf(y.Span.Slice(i * results, results));
        }
        return curve;
    }

    /// <summary>The image whose first blocks have gone, or the blurred one to which they have come.</summary>
    private void Mix(int[] turn, int changed, bool insertion, Span<float> to)
    {
        for (int pixel = 0, at = 0; at < to.Length; pixel++)
        {
            float[] from = turn[BlockOf(pixel)] < changed == insertion ? explanation.Input : _blurred;
            for (int c = 0; c < shape.Channels; c++, at++) to[at] = from[at];
        }
    }

    private static float[] Blurred(float[] input, (int Height, int Width, int Channels) shape)
    {
        float[] coarse = new float[Coarse * Coarse * shape.Channels], blurred = new float[input.Length];
        PlaneResize.Run(input, (shape.Height, shape.Width), coarse, (Coarse, Coarse), shape.Channels, Resampling.Antialias);
        PlaneResize.Run(coarse, (Coarse, Coarse), blurred, (shape.Height, shape.Width), shape.Channels, Resampling.Bilinear);
        return blurred;
    }
}
