using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// Causal depthwise convolution over each token and the K - 1 tokens before it. Lanes are channels. Work items are tokens of the whole
/// batch, or parts of sequences, so that one long sequence uses all threads.
/// </summary>
internal static unsafe class CausalConv
{
    /// <summary>y = f(bias + sum_j taps[j] x[t - K + 1 + j]).</summary>
    public static void Forward<TActivation>(in SequenceShape s, float* x, float* weight, float* bias, float* y)
        where TActivation : unmanaged, IActivation
    {
        using Scratch taps = DepthwiseTaps.Of(weight, s.Channels, s.Taps);
        Launch.Run(
            new CausalConvForward<TActivation> { Shape = s, X = x, Taps = taps.Pointer, Bias = bias, Y = y },
            s.Tokens, s.Grain, Isa.For(s.Channels));
    }

    /// <summary>The gradients of x, weight and bias from that of y. A null gradient is not computed.</summary>
    public static void Backward<TActivation>(
        in SequenceShape s, float* x, float* weight, float* bias, float* dy, in CausalConvGradients gradients)
        where TActivation : unmanaged, IActivation
    {
        nint items = s.Batch * s.Parts, size = (s.Taps + 1) * s.Channels;
        using Scratch taps = DepthwiseTaps.Of(weight, s.Channels, s.Taps), sums = new(items * size);
        Launch.Run(
            new CausalConvBackward<TActivation>
            {
                Shape = s,
                X = x,
                Taps = taps.Pointer,
                Bias = bias,
                Dy = dy,
                Dx = gradients.X,
                Sums = sums.Pointer,
            },
            items, 1, Isa.For(s.Channels));
        Span<float> sum = new(sums.Pointer, (int)size);
        for (nint i = 1; i < items; i++) TensorPrimitives.Add(sum, new ReadOnlySpan<float>(sums.Pointer + i * size, (int)size), sum);
        (GradientTarget dw, GradientTarget db) = (gradients.Weight, gradients.Bias);
        if (dw.IsWanted) Transpose.Run(sums.Pointer, s.Channels, s.Taps, s.Channels, dw.Pointer, dw.Accumulate);
        if (db.IsWanted) Transpose.Run(sums.Pointer + s.Taps * s.Channels, s.Channels, 1, s.Channels, db.Pointer, db.Accumulate);
    }
}

/// <summary>The outputs of the backward pass of a causal convolution.</summary>
internal readonly record struct CausalConvGradients(GradientTarget X, GradientTarget Weight, GradientTarget Bias);

/// <summary>Sizes of a causal convolution; if Reverse, the window covers later tokens instead of earlier ones.</summary>
internal readonly record struct SequenceShape(nint Batch, nint Length, nint Channels, nint Taps, bool Reverse)
{
    private const nint LongestPart = 128;

    /// <summary>The memory step to the next token: 1 or -1.</summary>
    public nint Step => Reverse ? -1 : 1;

    /// <summary>Parts of a sequence; each is a work item of the backward pass.</summary>
    public nint Parts => Launch.CeilDiv(Length, LongestPart);

    public nint PartLength => Launch.BalancedSize(Length, LongestPart);

    /// <summary>The memory index of a token; positions count in causal order.</summary>
    public nint Token(nint batch, nint position) => batch * Length + (Reverse ? Length - 1 - position : position);

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
            nint first = Math.Max(0, taps - 1 - behind); // earlier taps would read before the sequence
            float* x = X + token * channels - (taps - 1 - first) * step, weights = Taps + first * channels, y = Y + token * channels;
            nint c = 0;
            for (; c <= channels - n; c += n) Channels<V>(x + c, step, weights + c, taps - first, c, y + c, n);
            if (c < channels) Channels<V>(x + c, step, weights + c, taps - first, c, y + c, channels - c);
        }
    }

    /// <summary>One vector of a token's channels. Inlined, so that the copy for full vectors has no partial loads.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void Channels<V>(float* x, nint step, float* weights, nint taps, nint c, float* y, nint lanes) where V : unmanaged
    {
        nint channels = Shape.Channels;
        V sum = Bias == null ? default : Load<V>(Bias + c, lanes);
        for (; taps > 0; taps--, x += step, weights += channels) sum = Fma(Load<V>(x, lanes), Load<V>(weights, lanes), sum);
        Store(TActivation.Apply(sum), y, lanes);
    }
}

/// <summary>
/// One item: a part of a sequence, one vector of channels at a time. With s = bias + sum_j taps[j] x[t - K + 1 + j], recomputed, and g =
/// f'(s) dy: dx[t] (+)= sum_j taps[j] g[t + K - 1 - j]; dtaps[j] = sum_t g[t] x[t - K + 1 + j]; dbias = sum_t g[t]. For dx, g is also
/// computed for the K - 1 tokens after the part. The windows of x and g stay in L1.
/// </summary>
internal unsafe struct CausalConvBackward<TActivation> : IKernel where TActivation : unmanaged, IActivation
{
    public SequenceShape Shape;
    public float* X, Taps, Bias, Dy;
    public GradientTarget Dx;

