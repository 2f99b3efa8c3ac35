using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// The passes of a transform of one group of channels. Forward: from the columns of the source to rows of the work buffer, then each row in
/// place. Inverse: the same in reverse. A kernel can do its own work between the row transforms, while the rows are in L1.
/// </summary>
internal static unsafe class LaneFft
{
    /// <summary>Scratch of a transform, in floats.</summary>
    public static nint WorkFloats<V>(in FftView view) where V : unmanaged =>
        2 * Count<V>() * (view.WorkLength + ColumnLength(view.Smooth) + (view.Chirp is null ? 0 : view.Smooth.WorkLength + view.Length));

    private static nint ColumnLength(in FftShape s) => s.Columns > 1 ? s.Columns : 0;

    /// <summary>Writes the whole spectrum of x to the work buffer, in the order of <see cref="FftView.Places"/>.</summary>
    public static void Forward<V>(in FftView view, in RowSource x, float* work) where V : unmanaged
    {
        ForwardColumns<V>(view, x, work);
        for (nint row = 0; row < view.PairGroups; row++) ForwardRows<V>(view, row, work);
    }

    /// <summary>The first pass. Space for one column follows the work buffer.</summary>
    public static void ForwardColumns<V>(in FftView view, in RowSource x, float* work) where V : unmanaged
    {
        float* column = work + view.WorkLength * 2 * Count<V>();
        if (view.Chirp is null) ForwardColumns<V>(view.Smooth, x, work, column);
        else
        {
            RowTarget target = new(work, Count<V>(), 2 * view.Length, Count<V>());
            Bluestein<V>(view, x, target, column);
        }
    }

    /// <summary>The second pass for the rows of a group of pairs.</summary>
    public static void ForwardRows<V>(in FftView view, nint group, float* work) where V : unmanaged
    {
        if (view.Chirp is not null) return;
        nint row = view.Smooth.RowStride * 2 * Count<V>(), other = (view.Smooth.Columns - group) % view.Smooth.Columns;
        Butterflies.Forward<V>(view.Smooth.Row, work + group * row);
        if (other != group) Butterflies.Forward<V>(view.Smooth.Row, work + other * row);
    }

    /// <summary>The inverse of the second pass.</summary>
    public static void InverseRows<V>(in FftView view, nint group, float* work) where V : unmanaged
    {
        if (view.Chirp is not null) return;
        nint row = view.Smooth.RowStride * 2 * Count<V>(), other = (view.Smooth.Columns - group) % view.Smooth.Columns;
        Butterflies.Inverse<V>(view.Smooth.Row, work + group * row);
        if (other != group) Butterflies.Inverse<V>(view.Smooth.Row, work + other * row);
    }

