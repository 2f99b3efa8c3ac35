using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Quantized;

/// <summary>
/// Convolutions and products in int8 with exact integer sums. Inputs are quantized band by band, into scratch that stays in cache; the rest
/// is <see cref="Conv"/>'s implicit matrix product, over codes.
/// </summary>
internal static unsafe class QuantizedConv
{
    private const int BlockRows = 48;

    /// <summary>
    /// Whether the sums of a shape fit in 32 bits. Depthwise convolutions are excluded: their sums are too short to gain.
    /// </summary>
    public static bool Suits(in ConvShape s) => !s.IsDepthwise && s.Depth <= Vec.MaxCodeProducts;

    /// <summary>y = x * weights, the weights packed by <see cref="QuantizedPacking"/>.</summary>
    public static void Forward(in ConvShape s, float* x, in QuantizedPacking packing, float* packed, float* y, in Epilogue epilogue)
    {
        if (s.IsPointwise)
        {
            Product((nint)s.Batch * s.Height * s.Width, x, packing, packed, y, epilogue);
            return;
        }
        int rows = Conv.BandRows(s);
        nint bands = (nint)s.Batch * Launch.CeilDiv(s.OutHeight, rows) * s.Groups, panels = packing.Columns / packing.PanelWidth;
        nint split = Conv.PanelShares(bands, panels);
        nint perItem = Launch.CeilDiv(panels, split);
        QuantizedConvForward kernel = new()
        {
            Shape = s,
            Packing = packing,
            X = x,
            Packed = packed,
            Y = y,
            Epilogue = epilogue,
            Rows = rows,
            PanelsPerItem = perItem,
            Split = Launch.CeilDiv(panels, perItem),
        };
        Launch.Run(kernel, bands * kernel.Split, 1, packing.Width);
    }

    /// <summary>C = A B for contiguous rows of A; B is packed as the weight of a 1x1 convolution.</summary>
    public static void Product(nint rows, float* a, in QuantizedPacking packing, float* packed, float* c, in Epilogue epilogue)
    {
        QuantizedProduct kernel = new()
        {
            Packing = packing,
            A = a,
            Packed = packed,
            C = c,
            Epilogue = epilogue,
            Rows = rows,
            RowsPerItem = Launch.BalancedSize(Math.Max(1, rows), BlockRows),
        };
        Launch.Run(kernel, Launch.CeilDiv(rows, kernel.RowsPerItem), 1, packing.Width);
    }
}

/// <summary>One item: a block of rows of A times all panels of B.</summary>
internal unsafe struct QuantizedProduct : IKernel
{
    public QuantizedPacking Packing;
    public float* A, Packed, C;
    public Epilogue Epilogue;
    public nint Rows, RowsPerItem;

    public override readonly string ToString() => $"QuantizedProduct {Rows}x{Packing.Cin} {Packing.Cin}x{Packing.Cout}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint inputs = Packing.Cin, outputs = Packing.Cout, lanes = Packing.Lanes, width = Packing.PanelWidth;
        float inverse = 1f / Packing.InputScale;
        float* factors = Packing.Factors(Packed, 0);
        QuantizedShape shape = new()
        {
            RowBytes = lanes * sizeof(float),
            Outer = 1,
            Inner = 1,
            RunLanes = lanes,
            PanelWidth = width,
        };
        using Scratch codes = new(RowsPerItem * lanes), flags = new(RowsPerItem);
        for (nint item = begin; item < end; item++)
        {
            nint first = item * RowsPerItem, rows = Math.Min(RowsPerItem, Rows - first);
            for (nint r = 0; r < rows; r++)
                flags.Pointer[r] = Vec.EncodeInput<V>(A + (first + r) * inputs, inputs, inverse, (byte*)(codes.Pointer + r * lanes));
            for (nint column = 0; column < outputs; column += width)
                QuantizedTile.Run<V>(shape, rows, (byte*)codes.Pointer, Packed + column * Packing.PanelLanes, new()
                {
                    Target = C + first * outputs + column,
                    RowStride = outputs,
                    AddendOffset = Epilogue.AddendOffset,
                    Factors = factors + column,
                    Bias = Epilogue.Bias == null ? null : Epilogue.Bias + column,
                    Columns = Math.Min(width, outputs - column),
                    Add = Epilogue.Add,
                    Relu = Epilogue.Relu,
                });
            for (nint r = 0; r < rows; r++)
                if (float.IsNaN(flags.Pointer[r])) new Span<float>(C + (first + r) * outputs, (int)outputs).Fill(float.NaN);
        }
    }
}

/// <summary>One item: a band of output rows of one image and group, times a range of panels.</summary>
internal unsafe struct QuantizedConvForward : IKernel
{
    public ConvShape Shape;
    public QuantizedPacking Packing;
    public float* X, Packed, Y;
    public Epilogue Epilogue;
    public nint PanelsPerItem, Split;
    public int Rows;

