using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// Convolution by im2col for images smaller than a tile, as in deep layers. The windows of the whole batch are the rows of one matrix.
/// Tiles are then full, and large weights are loaded once per batch instead of once per image. The matrix is small, since the images are.
/// </summary>
internal static unsafe class Im2Col
{
    // Rows of the largest tile: with fewer output pixels, part of each tile is empty.
    private const int TileRows = 12;

    /// <summary>Whether im2col is faster, by shape only.</summary>
    public static bool Suits(in ConvShape s) => s.Groups == 1 && s.Batch > 1 && s.OutHeight * s.OutWidth < TileRows;

    /// <summary>y = x * weights, the weights packed as for <see cref="Conv.Forward"/>.</summary>
    public static void Forward(in ConvShape s, float* x, float* packed, float* y, in Epilogue epilogue, VectorWidth width)
    {
        nint pixels = (nint)s.Batch * s.OutHeight * s.OutWidth;
        using Scratch columns = Windows(s, x);
        Gemm.RunPacked(pixels, s.Cout, s.Depth, new Matrix(columns.Pointer, s.Depth), packed, y, s.Cout, epilogue, width);
    }

    /// <summary>The weight gradient in PyTorch's layout, (Cout, Cin, Kh, Kw): one matrix product.</summary>
    public static void WeightGradient(in ConvShape s, float* x, float* dy, GradientTarget dw)
    {
        nint pixels = (nint)s.Batch * s.OutHeight * s.OutWidth;
        using Scratch columns = Windows(s, x, channelsFirst: true);
        Gemm.Run(s.Cout, s.Depth, pixels, new Matrix(dy, s.Cout).Transposed, new Matrix(columns.Pointer, s.Depth), dw.Pointer,
            s.Depth, new Epilogue(add: dw.Accumulate));
    }

    private static Scratch Windows(in ConvShape s, float* x, bool channelsFirst = false)
    {
        nint pixels = (nint)s.Batch * s.OutHeight * s.OutWidth;
        Scratch columns = new(pixels * s.Depth);
        Launch.Run(
            new Im2ColKernel { Shape = s, X = x, Columns = columns.Pointer, ChannelsFirst = channelsFirst },
            pixels, Math.Max(1, 8192 / s.Depth));
        return columns;
    }
}

/// <summary>One item: the window of an output pixel, in the order (ky, kx, ci) or (ci, ky, kx), with zero padding.</summary>
internal unsafe struct Im2ColKernel : IKernel
{
    public ConvShape Shape;
    public float* X, Columns;
    public bool ChannelsFirst;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint taps = s.KernelHeight * s.KernelWidth;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / (s.OutHeight * s.OutWidth), oy = item / s.OutWidth % s.OutHeight, ox = item % s.OutWidth;
            float* window = Columns + item * s.Depth;
            for (nint tap = 0; tap < taps; tap++)
            {
                nint y = oy * s.StrideY - s.PaddingY + tap / s.KernelWidth * s.DilationY;
                nint x = ox * s.StrideX - s.PaddingX + tap % s.KernelWidth * s.DilationX;
                bool inside = y >= 0 && y < s.Height && x >= 0 && x < s.Width;
                float* pixel = X + ((image * s.Height + y) * s.Width + x) * s.Cin;
                if (ChannelsFirst)
                    for (nint c = 0; c < s.Cin; c++) window[c * taps + tap] = inside ? pixel[c] : 0f;
                else if (inside) new ReadOnlySpan<float>(pixel, s.Cin).CopyTo(new Span<float>(window + tap * s.Cin, s.Cin));
                else new Span<float>(window + tap * s.Cin, s.Cin).Clear();
            }
        }
    }
}
