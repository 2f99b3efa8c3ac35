using System.Numerics.Tensors;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>Long convolutions: direct sums for short kernels, transforms for long ones. The choice depends only on the shape.</summary>
internal static unsafe class LongConvolution
{
    /// <summary>y (B, L, C).</summary>
    public static void Forward(in LongConvShape s, in LongConvInputs x, float* y)
    {
        if (s.IsDirect)
        {
            using Scratch taps = new(s.AllTaps * s.Channels);
            LongConvTaps.Pack(s, x, 0, s.Channels, taps.Pointer + s.BackTaps * s.Channels, s.Channels, 0);
            DirectConv kernel = new()
            {
                Shape = s,
                X = x.U,
                Taps = taps.Pointer + (s.AllTaps - 1) * s.Channels,
                TapStride = -s.Channels,
                First = s.BackTaps + 1 - s.AllTaps,
                Y = y,
            };
            Launch.Run(kernel, s.Batch * s.Parts, 1, s.Width);
            return;
        }
        FftPlan plan = FftPlan.Of(s.Points / 2);
        FftView view = plan.View;
        using Scratch spectrum = new(s.Groups * SpectralConv.SpectrumFloats(view, s.Lanes));
        Launch.Run(new KernelSpectrum { Shape = s, View = view, Inputs = x, Spectrum = spectrum.Pointer }, s.Groups, 1, s.Width);
        Launch.Run(
            new SpectralConvForward { Shape = s, View = view, U = x.U, Spectrum = spectrum.Pointer, Y = y },
            s.Groups * s.Batch, 1, s.Width);
        GC.KeepAlive(plan);
    }

    /// <summary>The gradients that are needed, from that of y.</summary>
    public static void Backward(in LongConvShape s, in LongConvInputs x, float* dy, in LongConvGradients gradients)
    {
        if (s.IsDirect) DirectBackward(s, x, dy, gradients);
        else SpectralBackward(s, x, dy, gradients);
    }

    private static void DirectBackward(in LongConvShape s, in LongConvInputs x, float* dy, in LongConvGradients gradients)
    {
        nint size = s.AllTaps * s.Channels, items = s.BatchParts * s.Parts;
        using Scratch taps = new(size), sums = new(gradients.WantsTaps ? items * size : 0);
        if (gradients.U.IsWanted)
        {
            LongConvTaps.Pack(s, x, 0, s.Channels, taps.Pointer + s.BackTaps * s.Channels, s.Channels, 0);
            DirectConv kernel = new()
            {
                Shape = s,
                X = dy,
                Taps = taps.Pointer,
                TapStride = s.Channels,
                First = -s.BackTaps,
                Y = gradients.U,
            };
            Launch.Run(kernel, s.Batch * s.Parts, 1, s.Width);
        }
        if (!gradients.WantsTaps) return;
        Launch.Run(new DirectTapGradient { Shape = s, U = x.U, Dy = dy, Sums = sums.Pointer }, items, 1, s.Width);
        Span<float> sum = new(sums.Pointer, (int)size);
        for (nint i = 1; i < items; i++) TensorPrimitives.Add(sum, new ReadOnlySpan<float>(sums.Pointer + i * size, (int)size), sum);
        LongConvTaps.Unpack(s, sums.Pointer + s.BackTaps * s.Channels, s.Channels, 0, 1f, 0, s.Channels, gradients);
    }

    private static void SpectralBackward(in LongConvShape s, in LongConvInputs x, float* dy, in LongConvGradients gradients)
    {
        FftPlan plan = FftPlan.Of(s.Points / 2);
        FftView view = plan.View;
        nint size = s.Groups * SpectralConv.SpectrumFloats(view, s.Lanes);
        using Scratch spectrum = new(gradients.U.IsWanted ? size : 0), sums = new(gradients.WantsTaps ? s.BatchParts * size : 0);
        if (gradients.U.IsWanted)
            Launch.Run(new KernelSpectrum { Shape = s, View = view, Inputs = x, Spectrum = spectrum.Pointer }, s.Groups, 1, s.Width);
        SpectralConvBackward kernel = new()
        {
            Shape = s,
            View = view,
            U = x.U,
            Dy = dy,
            Spectrum = spectrum.Pointer,
            Du = gradients.U,
            Sums = sums.Pointer,
        };
        Launch.Run(kernel, s.Groups * s.BatchParts, 1, s.Width);
        if (gradients.WantsTaps)
            Launch.Run(
                new KernelGradient { Shape = s, View = view, Sums = sums.Pointer, Gradients = gradients }, s.Groups, 1, s.Width);
        GC.KeepAlive(plan);
    }
}
