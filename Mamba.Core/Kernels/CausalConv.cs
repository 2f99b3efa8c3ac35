using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// Depthwise convolution along a sequence that sees the present and the K - 1 tokens before it; lanes are channels. Work items are tokens of the
/// whole batch, so that one long sequence is shared by all threads.
/// </summary>
internal static unsafe class CausalConv
{
    private const nint TokensPerSum = 512;

    /// <summary>y = f(bias + sum_j taps[j] x[t - K + 1 + j]).</summary>
    public static void Forward<TActivation>(in SequenceShape s, float* x, float* weight, float* bias, float* y) where TActivation : unmanaged, IActivation
    {
        using Scratch taps = TapsFirst(s, weight);
        Launch.Run(
            new CausalConvForward<TActivation> { Shape = s, X = x, Taps = taps.Pointer, Bias = bias, Y = y }, s.Tokens, s.Grain, Isa.For(s.Channels));
    }

    public static void InputGradient(in SequenceShape s, float* dy, float* weight, float* dx, bool add)
    {
        using Scratch taps = TapsFirst(s, weight);
        Launch.Run(new CausalConvInputGradient { Shape = s, Dy = dy, Taps = taps.Pointer, Dx = dx, Add = add }, s.Tokens, s.Grain, Isa.For(s.Channels));
    }

    public static void WeightGradient(in SequenceShape s, float* x, float* dy, float* dw, bool add)
    {
        nint parts = Launch.Chunks(s.Tokens, TokensPerSum), size = s.Taps * s.Channels;
        using Scratch sums = new(parts * size);
        Launch.Run(new CausalConvWeightGradient { Shape = s, X = x, Dy = dy, Sums = sums.Pointer, PerPart = TokensPerSum }, s.Tokens, TokensPerSum, Isa.For(s.Channels));
        for (nint c = 0; c < s.Channels; c++)
            for (nint tap = 0; tap < s.Taps; tap++)
            {
                float sum = 0f;
                for (nint p = 0; p < parts; p++) sum += sums.Pointer[p * size + tap * s.Channels + c];
                nint i = c * s.Taps + tap;
                dw[i] = add ? dw[i] + sum : sum;
            }
    }

    /// <summary>(C, 1, K) to (K, C).</summary>
    private static Scratch TapsFirst(in SequenceShape s, float* weight)
    {
        Scratch taps = new(s.Taps * s.Channels);
        for (nint c = 0; c < s.Channels; c++)
            for (nint tap = 0; tap < s.Taps; tap++) taps.Pointer[tap * s.Channels + c] = weight[c * s.Taps + tap];
        return taps;
    }
}

/// <summary>Sizes of a causal convolution; in reverse, a token sees those that come after it instead of those before.</summary>
internal readonly record struct SequenceShape(nint Batch, nint Length, nint Channels, nint Taps, bool Reverse)
{
    /// <summary>How many tokens in memory the next one is on.</summary>
    public nint Step => Reverse ? -1 : 1;

    public nint Tokens => Batch * Length;

    public nint Grain => Math.Max(1, Launch.ElementGrain / Math.Max(1, Channels));
}

/// <summary>One item: a token.</summary>
internal unsafe struct CausalConvForward<TActivation> : IKernel where TActivation : unmanaged, IActivation
{
    public SequenceShape Shape;
    public float* X, Taps, Bias, Y;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Shape.Channels, taps = Shape.Taps, step = Shape.Step * channels;
        for (nint token = begin; token < end; token++)
        {
            nint position = token % Shape.Length, behind = Shape.Reverse ? Shape.Length - 1 - position : position;
            nint first = Math.Max(0, taps - 1 - behind); // taps before it lie before the sequence
            float* x = X + token * channels - (taps - 1) * step, y = Y + token * channels;
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                V sum = Bias == null ? default : Load<V>(Bias + c, lanes);
                for (nint tap = first; tap < taps; tap++)
                    sum = Fma(Load<V>(x + tap * step + c, lanes), Load<V>(Taps + tap * channels + c, lanes), sum);
                Store(TActivation.Apply(sum), y + c, lanes);
            }
        }
    }
}

/// <summary>dx[t] (+)= sum_j taps[j] dy[t + K - 1 - j]; one item is a token.</summary>
internal unsafe struct CausalConvInputGradient : IKernel
{
    public SequenceShape Shape;
    public float* Dy, Taps, Dx;
    public bool Add;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Shape.Channels, taps = Shape.Taps, step = Shape.Step * channels;
        for (nint token = begin; token < end; token++)
        {
            nint position = token % Shape.Length, ahead = Shape.Reverse ? position : Shape.Length - 1 - position;
            nint first = Math.Max(0, taps - 1 - ahead); // taps before it would read past the sequence
            float* dy = Dy + token * channels + (taps - 1) * step, dx = Dx + token * channels;
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                V sum = Add ? Load<V>(dx + c, lanes) : default;
                for (nint tap = first; tap < taps; tap++)
                    sum = Fma(Load<V>(dy - tap * step + c, lanes), Load<V>(Taps + tap * channels + c, lanes), sum);
                Store(sum, dx + c, lanes);
            }
        }
    }
}

/// <summary>dtaps[j] = sum_t dy[t] x[t - K + 1 + j] per part of the tokens.</summary>
internal unsafe struct CausalConvWeightGradient : IKernel
{
    public SequenceShape Shape;
    public float* X, Dy, Sums;
    public nint PerPart;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Shape.Channels, taps = Shape.Taps;
        float* sums = Sums + begin / PerPart * taps * channels;
        for (nint tap = 0; tap < taps; tap++)
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c), back = taps - 1 - tap, from = Shape.Step * back;
                V sum = default;
                for (nint start = begin; start < end;)
                {
                    // Sequence by sequence, the tokens that this tap does not reach out of.
                    nint position = start % Shape.Length, sequence = start - position, stop = Math.Min(end, sequence + Shape.Length);
                    nint low = Shape.Reverse ? start : Math.Max(start, sequence + back), high = Shape.Reverse ? Math.Min(stop, sequence + Shape.Length - back) : stop;
                    for (nint token = low; token < high; token++)
                        sum = Fma(Load<V>(X + (token - from) * channels + c, lanes), Load<V>(Dy + token * channels + c, lanes), sum);
                    start = stop;
                }
                Store(sum, sums + tap * channels + c, lanes);
            }
    }
}