    public override readonly string ToString() => $"QuantizedConvForward {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint width = Packing.PanelWidth, bandsPerImage = Launch.CeilDiv(s.OutHeight, Rows);
        using QuantizedBand band = new(s, Rows);
        QuantizedShape shape = new()
        {
            RowBytes = (nint)s.StrideX * band.PixelBytes,
            Outer = s.KernelHeight,
            OuterBytes = s.DilationY * band.RowBytes,
            Inner = Packing.RunsPerRow,
            InnerBytes = s.DilationX * band.PixelBytes,
            RunLanes = Packing.RunLanes,
            PanelWidth = width,
        };
        for (nint item = begin; item < end; item++)
        {
            nint part = item % Split, group = item / Split % s.Groups, index = item / Split / s.Groups;
            nint image = index / bandsPerImage;
            int row = (int)(index % bandsPerImage) * Rows, rows = Math.Min(Rows, s.OutHeight - row);
            float flag = band.Fill<V>(X, image, group, row, rows, 1f / Packing.InputScale);
            float* y = Y + ((image * s.OutHeight + row) * s.OutWidth * s.Cout) + group * s.CoutGroup;
            nint first = part * PanelsPerItem * width, last = Math.Min(s.CoutGroup, first + PanelsPerItem * width);
            for (nint c = first; c < last; c += width)
            {
                QuantizedOutput output = Output(group, c);
                for (nint r = 0; r < rows; r++)
                {
                    output.Target = y + (r * s.OutWidth * s.Cout) + c;
                    QuantizedTile.Run<V>(
                        shape, s.OutWidth, band.Pointer + r * s.StrideY * band.RowBytes, Packed + group * Packing.GroupSize
                            + c * Packing.PanelLanes, output);
                }
            }
            if (!float.IsNaN(flag)) continue;
            for (nint pixel = 0; pixel < (nint)rows * s.OutWidth; pixel++)
                new Span<float>(y + pixel * s.Cout + first, (int)(last - first)).Fill(float.NaN);
        }
    }

    private readonly QuantizedOutput Output(nint group, nint column) => new()
    {
        RowStride = Shape.Cout,
        AddendOffset = Epilogue.AddendOffset,
        Factors = Packing.Factors(Packed, group) + column,
        Bias = Epilogue.Bias == null ? null : Epilogue.Bias + group * Shape.CoutGroup + column,
        Columns = Math.Min(Packing.PanelWidth, Shape.CoutGroup - column),
        Add = Epilogue.Add,
        Relu = Epilogue.Relu,
    };
}

/// <summary>The input rows under a band of output rows as codes, zero-padded.</summary>
internal readonly unsafe ref struct QuantizedBand
{
    private readonly Scratch _scratch;
    private readonly ConvShape _shape;

    public QuantizedBand(in ConvShape s, int rows)
    {
        _shape = s;
        PixelBytes = s.CinGroup * Vec.CodeBytes;
        RowBytes = ((s.OutWidth - 1) * (nint)s.StrideX + (s.KernelWidth - 1) * (nint)s.DilationX + 1) * PixelBytes;
        nint bytes = RowBytes * ((rows - 1) * (nint)s.StrideY + (s.KernelHeight - 1) * (nint)s.DilationY + 1);
        _scratch = new Scratch(bytes / sizeof(float) + 2); // the last lane of the last run may read past the end
    }

    /// <summary>Pixel stride in bytes.</summary>
    public nint PixelBytes { get; }

    /// <summary>Row stride in bytes.</summary>
    public nint RowBytes { get; }

    public byte* Pointer => (byte*)_scratch.Pointer;

    /// <summary>Fills the copy for output rows [row, row + rows) of one image and group.</summary>
    /// <returns>0; NaN if a value is not finite.</returns>
    public float Fill<V>(float* x, nint image, nint group, int row, int rows, float inverse) where V : unmanaged
    {
        int channels = _shape.CinGroup, width = (int)(RowBytes / PixelBytes);
        int count = (rows - 1) * _shape.StrideY + (_shape.KernelHeight - 1) * _shape.DilationY + 1;
        int left = Math.Clamp(_shape.PaddingX, 0, width), firstX = left - _shape.PaddingX;
        int inside = Math.Clamp(Math.Min(width - left, _shape.Width - firstX), 0, width);
        float flag = 0;
        for (int r = 0; r < count; r++)
        {
            byte* target = Pointer + r * RowBytes;
            int y = row * _shape.StrideY - _shape.PaddingY + r;
            if ((uint)y >= (uint)_shape.Height)
            {
                Vec.EncodeZeros(target, RowBytes);
                continue;
            }
            float* source = x + (((image * _shape.Height + y) * _shape.Width + firstX) * _shape.Cin) + group * channels;
            nint start = left * PixelBytes, stop = (left + inside) * PixelBytes;
            Vec.EncodeZeros(target, start);
            if (_shape.Groups == 1) flag += Vec.EncodeInput<V>(source, (nint)inside * channels, inverse, target + start);
            else
                for (int i = 0; i < inside; i++, source += _shape.Cin)
                    flag += Vec.EncodeInput<V>(source, channels, inverse, target + start + i * PixelBytes);
            Vec.EncodeZeros(target + stop, RowBytes - stop);
        }
        return flag;
    }

    public void Dispose() => _scratch.Dispose();
}