    /// <summary>The inverse of the first pass, times the length.</summary>
    public static void InverseColumns<V>(in FftView view, float* work, in RowTarget y) where V : unmanaged
    {
        float* column = work + view.WorkLength * 2 * Count<V>();
        if (view.Chirp is null)
        {
            InverseColumns<V>(view.Smooth, work, column, y);
            return;
        }
        RowSource spectrum = new(work, Count<V>(), 2 * view.Length, Count<V>()) { Exchanged = true };
        RowTarget exchanged = new(y.Target, y.Stride, y.Count, y.Lanes) { Exchanged = true, RealOnly = y.RealOnly, Scale = y.Scale };
        Bluestein<V>(view, spectrum, exchanged, column);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ForwardColumns<V>(in FftShape s, in RowSource x, float* work, float* column) where V : unmanaged
    {
        nint n = Count<V>(), step = 2 * n, columns = s.Columns, rowLength = s.RowLength, row = s.RowStride * step;
        if (columns == 1)
        {
            for (nint e = 0; e < rowLength; e++) Copy<V>(x, e, work + e * step);
            return;
        }
        float* turns = s.Turns;
        int* order = s.ColumnOrder;
        for (nint c = 0; c < rowLength; c++)
        {
            nint rows = Math.Clamp((x.Elements - c + rowLength - 1) / rowLength, 0, columns);
            for (nint i = 0, e = c; i < rows; i++, e += rowLength)
            {
                Copy<V>(x, e, column + i * step);
                x.Prefetch(e + 1); // of the next column
            }
            new Span<float>(column + rows * step, (int)((columns - rows) * step)).Clear();
            Butterflies.Forward<V>(s.Column, column);
            float* from = column;
            for (nint i = 0; i < columns; i++, from += step, turns += 2)
            {
                V re = Load<V>(from), im = Load<V>(from + n);
                Turn(ref re, ref im, Broadcast<V>(turns[0]), Broadcast<V>(turns[1]));
                float* to = work + order[i] * row + c * step;
                Store(re, to);
                Store(im, to + n);
                Prefetch(to + step, step);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy<V>(in RowSource x, nint e, float* to) where V : unmanaged
    {
        x.Element(e, out V re, out V im);
        Store(re, to);
        Store(im, to + Count<V>());
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void InverseColumns<V>(in FftShape s, float* work, float* column, in RowTarget y) where V : unmanaged
    {
        nint n = Count<V>(), step = 2 * n, columns = s.Columns, rowLength = s.RowLength, row = s.RowStride * step, wanted = y.Elements;
        if (columns == 1)
        {
            for (nint e = 0; e < Math.Min(rowLength, wanted); e++) y.Element(Load<V>(work + e * step), Load<V>(work + e * step + n), e);
            return;
        }
        float* turns = s.Turns;
        int* order = s.ColumnOrder;
        for (nint c = 0; c < rowLength; c++)
        {
            float* to = column;
            for (nint i = 0; i < columns; i++, to += step, turns += 2)
            {
                float* from = work + order[i] * row + c * step;
                V re = Load<V>(from), im = Load<V>(from + n);
                Prefetch(from + step, step);
                TurnBack(ref re, ref im, Broadcast<V>(turns[0]), Broadcast<V>(turns[1]));
                Store(re, to);
                Store(im, to + n);
            }
            Butterflies.Inverse<V>(s.Column, column);
            for (nint i = 0, e = c; i < columns && e < wanted; i++, e += rowLength)
            {
                y.Element(Load<V>(column + i * step), Load<V>(column + i * step + n), e);
                y.Prefetch(e + 1);
            }
        }
    }

    /// <summary>
    /// Bluestein's algorithm: since j k = (j^2 + k^2 - (k - j)^2) / 2, with the chirp c_j = e^(-pi i j^2 / n) a spectrum is
    /// X_k = c_k sum_j (x_j c_j) conj(c_(k - j)), a convolution.
    /// </summary>
    private static void Bluestein<V>(in FftView view, in RowSource x, in RowTarget y, float* memory) where V : unmanaged
    {
        nint n = Count<V>(), step = 2 * n, length = view.Length;
        FftShape s = view.Smooth;
        float* column = memory, work = column + ColumnLength(s) * step, chirped = work + s.WorkLength * step;
        for (nint j = 0; j < length; j++)
        {
            x.Element(j, out V re, out V im);
            Turn(ref re, ref im, Broadcast<V>(view.Chirp[2 * j]), Broadcast<V>(view.Chirp[2 * j + 1]));
            Store(re, chirped + j * step);
            Store(im, chirped + j * step + n);
        }
        ForwardColumns<V>(s, new RowSource(chirped, n, 2 * length, n), work, column);
        float* spectrum = view.ChirpSpectrum;
        for (nint row = 0; row < s.Columns; row++)
        {
            float* z = work + row * s.RowStride * step;
            Butterflies.Forward<V>(s.Row, z);
            for (nint i = 0; i < s.RowLength; i++, spectrum += 2)
            {
                V re = Load<V>(z + i * step), im = Load<V>(z + i * step + n);
                Turn(ref re, ref im, Broadcast<V>(spectrum[0]), Broadcast<V>(spectrum[1]));
                Store(re, z + i * step);
                Store(im, z + i * step + n);
            }
            Butterflies.Inverse<V>(s.Row, z);
        }
        InverseColumns<V>(s, work, column, new RowTarget(chirped, n, 2 * length, n));
        for (nint k = 0; k < length; k++)
        {
            V re = Load<V>(chirped + k * step), im = Load<V>(chirped + k * step + n);
            Turn(ref re, ref im, Broadcast<V>(view.Chirp[2 * k]), Broadcast<V>(view.Chirp[2 * k + 1]));
            y.Element(re, im, k);
        }
    }
}
