using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>
/// Strides of a tile's factors. Row r and term k of run (i, j) read the scalar a[r ARowStride + k AColumnStride + i OuterStride + j
/// InnerStride]. The panel b holds two vectors for each term, in the order of the runs.
/// </summary>
/// <remarks>
/// A matrix product is one run over its inner dimension. A convolution has one run per kernel row, or per tap if dilated. The weight
/// gradient of a convolution has one run per row of pixels.
/// </remarks>
internal struct TileShape
{
    // Terms per block in convolutions. Blocks of 288 have a third more error in a U-Mamba encoder (against double precision), and are no
    // faster.
    private const nint ConvolutionBlock = 96;

    /// <summary>
    /// Terms per block in products. Most products fit their whole inner dimension into it. Shorter blocks would take a tenth longer.
    /// </summary>
    public const nint ProductBlock = 384;

    public nint ARowStride, AColumnStride, BRowStride, Outer, OuterStride, Inner, InnerStride, Length, CRowStride;

    /// <summary>
    /// Prefetch: the distance in floats from a tile's first factor, and the step between terms. A step of 0 repeats one address, for an A
    /// that is already in cache.
    /// </summary>
    public nint PrefetchDistance, PrefetchStride;

    /// <summary>
    /// The block of terms after which partial sums go to a buffer: whole outer runs, inner runs of one outer run, or a part of a run.
    /// </summary>
    public nint OuterBlock, InnerBlock, LengthBlock;

    /// <summary>This shape for panels of two vectors V, with sums split into blocks.</summary>
    public readonly TileShape InBlocks<V>(nint longest = ConvolutionBlock) where V : unmanaged
    {
        TileShape t = this;
        t.BRowStride = 2 * Count<V>();
        (t.OuterBlock, t.InnerBlock, t.LengthBlock) = (1, 1, Launch.BalancedSize(Length, longest));
        if (Inner * Length <= longest)
            (t.OuterBlock, t.InnerBlock) = (Launch.BalancedSize(Outer, longest / Math.Max(1, Inner * Length)), Inner);
        else if (Length <= longest) t.InnerBlock = Launch.BalancedSize(Inner, longest / Length);
        return t;
    }

    /// <summary>The shape of a product's tiles: one run over K. The stride of B is that of packed panels.</summary>
    public static TileShape OfProduct<V>(Matrix a, nint k, nint cRowStride) where V : unmanaged =>
        new TileShape
        {
            ARowStride = a.RowStride,
            AColumnStride = a.ColumnStride,
            Outer = 1,
            Inner = 1,
            Length = k,
            CRowStride = cRowStride,
        }
            .InBlocks<V>(ProductBlock);

    /// <summary>The balanced block size of a product's inner dimension.</summary>
    public static nint BalancedProductBlock(nint length) => Launch.BalancedSize(length, ProductBlock);
}

/// <summary>The part of the runs in a block, and <see cref="TileShape.PrefetchDistance"/> relative to its first factor.</summary>
internal struct BlockShape
{
    public nint Outer, Inner, Length, PrefetchDistance;
}

/// <summary>The last step of a product: relu(product + bias + D), each part optional.</summary>
/// <param name="bias">Added to each row, or null.</param>
/// <param name="add">Whether to add D: the previous C, or another matrix with the same row stride.</param>
/// <param name="relu">Whether to apply ReLU.</param>
/// <param name="addendOffset">Distance in floats from an element of C to that of D.</param>
internal readonly unsafe struct Epilogue(float* bias = null, bool add = false, bool relu = false, nint addendOffset = 0)
{
    public readonly float* Bias = bias;
    public readonly bool Add = add, Relu = relu;
    public readonly nint AddendOffset = addendOffset;

    /// <summary>The epilogue of the columns from a given one on.</summary>
    public Epilogue At(nint column) => new(Bias == null ? null : Bias + column, Add, Relu, AddendOffset);
}

/// <summary>The destination of a tile, and its addend: rows of full vectors.</summary>
internal unsafe struct TileOutput
{
    /// <summary>The result at row 0 and column 0, and its addend, with separate row strides. A null addend adds nothing.</summary>
    public float* Target, Addend;
    public nint TargetRowStride, AddendRowStride;

    /// <summary>Added to each row, or null.</summary>
    public float* Bias;
    public bool Relu;
}
