using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>
/// Where a tile finds its factors. Row r of the tile and step k of run (i, j) read the scalar a[r ARowStride + k AColumnStride + i OuterStride + j InnerStride];
/// the panel b holds two vectors for each k, in the order in which the runs are walked.
/// </summary>
/// <remarks>
/// A matrix product is one run over its inner dimension. A convolution has a run for each kernel row, or for each tap where the taps are not
/// adjacent; its weight gradient has a run for each row of pixels.
/// </remarks>
internal struct TileShape
{
    // For convolutions: blocks of 288 leave errors a third larger (deviations of a U-Mamba encoder from double precision), and are no faster.
    private const nint ConvolutionBlock = 96;

    /// <summary>For products: most have their whole inner dimension in it, and putting sums aside would take them a tenth of their time.</summary>
    public const nint ProductBlock = 384;

    public nint ARowStride, AColumnStride, BRowStride, Outer, OuterStride, Inner, InnerStride, Length, CRowStride;

    /// <summary>
    /// Floats from which the rows of the next tile are asked for, step by step, while this one is at work: right where A is contiguous. 0 for an A that is
    /// in the cache already.
    /// </summary>
    public nint PrefetchDistance, PrefetchStride;

    /// <summary>The block after which a sum is put aside: some whole outer runs, or some inner runs of one, or a part of a run.</summary>
    public nint OuterBlock, InnerBlock, LengthBlock;

    /// <summary>This shape for panels of two vectors V, its sums cut into blocks.</summary>
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

    /// <summary>The blocks of the inner dimension of a product.</summary>
    public static nint BalancedProductBlock(nint length) => Launch.BalancedSize(length, ProductBlock);
}

/// <summary>How much of the runs a block has, and <see cref="TileShape.PrefetchDistance"/> as seen from its first factor.</summary>
internal struct BlockShape
{
    public nint Outer, Inner, Length, PrefetchDistance;
}

/// <summary>What a result is when it is written: relu(product + bias + D), each part where it is asked for.</summary>
/// <param name="bias">Added to each row, or null.</param>
/// <param name="add">Whether to add D: what C holds, or a matrix of the same rows elsewhere.</param>
/// <param name="relu">Whether what is negative becomes zero.</param>
/// <param name="addendOffset">Floats from an element of C to that of D.</param>
internal readonly unsafe struct Epilogue(float* bias = null, bool add = false, bool relu = false, nint addendOffset = 0)
{
    public readonly float* Bias = bias;
    public readonly bool Add = add, Relu = relu;
    public readonly nint AddendOffset = addendOffset;

    /// <summary>That of the columns from this one on.</summary>
    public Epilogue At(nint column) => new(Bias == null ? null : Bias + column, Add, Relu, AddendOffset);
}

/// <summary>Where tiles write, and what they add: rows of whole vectors.</summary>
internal unsafe struct TileOutput
{
    /// <summary>The result of row 0 and column 0, and what is added to it: both have rows of their own length. Null adds nothing.</summary>
    public float* Target, Addend;
    public nint TargetRowStride, AddendRowStride;

    /// <summary>Added to each row, or null.</summary>
    public float* Bias;
    public bool Relu;
}
