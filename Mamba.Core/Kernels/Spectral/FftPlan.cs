using System.Numerics;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// The data-independent part of an FFT of one length: stage order, twiddle factors (computed in double precision), positions of the
/// results. Plans are cached; any number of threads may share one. Kernels hold addresses into a plan, so their caller keeps the plan
/// alive.
/// </summary>
internal sealed unsafe class FftPlan
{
    // Bounds the cache for programs that keep using new lengths.
    private const int MostPlans = 64;

    private static readonly Lock s_gate = new();
    private static readonly Dictionary<nint, FftPlan> s_plans = [];

    private readonly List<Array> _tables = [];
    private readonly FftPlan? _inner;

    private FftPlan(nint length)
    {
        FftView view = new() { Length = length };
        int[] places;
        if (FftLength.IsSmooth(length))
        {
            view.Smooth = new FftShape(length, FftLength.Columns(length), this);
            places = PlacesOf(view.Smooth);
        }
        else
        {
            _inner = Of(FftLength.ForChirp(length));
            view.Smooth = _inner.View.Smooth;
            view.Chirp = Table(Chirp(length));
            view.ChirpSpectrum = Table(ChirpSpectrum(length, view.Smooth));
            places = [.. Enumerable.Range(0, (int)length)];
        }
        view.Places = Table(places);
        FftShape natural = new() { Columns = 1, RowLength = length };
        (SpectrumPair[] pairs, int[] starts) = Pairs(view.Chirp is null ? view.Smooth : natural, places);
        view.Pairs = Table([.. pairs, .. new SpectrumPair[RealForward.Ahead]]); // kernels prefetch ahead
        view.PairStarts = Table(starts);
        view.PairGroups = starts.Length - 1;
        view.PairTwiddles = Table([.. pairs.SelectMany(p => Root(p.Bin, 2 * length))]);
        View = view;
    }

    /// <summary>The plan as kernels read it.</summary>
    public FftView View { get; }

    /// <summary>The plan for a number of complex points.</summary>
    public static FftPlan Of(nint length)
    {
        lock (s_gate)
        {
            if (s_plans.TryGetValue(length, out FftPlan? known)) return known;
        }
        FftPlan plan = new(length);
        lock (s_gate)
        {
            if (s_plans.Count >= MostPlans) s_plans.Clear();
            return s_plans[length] = plan;
        }
    }

    /// <summary>Pinned memory that lives as long as this plan.</summary>
    public T* Table<T>(T[] values) where T : unmanaged
    {
        T[] pinned = GC.AllocateUninitializedArray<T>(Math.Max(1, values.Length), pinned: true);
        values.CopyTo(pinned, 0);
        _tables.Add(pinned);
        return (T*)System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);
    }

    /// <summary>e^(-2 pi i k / n).</summary>
    public static float[] Root(long k, long n)
    {
        (double sin, double cos) = Math.SinCos(-2 * Math.PI * (k % n) / n);
        return [(float)cos, (float)sin];
    }

    /// <summary>The position of each bin in the work buffer, in complex elements.</summary>
    private static int[] PlacesOf(in FftShape s)
    {
        int[] places = new int[s.Length], order = FftLength.OrderOf(s.RowLength);
        for (nint row = 0; row < s.Columns; row++)
            for (nint i = 0; i < s.RowLength; i++) places[row + s.Columns * order[i]] = (int)(row * s.RowStride + i);
        return places;
    }

    /// <summary>
    /// Pairs of bins k and M - k, which a real transform of 2 M points processes together, grouped by row: group r needs rows r and Columns
    /// - r.
    /// </summary>
    private static (SpectrumPair[] Pairs, int[] Starts) Pairs(in FftShape s, int[] places)
    {
        List<SpectrumPair> pairs = [];
        List<int> starts = [0];
        nint length = s.Columns * s.RowLength;
        for (nint row = 0; row <= s.Columns / 2; row++)
        {
            for (nint i = 0; i < s.RowLength; i++)
            {
                nint bin = row + s.Columns * i, other = (length - bin) % length;
                if (row * 2 % s.Columns == 0 && other < bin) continue; // a row that is its own partner: the pair was already added
                pairs.Add(new((int)bin, places[bin], places[other]));
            }
            starts.Add(pairs.Count);
        }
        return ([.. pairs], [.. starts]);
    }

    /// <summary>e^(-pi i j^2 / n).</summary>
    private static float[] Chirp(nint length) => [.. Enumerable.Range(0, (int)length).SelectMany(j => Root((long)j * j, 2L * length))];

    /// <summary>The spectrum of the conjugate chirp, wrapped around, over its length, in the row order of the work buffer.</summary>
    private static float[] ChirpSpectrum(nint length, in FftShape inner)
    {
        Complex[] chirp = new Complex[inner.Length];
        for (long j = 0; j < length; j++)
        {
            Complex value = Complex.FromPolarCoordinates(1.0 / inner.Length, Math.PI * (j * j % (2L * length)) / length);
            chirp[j] = value;
            if (j > 0) chirp[inner.Length - j] = value;
        }
        Complex[] spectrum = Transform(chirp);
        int[] order = FftLength.OrderOf(inner.RowLength);
        float[] ordered = new float[2 * inner.Length];
        for (nint row = 0; row < inner.Columns; row++)
            for (nint i = 0; i < inner.RowLength; i++)
            {
                Complex value = spectrum[row + inner.Columns * order[i]];
                ordered[2 * (row * inner.RowLength + i)] = (float)value.Real;
                ordered[2 * (row * inner.RowLength + i) + 1] = (float)value.Imaginary;
            }
        return ordered;
    }

    /// <summary>An FFT of 2^k points in double precision.</summary>
    private static Complex[] Transform(Complex[] x)
    {
        if (x.Length == 1) return x;
        int half = x.Length / 2;
        Complex[] even = Transform([.. x.Where((_, i) => i % 2 == 0)]), odd = Transform([.. x.Where((_, i) => i % 2 == 1)]);
        Complex[] y = new Complex[x.Length];
        for (int k = 0; k < half; k++)
        {
            Complex turned = odd[k] * Complex.FromPolarCoordinates(1, -2 * Math.PI * k / x.Length);
            (y[k], y[k + half]) = (even[k] + turned, even[k] - turned);
        }
        return y;
    }
}
