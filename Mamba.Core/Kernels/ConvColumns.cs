using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels;

/// <summary>
/// Convolution of images that are smaller than a tile, as deep layers have them: the windows of the whole batch become the rows of one matrix (im2col),
/// so that tiles are full, and large weights are fetched once a batch instead of once an image. The matrix is small, since the images are.
/// </summary>
internal static unsafe class ConvColumns
{
    // Rows of the largest tile: fewer output pixels than that leave part of each tile empty.
    private const int TileRows = 12;

    /// <summary>Whether this is the way to go, by shape alone.</summary>
    public static bool Suits(in ConvShape s) => s.Groups == 1 && s.Batch > 1 && s.OutHeight * s.OutWidth < TileRows;

    /// <summary>y (+)= x * weights + bias, the weights packed as for <see cref="Conv.Forward"/>.</summary>
    public static void Forward(in ConvShape s, float* x, float* packed, float* bias, float* y, bool add, VectorWidth width)
    {
        nint pixels = (nint)s.Batch * s.OutHeight * s.OutWidth;
        using Scratch columns = Windows(s, x);
        Gemm.RunPacked(pixels, s.Cout, s.Depth, new Matrix(columns.Pointer, s.Depth), packed, y, s.Cout, bias, add, width);
    }

    /// <summary>The weight gradient as [tap, ci][co], (Depth, Cout).</summary>
    public static void WeightGradient(in ConvShape s, float* x, float* dy, float* sums)
    {
        nint pixels = (nint)s.Batch * s.OutHeight * s.OutWidth;
        using Scratch columns = Windows(s, x);
        Gemm.Run(s.Depth, s.Cout, pixels, new Matrix(columns.Pointer, s.Depth).Transposed, new Matrix(dy, s.Cout), sums, s.Cout);
    }

    private static Scratch Windows(in ConvShape s, float* x)
    {
        nint pixels = (nint)s.Batch * s.OutHeight * s.OutWidth;
        Scratch columns = new(pixels * s.Depth);
        Launch.Run(new ImageToColumns { Shape = s, X = x, Columns = columns.Pointer }, pixels, Math.Max(1, 8192 / s.Depth));
        return columns;
    }
}

/// <summary>One item: the window of an output pixel, in the order (ky, kx, ci), zero beyond the border.</summary>
internal unsafe struct ImageToColumns : IKernel
{
    public ConvShape Shape;
    public float* X, Columns;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / (s.OutHeight * s.OutWidth), oy = item / s.OutWidth % s.OutHeight, ox = item % s.OutWidth;
            float* target = Columns + item * s.Depth;
            for (nint ky = 0; ky < s.KernelHeight; ky++)
                for (nint kx = 0; kx < s.KernelWidth; kx++, target += s.Cin)
                {
                    nint y = oy * s.StrideY - s.PaddingY + ky * s.DilationY, x = ox * s.StrideX - s.PaddingX + kx * s.DilationX;
                    Span<float> tap = new(target, s.Cin);
                    if (y < 0 || y >= s.Height || x < 0 || x >= s.Width) tap.Clear();
                    else new ReadOnlySpan<float>(X + ((image * s.Height + y) * s.Width + x) * s.Cin, s.Cin).CopyTo(tap);
                }
        }
    }
}
