using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Duality;

/// <summary>
/// dt of each token, and the base-2 logarithm of the decay from the start of its chunk. Differences of these are the logarithms of the
/// decays between tokens. Sums are computed in double and kept as two floats: the differences of neighbours are much smaller than the sums.
/// One item is a chunk of a sequence.
/// </summary>
internal unsafe struct ChunkSteps : IKernel
{
    // 2^-10000 is 0, so longer steps are clamped: the sums of a chunk stay finite.
    private const double LongestStep = 10_000;

    private const double Log2E = 1.4426950408889634;

    public DualityShape Shape;
    public DualityInputs Inputs;

    /// <summary>(B, Chunks, 3, H, RowStride).</summary>
    public float* Steps;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        DualityShape s = Shape;
        DualityInputs inputs = Inputs;
        nint n = Count<V>(), heads = s.Heads, stride = s.RowStride;
        using Scratch sums = Scratch.OfDoubles(2 * heads), row = new(heads);
        double* sum = sums.Doubles, rate = sum + heads;
        for (nint head = 0; head < heads; head++) rate[head] = inputs.A[head] * Log2E;
        for (nint item = begin; item < end; item++)
        {
            nint chunk = item % s.Chunks, count = s.TokensOf(chunk), token = item / s.Chunks * s.Length + chunk * s.ChunkLength;
            StepRows rows = StepRows.Of(s, Steps, item, 0);
            new Span<double>(sum, (int)heads).Clear();
            for (nint t = 0; t < stride; t++)
            {
                if (t < count)
                    for (nint head = 0; head < heads; head += n)
                    {
                        nint lanes = Math.Min(n, heads - head);
                        V dt = inputs.Bounded(inputs.Unbounded<V>((token + t) * heads + head, head, lanes, out _));
                        Store(dt, row.Pointer + head, lanes);
                    }
                for (nint head = 0; head < heads; head++)
                {
                    float dt = t < count ? row.Pointer[head] : 0f;
                    double total = sum[head] += Math.Clamp(dt * rate[head], -LongestStep, LongestStep);
                    nint at = head * stride + t;
                    rows.Dt[at] = dt;
                    rows.Low[at] = (float)(total - (rows.High[at] = (float)total));
                }
            }
        }
    }
}

/// <summary>The values of <see cref="ChunkSteps"/> for one head in one chunk.</summary>
internal unsafe struct StepRows
{
    public float* Dt, High, Low;

    public static StepRows Of(in DualityShape s, float* steps, nint chunkOfBatch, nint head)
    {
        float* first = steps + 3 * chunkOfBatch * s.HeadRows + head * s.RowStride;
        return new() { Dt = first, High = first + s.HeadRows, Low = first + 2 * s.HeadRows };
    }

    /// <summary>The decays from before the chunk to each token, and from each token to the chunk's end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Decays<V>(nint count, float* fromStart, float* toEnd) where V : unmanaged
    {
        V high = Broadcast<V>(High[count - 1]), low = Broadcast<V>(Low[count - 1]);
        for (nint t = 0; t < count; t += Count<V>())
        {
            V h = Load<V>(High + t), l = Load<V>(Low + t);
            Store(VecMath.Exp2(h + l), fromStart + t);
            Store(VecMath.Exp2(high - h + (low - l)), toEnd + t);
        }
    }
}

/// <summary>The gradients of dt, back through its clamp and softplus. One item is a chunk of a sequence.</summary>
internal unsafe struct ChunkStepsBackward : IKernel
{
    public DualityShape Shape;
    public DualityInputs Inputs;

    /// <summary>(B, Chunks, H, RowStride): the gradients of the clamped dt.</summary>
    public float* Bounded;

    /// <summary>(B, L, H).</summary>
    public GradientTarget Dt;

    /// <summary>(B Chunks, H): sums over the tokens of each chunk.</summary>
    public float* DtBias;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        DualityShape s = Shape;
        DualityInputs inputs = Inputs;
        GradientTarget target = Dt;
        nint n = Count<V>(), heads = s.Heads;
        using Scratch rows = new(s.ChunkLength * heads);
        for (nint item = begin; item < end; item++)
        {
            nint chunk = item % s.Chunks, count = s.TokensOf(chunk), token = item / s.Chunks * s.Length + chunk * s.ChunkLength;
            Transpose.Run(Bounded + item * s.HeadRows, s.RowStride, heads, count, rows.Pointer, heads);
            for (nint head = 0; head < heads; head += n)
            {
                nint lanes = Math.Min(n, heads - head);
                V sum = default;
                for (nint t = 0; t < count; t++)
                {
                    nint offset = (token + t) * heads + head;
                    V dt = inputs.Unbounded<V>(offset, head, lanes, out V slope), bounded = inputs.Bounded(dt);
                    V gradient = Select(Equal(dt, bounded), Load<V>(rows.Pointer + t * heads + head, lanes) * slope, default);
                    if (target.IsWanted) target.Store(gradient, target.Pointer + offset, lanes);
                    sum += gradient;
                }
                Store(sum, DtBias + item * heads + head, lanes);
            }
        }
    }
}
