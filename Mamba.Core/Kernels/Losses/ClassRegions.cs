using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Losses;

/// <summary>
/// The sums of p t, of p and of t for each class of each chunk of an image, with t = 1 where the pixel has the class. Pixels of class -1
/// are ignored.
/// </summary>
internal unsafe struct ClassRegionSums : IKernel
{
    /// <summary>Pixels per chunk: few enough to sum in float32.</summary>
    public const nint Grain = 512;

    /// <summary>(Images, PerImage, Columns): probabilities.</summary>
    public float* P;

    /// <summary>(Images, PerImage): the class.</summary>
    public float* Target;

    /// <summary>(Images, ChunksPerImage, 3, Columns).</summary>
    public float* Sums;
    public nint PerImage, ChunksPerImage, Columns;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / ChunksPerImage, from = item % ChunksPerImage * Grain, to = Math.Min(PerImage, from + Grain);
            float* both = Sums + item * 3 * columns, predicted = both + columns, truth = predicted + columns;
            new Span<float>(both, (int)(3 * columns)).Clear();
            for (nint pixel = image * PerImage + from; pixel < image * PerImage + to; pixel++)
            {
                nint label = (nint)Target[pixel];
                if (label < 0) continue;
                float* p = P + pixel * columns;
                both[label] += p[label];
                truth[label] += 1f;
                for (nint i = 0; i < columns; i += n)
                {
                    nint lanes = Math.Min(n, columns - i);
                    Store(Load<V>(predicted + i, lanes) + Load<V>(p + i, lanes), predicted + i, lanes);
                }
            }
        }
    }
}

/// <summary>dp (+)= dy (Constant[image, c] + Slope[image, c] t), except for ignored pixels.</summary>
internal unsafe struct ClassRegionGradient : IKernel
{
    public float* Target, Dy, Constant, Slope;
    public GradientTarget Dp;
    public nint PerImage, Columns;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        GradientTarget gradient = Dp;
        V g = Broadcast<V>(Dy[0]);
        for (nint pixel = begin; pixel < end; pixel++)
        {
            float* dp = gradient.Pointer + pixel * columns;
            nint label = (nint)Target[pixel], image = pixel / PerImage;
            if (label < 0)
            {
                gradient.Prepare(dp, columns);
                continue;
            }
            for (nint i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                V d = g * Load<V>(Constant + image * columns + i, lanes);
                gradient.Store(d, dp + i, lanes);
            }
            dp[label] += Dy[0] * Slope[image * columns + label];
        }
    }
}

/// <summary>
/// The Lovász extension of the Jaccard loss of a class (Berman et al. 2018, algorithm 1). Pixel errors are sorted in descending order.
/// Each is multiplied by the increase of the Jaccard loss when its pixel becomes wrong. One item is a class of an image; it writes the
/// loss and the gradient of each pixel.
/// </summary>
internal unsafe struct LovaszClasses : IKernel
{
    /// <summary>(Images, PerImage, Columns): probabilities; logits with one column for a hinge.</summary>
    public float* X;

    /// <summary>(Images, PerImage): the class, -1 for a pixel to ignore; 0 or 1 for a hinge.</summary>
    public float* Target;

    /// <summary>(Images, PerImage, Columns): receives the gradient of the loss, times Share.</summary>
    public float* Gradient;

    /// <summary>(Images, Columns): class weights; 0 for an absent class.</summary>
    public float* Share;

    /// <summary>(Images, Columns): receives the losses, times Share.</summary>
    public double* Losses;
    public nint PerImage, Columns;
    public bool Hinge;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        using Scratch errors = new(PerImage), indices = new(PerImage);
        for (nint item = begin; item < end; item++)
        {
            nint image = item / Columns, column = item % Columns;
            float share = Share[item];
            float* gradient = Gradient + image * PerImage * Columns + column;
            for (nint i = 0; i < PerImage; i++) gradient[i * Columns] = 0f;
            Losses[item] = share == 0f ? 0 : share * OfClass(image, column, share, errors.Pointer, (int*)indices.Pointer);
        }
    }

    private readonly double OfClass(nint image, nint column, float share, float* errors, int* indices)
    {
        float* x = X + image * PerImage * Columns + column, target = Target + image * PerImage, gradient = Gradient
            + image * PerImage * Columns + column;
        int count = 0;
        double positives = 0;
        for (nint i = 0; i < PerImage; i++)
        {
            if (target[i] < 0f) continue;
            float truth = Truth(target[i], column), v = x[i * Columns];
            // Negated, so that ascending order puts the largest error first.
            errors[count] = Hinge ? v * (2f * truth - 1f) - 1f : -MathF.Abs(truth - v);
            indices[count++] = (int)i;
            positives += truth;
        }
        new Span<float>(errors, count).Sort(new Span<int>(indices, count));
        double loss = 0, jaccard = 0, hits = 0;
        for (int k = 0; k < count; k++)
        {
            nint i = indices[k];
            float truth = Truth(target[i], column), error = -errors[k];
            hits += truth;
            double union = positives + (k + 1 - hits), next = 1 - (positives - hits) / union, growth = next - jaccard;
            jaccard = next;
            if (Hinge && error <= 0f) continue;
            loss += error * growth;
            float d = x[i * Columns] - truth, sign = Hinge ? 1f - 2f * truth : d > 0f ? 1f : d < 0f ? -1f : d;
            gradient[i * Columns] = (float)(share * growth) * sign;
        }
        return loss;
    }

    private readonly float Truth(float target, nint column) => Hinge ? target : target == column ? 1f : 0f;
}
