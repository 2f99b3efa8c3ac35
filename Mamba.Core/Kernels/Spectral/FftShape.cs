namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// Bins k and M - k of a half-length transform, from which a real transform of 2 M points splits and merges its spectrum.
/// </summary>
/// <param name="Bin">k.</param>
/// <param name="First">The position of bin k in the work buffer, in complex elements.</param>
/// <param name="Second">The position of bin M - k, or 0 for k = 0; equal to First for k = 0 and k = M / 2.</param>
internal readonly record struct SpectrumPair(int Bin, int First, int Second);

/// <summary>The stages of an in-place FFT whose length has only the prime factors 2, 3 and 5.</summary>
internal readonly unsafe struct FftStages
{
    public readonly nint Length;
    public readonly int Count;
    public readonly int* Radices;

    /// <summary>For each stage, for each q from 1 on: w^q, w^2q ... of the stage's block, (re, im).</summary>
    public readonly float* Twiddles, TwiddlesEnd;

    public FftStages(nint length, FftPlan plan)
    {
        Length = length;
        int[] radices = FftLength.Radices(length);
        Count = radices.Length;
        Radices = plan.Table(radices);
        List<float> twiddles = [];
        foreach (int radix in radices)
        {
            for (nint q = 1; q < length / radix; q++)
                for (int k = 1; k < radix; k++) twiddles.AddRange(FftPlan.Root(q * k, length));
            length /= radix;
        }
        Twiddles = plan.Table([.. twiddles]);
        TwiddlesEnd = Twiddles + twiddles.Count;
    }
}

/// <summary>
/// A transform of M = Columns x RowLength points (Bailey's four steps): element j = i RowLength + c is row i, column c of a matrix. Each
/// column is transformed in L1 and multiplied by w^(c k), then each row is transformed. Bin k + Columns l is element l of row k, in
/// digit-reversed order.
/// </summary>
internal unsafe struct FftShape
{
    public nint Length, Columns, RowLength;

    /// <summary>
    /// Row stride in complex elements: one more than the row length, so that the elements of a column map to different cache sets.
    /// </summary>
    public nint RowStride;

    public FftStages Column, Row;

    /// <summary>The target row of each element of a transformed column.</summary>
    public int* ColumnOrder;

    /// <summary>For each column, in the order of ColumnOrder: w^(c k), (re, im).</summary>
    public float* Turns;

    public FftShape(nint length, nint columns, FftPlan plan)
    {
        (Length, Columns, RowLength) = (length, columns, length / columns);
        RowStride = columns == 1 ? RowLength : RowLength + 1;
        (Column, Row) = (new FftStages(columns, plan), new FftStages(RowLength, plan));
        int[] order = FftLength.OrderOf(columns);
        ColumnOrder = plan.Table(order);
        if (columns == 1) return;
        float[] turns = new float[2 * length];
        for (nint c = 0, at = 0; c < RowLength; c++)
            foreach (int k in order)
            {
                float[] root = FftPlan.Root(c * k, length);
                (turns[at], turns[at + 1]) = (root[0], root[1]);
                at += 2;
            }
        Turns = plan.Table(turns);
    }

    /// <summary>Complex elements of the work buffer.</summary>
    public readonly nint WorkLength => Columns * RowStride;
}

/// <summary>
/// A plan as kernels read it. Lengths with other prime factors use Bluestein's algorithm: a convolution with a chirp, by transforms of
/// <see cref="Smooth"/>; its spectrum is in natural order.
/// </summary>
internal unsafe struct FftView
{
    public nint Length;

    /// <summary>The transform, or the longer one of Bluestein's algorithm.</summary>
    public FftShape Smooth;

    /// <summary>e^(-pi i j^2 / M), and the spectrum of its conjugate; null if not needed.</summary>
    public float* Chirp, ChirpSpectrum;

    /// <summary>The position of each bin in the work buffer.</summary>
    public int* Places;

    public SpectrumPair* Pairs;

    /// <summary>e^(-pi i k / M) of each pair.</summary>
    public float* PairTwiddles;

    /// <summary>The first pair of each group, and the end of the last.</summary>
    public int* PairStarts;

    public nint PairGroups;

    /// <summary>All pairs: M / 2 + 1, or (M + 1) / 2 for odd M.</summary>
    public readonly nint PairCount => PairStarts[PairGroups];

    /// <summary>Complex elements of the work buffer.</summary>
    public readonly nint WorkLength => Chirp is null ? Smooth.WorkLength : Length;
}
