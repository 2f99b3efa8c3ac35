using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Norms;

/// <summary>
/// Local response normalization, y_c = x_c d_c^-Beta with d_c = K + Share s_c, where s_c sums x^2 over the channels from c - Before to c +
/// After. Channels outside the tensor count as zeros: scratch rows are zero-padded.
/// </summary>
internal unsafe struct ResponseNorm
{
    public nint Channels, Before, After;
    public float Share, Beta, K;

    /// <summary>Floats of a row with zero padding on both sides, rounded up to vectors.</summary>
    public readonly nint RowLength => Channels + Before + After + Slack;

    // Full vectors may be loaded from the last channel on.
    private const int Slack = 16;

    /// <summary>d and d^-Beta of a row of x; padded is scratch for the squares, and its borders are zero.</summary>
    public readonly void Scales<V>(float* x, float* padded, float* d, float* power) where V : unmanaged
    {
        nint n = Count<V>();
        for (nint c = 0; c < Channels; c += n)
        {
            nint lanes = Math.Min(n, Channels - c);
            V v = Load<V>(x + c, lanes);
            Store(v * v, padded + Before + c, lanes);
        }
        for (nint c = 0; c < Channels; c += n)
            Store(Fma(WindowSum<V>(padded + c, Before + After), Broadcast<V>(Share), Broadcast<V>(K)), d + c, Math.Min(n, Channels - c));
        TensorPrimitives.Pow(new ReadOnlySpan<float>(d, (int)Channels), -Beta, new Span<float>(power, (int)Channels));
    }

    /// <summary>The sum of the vectors at p, p + 1, ... p + last.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V WindowSum<V>(float* p, nint last) where V : unmanaged
    {
        V sum = Load<V>(p);
        for (nint j = 1; j <= last; j++) sum += Load<V>(p + j);
        return sum;
    }
}

/// <summary>Items are rows of channels.</summary>
internal unsafe struct ResponseNormForward : IKernel
{
    public ResponseNorm Norm;
    public float* X, Y;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Norm.Channels;
        using Scratch padded = new(Norm.RowLength), scales = new(2 * channels);
        new Span<float>(padded.Pointer, (int)Norm.RowLength).Clear();
        float* d = scales.Pointer, power = d + channels;
        for (nint row = begin; row < end; row++)
        {
            float* x = X + row * channels, y = Y + row * channels;
            Norm.Scales<V>(x, padded.Pointer, d, power);
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                Store(Load<V>(x + c, lanes) * Load<V>(power + c, lanes), y + c, lanes);
            }
        }
    }
}

/// <summary>
/// dx_c (+)= dy_c d_c^-Beta - 2 Share Beta x_c (the sum of dy x d^(-Beta-1) over the channels whose windows hold c). Items are rows of
/// channels.
/// </summary>
internal unsafe struct ResponseNormBackward : IKernel
{
    public ResponseNorm Norm;
    public float* X, Dy;
    public GradientTarget Dx;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Norm.Channels;
        GradientTarget target = Dx;
        using Scratch padded = new(Norm.RowLength), terms = new(Norm.RowLength), scales = new(2 * channels);
        new Span<float>(padded.Pointer, (int)Norm.RowLength).Clear();
        new Span<float>(terms.Pointer, (int)Norm.RowLength).Clear();
        float* d = scales.Pointer, power = d + channels, inner = terms.Pointer + Norm.After; // the mirrored window
        V factor = Broadcast<V>(-2f * Norm.Share * Norm.Beta);
        for (nint row = begin; row < end; row++)
        {
            float* x = X + row * channels, dy = Dy + row * channels, dx = target.Pointer + row * channels;
            Norm.Scales<V>(x, padded.Pointer, d, power);
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                Store(Load<V>(dy + c, lanes) * Load<V>(x + c, lanes) * Load<V>(power + c, lanes) / Load<V>(d + c, lanes), inner + c, lanes);
            }
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                V sum = ResponseNorm.WindowSum<V>(terms.Pointer + c, Norm.Before + Norm.After);
                V g = Fma(factor * Load<V>(x + c, lanes), sum, Load<V>(dy + c, lanes) * Load<V>(power + c, lanes));
                target.Store(g, dx + c, lanes);
            }
        }
    }
}