    /// <summary>(items, K + 1, C): the gradients of the taps, then of the bias.</summary>
    public float* Sums;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        SequenceShape s = Shape;
        nint n = Count<V>(), channels = s.Channels, taps = s.Taps, reach = taps - 1, length = s.PartLength, step = s.Step * channels;
        using Scratch buffer = new((2 * length + 3 * reach) * n);
        float* x = buffer.Pointer, g = x + (length + 2 * reach) * n; // x starts K - 1 tokens before the part; g at its first token
        for (nint item = begin; item < end; item++)
        {
            nint b = item / s.Parts, first = item % s.Parts * length, count = Math.Min(length, s.Length - first);
            nint known = Math.Min(count + reach, s.Length - first);
            nint offset = s.Token(b, first) * channels, before = Math.Min(reach, first);
            for (nint c = 0; c < channels; c += n, offset += n)
            {
                nint lanes = Math.Min(n, channels - c);
                V bias = Bias == null ? default : Load<V>(Bias + c, lanes);
                float* sums = Sums + item * (taps + 1) * channels + c;
                if (taps == 4)
                {
                    FourTaps<V>(offset, step, lanes, before, count, known, Taps + c, bias, sums);
                    continue;
                }
                for (nint t = -reach; t < known; t++)
                    Store(t < -before ? default : Load<V>(X + offset + t * step, lanes), x + (t + reach) * n);
                for (nint t = 0; t < known; t++)
                {
                    V sum = bias;
                    for (nint tap = 0; tap < taps; tap++)
                        sum = Fma(Load<V>(x + (t + tap) * n), Load<V>(Taps + tap * channels + c, lanes), sum);
                    Store(Activations.Slope<TActivation, V>(sum) * Load<V>(Dy + offset + t * step, lanes), g + t * n);
                }
                for (nint t = known; t < count + reach; t++) Store(default(V), g + t * n);
                for (nint t = 0; Dx.IsWanted && t < count; t++)
                {
                    float* dx = Dx.Pointer + offset + t * step;
                    V sum = Dx.Start<V>(dx, lanes);
                    for (nint tap = 0; tap < taps; tap++)
                        sum = Fma(Load<V>(g + (t + reach - tap) * n), Load<V>(Taps + tap * channels + c, lanes), sum);
                    Store(sum, dx, lanes);
                }
                for (nint tap = 0; tap < taps; tap++) Store(Dot<V>(x + tap * n, g, count), sums + tap * channels, lanes);
                Store(Total<V>(g, count), sums + taps * channels, lanes);
            }
        }
    }

    /// <summary>Mamba's usual case (K = 4) in one pass: the windows of x and g, the taps and the sums stay in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void FourTaps<V>(
        nint offset, nint step, nint lanes, nint before, nint count, nint known, float* taps, V bias, float* sums)
        where V : unmanaged
    {
        nint channels = Shape.Channels;
        GradientTarget target = Dx;
        float* x = X + offset, dy = Dy + offset, dx = target.Pointer + offset;
        bool wanted = target.IsWanted;
        V w0 = Load<V>(taps, lanes), w1 = Load<V>(taps + channels, lanes), w2 = Load<V>(taps + 2 * channels, lanes);
        V w3 = Load<V>(taps + 3 * channels, lanes);
        V x0 = before < 3 ? default : Load<V>(x - 3 * step, lanes), x1 = before < 2 ? default : Load<V>(x - 2 * step, lanes);
        V x2 = before < 1 ? default : Load<V>(x - step, lanes);
        V g0 = default, g1 = default, g2 = default, dw0 = default, dw1 = default, dw2 = default, dw3 = default, total = default;
        for (nint t = 0; t < count + 3; t++)
        {
            V g3 = default; // past the end of the sequence
            if (t < known)
            {
                V x3 = Load<V>(x + t * step, lanes);
                V slope = Activations.Slope<TActivation, V>(Fma(x3, w3, Fma(x2, w2, Fma(x1, w1, Fma(x0, w0, bias)))));
                g3 = slope * Load<V>(dy + t * step, lanes);
                if (t < count)
                {
                    dw0 = Fma(x0, g3, dw0);
                    dw1 = Fma(x1, g3, dw1);
                    dw2 = Fma(x2, g3, dw2);
                    dw3 = Fma(x3, g3, dw3);
                    total += g3;
                }
                (x0, x1, x2) = (x1, x2, x3);
            }
            if (wanted && t >= 3)
            {
                float* to = dx + (t - 3) * step;
                V sum = target.Start<V>(to, lanes);
                Store(Fma(g0, w3, Fma(g1, w2, Fma(g2, w1, Fma(g3, w0, sum)))), to, lanes);
            }
            (g0, g1, g2) = (g1, g2, g3);
        }
        Store(dw0, sums, lanes);
        Store(dw1, sums + channels, lanes);
        Store(dw2, sums + 2 * channels, lanes);
        Store(dw3, sums + 3 * channels, lanes);
        Store(total, sums + 4 * channels, lanes);
    }

    /// <summary>The sum of a[t] b[t] over tokens, in two independent chains.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Dot<V>(float* a, float* b, nint count) where V : unmanaged
    {
        nint n = Count<V>(), t = 0;
        V even = default, odd = default;
        for (; t < count - 1; t += 2)
        {
            even = Fma(Load<V>(a + t * n), Load<V>(b + t * n), even);
            odd = Fma(Load<V>(a + (t + 1) * n), Load<V>(b + (t + 1) * n), odd);
        }
        if (t < count) even = Fma(Load<V>(a + t * n), Load<V>(b + t * n), even);
        return even + odd;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Total<V>(float* a, nint count) where V : unmanaged
    {
        V sum = default;
        for (nint t = 0; t < count; t++) sum += Load<V>(a + t * Count<V>());
        return sum;
    }
}
