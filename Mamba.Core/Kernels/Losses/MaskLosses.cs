using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Losses;

/// <summary>
/// The sums behind losses of binary masks: for each chunk of an image, the sums of the binary cross-entropy, of p t, of p and of t. The
/// prediction is the probability p or its logit.
/// </summary>
internal unsafe struct MaskSums : IKernel
{
    /// <summary>Sums per chunk.</summary>
    public const int Count = 4;

    /// <summary>Elements per chunk.</summary>
    public const nint Grain = 4096;

    public float* Prediction, Target;
    public float* Sums;
    public nint PerImage, ChunksPerImage;
    public bool Logits;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Vec.Count<V>();
        V one = Broadcast<V>(1f), floor = Broadcast<V>(-100f);
        for (nint item = begin; item < end; item++)
        {
            nint image = item / ChunksPerImage, from = item % ChunksPerImage * Grain, to = Math.Min(PerImage, from + Grain);
            float* x = Prediction + image * PerImage, target = Target + image * PerImage;
            V cross = default, both = default, predicted = default, truth = default;
            for (nint i = from; i < to; i += n)
            {
                nint lanes = Math.Min(n, to - i);
                V v = Load<V>(x + i, lanes), t = Load<V>(target + i, lanes), p, loss;
                if (Logits)
                {
                    p = VecMath.Sigmoid(v);
                    loss = NonNegative(v) - v * t + VecMath.Log1P(VecMath.Exp(-Abs(v)));
                }
                else
                {
                    // log 0 is clamped to -100, as in PyTorch.
                    p = v;
                    V logP = Max(floor, VecMath.Log(p)), logQ = Max(floor, VecMath.Log(one - v));
                    loss = -(t * logP + (one - t) * logQ);
                }
                if (lanes < n)
                {
                    // In lanes past the end, a logit of 0 would mean probability 1/2.
                    V inside = LanesBelow<V>(lanes);
                    p = Select(inside, p, default);
                    loss = Select(inside, loss, default);
                }
                cross += loss;
                both = Fma(p, t, both);
                predicted += p;
                truth += t;
            }
            float* sums = Sums + item * Count;
            sums[0] = Sum(cross);
            sums[1] = Sum(both);
            sums[2] = Sum(predicted);
            sums[3] = Sum(truth);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static V LanesBelow<V>(nint lanes) where V : unmanaged
    {
        float* ones = stackalloc float[(int)lanes];
        new Span<float>(ones, (int)lanes).Fill(1f);
        return Greater(Load<V>(ones, lanes), default);
    }
}

/// <summary>
/// The gradient of any loss of those sums: dx (+)= Cross d(cross-entropy) + (Constant[image] + Slope[image] t) dp.
/// </summary>
internal unsafe struct MaskGradient : IKernel
{
    public float* Prediction, Target, Constant, Slope;
    public GradientTarget Dx;
    public float Cross;
    public nint PerImage;
    public bool Logits;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Vec.Count<V>();
        V one = Broadcast<V>(1f), cross = Broadcast<V>(Cross);
        for (nint from = begin; from < end;)
        {
            nint image = from / PerImage, to = Math.Min(end, (image + 1) * PerImage);
            V constant = Broadcast<V>(Constant[image]), slope = Broadcast<V>(Slope[image]);
            for (nint i = from; i < to; i += n)
            {
                nint lanes = Math.Min(n, to - i);
                V v = Load<V>(Prediction + i, lanes), t = Load<V>(Target + i, lanes), g;
                V dice = Fma(slope, t, constant);
                if (Logits)
                {
                    V p = VecMath.Sigmoid(v);
                    g = Fma(cross, p - t, dice * p * (one - p));
                }
                else g = Fma(cross, (v - t) / Max(v * (one - v), Broadcast<V>(1e-12f)), dice);
                Dx.Store(g, Dx.Pointer + i, lanes);
            }
            from = to;
        }
    }
}
