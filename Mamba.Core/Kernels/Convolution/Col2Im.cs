using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// A band of the images of a transposed convolution: rows [FirstRow, FirstRow + Rows) of the large images [FirstImage, FirstImage +
/// Images), and the rows [FirstOut, FirstOut + OutRows) of the small ones that contribute to them.
/// </summary>
internal readonly record struct ColumnBand(nint FirstImage, nint Images, nint FirstRow, nint Rows, nint FirstOut, nint OutRows)
{
    /// <summary>The whole batch as one band.</summary>
    public static ColumnBand Whole(in ConvShape s) => new(0, s.Batch, 0, s.Height, 0, s.OutHeight);
}

/// <summary>Cuts a transposed convolution into bands of whole images, or of rows of one image, whose columns stay within a bound.</summary>
internal readonly struct ColumnBands
{
    /// <summary>Largest column matrix of a band, in floats: 64 MB. Bands of <see cref="LeastPixels"/> may exceed it.</summary>
    private const nint MostFloats = 1 << 24;

    // Bands are of balanced size. Products of half as many rows choose the same blocks of terms, so bands do not change the bits.
    private const nint LeastPixels = 4096;

    private readonly ConvShape _shape;
    private readonly nint _images, _rows, _perImage;

    /// <param name="s">The convolution whose input is the large image.</param>
    /// <param name="mostFloats">Largest column matrix of a band, in floats.</param>
    /// <param name="leastPixels">Pixels of the small images that a band may always have.</param>
    public ColumnBands(in ConvShape s, nint mostFloats = MostFloats, nint leastPixels = LeastPixels)
    {
        _shape = s;
        nint pixels = Math.Max(leastPixels, mostFloats / s.Depth), width = Math.Max(1, s.OutWidth), each = Math.Max(1, s.OutHeight * width);
        bool whole = each <= pixels;
        _images = whole ? Launch.BalancedSize(Math.Max(1, s.Batch), pixels / each) : 1;
        _rows = whole ? s.Height : Launch.BalancedSize(s.Height, Math.Max(1, pixels / width * s.StrideY - Reach));
        _perImage = Launch.CeilDiv(s.Height, _rows);
        Count = Launch.CeilDiv(s.Batch, _images) * _perImage;
    }

    /// <summary>The number of bands.</summary>
    public nint Count { get; }

    private nint Reach => (_shape.KernelHeight - 1) * (nint)_shape.DilationY;

    /// <summary>A band.</summary>
    public ColumnBand this[nint index]
    {
        get
        {
            nint image = index / _perImage * _images, row = index % _perImage * _rows, rows = Math.Min(_rows, _shape.Height - row);
            nint top = row + _shape.PaddingY - Reach, bottom = row + rows - 1 + _shape.PaddingY;
            nint first = top <= 0 ? 0 : Math.Min(_shape.OutHeight, Launch.CeilDiv(top, _shape.StrideY));
            nint end = bottom < 0 ? 0 : Math.Min(_shape.OutHeight, bottom / _shape.StrideY + 1);
            if (rows == _shape.Height) (first, end) = (0, _shape.OutHeight);
            return new ColumnBand(image, Math.Min(_images, _shape.Batch - image), row, rows, first, Math.Max(0, end - first));
        }
    }
}

/// <summary>
/// col2im: adds columns, one row (ky, kx, c) for each pixel of a small image, to the large image. It is the last step of a transposed
/// convolution, and of the input gradient of a strided one. Each row of the large image gathers its contributions in tap order. The columns
/// are those of one group.
/// </summary>
internal unsafe struct Col2Im : IKernel
{
    /// <summary>The convolution whose input is the large image and whose output is the small one.</summary>
    public ConvShape Shape;
    public ColumnBand Band;
    public nint Group;
    public float* Columns, Bias, Image;
    public bool Add;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), channels = s.CinGroup, step = s.Cin, depth = s.Depth;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / Band.Rows, y = Band.FirstRow + item % Band.Rows;
            float* row = Image + ((Band.FirstImage + image) * s.Height + y) * s.Width * step + Group * channels;
            if (!Add)
                for (nint x = 0; x < s.Width; x++)
                {
                    Span<float> pixel = new(row + x * step, (int)channels);
                    if (Bias == null) pixel.Clear();
                    else new ReadOnlySpan<float>(Bias + Group * channels, (int)channels).CopyTo(pixel);
                }
            for (nint ky = 0; ky < s.KernelHeight; ky++)
            {
                nint up = y + s.PaddingY - ky * s.DilationY;
                if (up < 0 || up % s.StrideY != 0 || up / s.StrideY >= s.OutHeight) continue;
                float* from = Columns + (image * Band.OutRows + up / s.StrideY - Band.FirstOut) * s.OutWidth * depth;
                for (nint kx = 0; kx < s.KernelWidth; kx++)
                {
                    float* tap = from + (ky * s.KernelWidth + kx) * channels;
                    for (nint ox = 0; ox < s.OutWidth; ox++)
                    {
                        nint x = ox * s.StrideX - s.PaddingX + kx * s.DilationX;
                        if (x < 0 || x >= s.Width) continue;
                        float* source = tap + ox * depth, target = row + x * step;
                        nint c = 0;
                        for (; c <= channels - n; c += n) Store(Load<V>(target + c) + Load<V>(source + c), target + c);
                        if (c < channels)
                            Store(Load<V>(target + c, channels - c) + Load<V>(source + c, channels - c), target + c, channels - c);
                    }
                }
            }
        }
    }
}
