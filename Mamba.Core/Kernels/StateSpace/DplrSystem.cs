using Mamba.Core.Memory;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// Inputs of S4's systems: Lambda, P, B and C, each (H, N, 2), and log dt (H). Each of the N states also represents its conjugate, so the
/// system is real. With x = (Re z, Im z) in R^(2N), z' = (Lambda - P P^*) z - P P^T conj(z) + B u and y = 2 Re(C z) become x' = A x + b u,
/// y = c x. Here A = [[Re Lambda, -Im Lambda], [Im Lambda, Re Lambda]] - 2 p p^T, p = (Re P, Im P), b = (Re B, Im B), c = 2 (Re C, -Im C).
/// </summary>
internal unsafe struct DplrInputs
{
    /// <summary>N.</summary>
    public nint Pairs;

    /// <summary>C may be null where only A and B are discretized.</summary>
    public float* Lambda, P, B, C, LogDt;

    /// <summary>If positive, C holds C (I - Abar^StoredLength), as S4's checkpoints do.</summary>
    public nint StoredLength;

    /// <summary>2 N.</summary>
    public readonly nint States => 2 * Pairs;
}

/// <summary>The real system of one channel, continuous and discretized by the bilinear rule, in double precision.</summary>
internal readonly unsafe ref struct DplrSystem : IDisposable
{
    private static readonly DiscretizationRule s_bilinear = new(RuleKind.Bilinear);
    private readonly DplrInputs _inputs;
    private readonly Scratch _memory, _pivots;
    private readonly MatrixPower _stored;
    private readonly double* _a, _b, _factors;

    public DplrSystem(in DplrInputs inputs)
    {
        _inputs = inputs;
        nint n = inputs.States, square = n * n;
        _memory = Scratch.OfDoubles(3 * square + 3 * n);
        _pivots = new Scratch(n);
        _stored = new MatrixPower(n, inputs.StoredLength);
        _a = _memory.Doubles;
        _factors = _a + square;
        ABar = _factors + square;
        _b = ABar + square;
        BBar = _b + n;
        C = BBar + n;
    }

    /// <summary>(2N, 2N), (2N) and (2N).</summary>
    public double* ABar { get; }

    /// <inheritdoc cref="ABar"/>
    public double* BBar { get; }

    /// <inheritdoc cref="ABar"/>
    public double* C { get; }

    public void Dispose()
    {
        _memory.Dispose();
        _pivots.Dispose();
        _stored.Dispose();
    }

    /// <summary>Computes Abar, Bbar and C of a channel.</summary>
    public void Compute(nint h)
    {
        nint pairs = _inputs.Pairs, n = _inputs.States, from = h * n;
        float* lambda = _inputs.Lambda + from, p = _inputs.P + from, b = _inputs.B + from;
        for (nint i = 0; i < n; i++)
        {
            double pi = Part(p, i);
            for (nint j = 0; j < n; j++) _a[i * n + j] = -2 * pi * Part(p, j);
            _b[i] = Part(b, i);
            if (_inputs.C != null) C[i] = (i < pairs ? 2 : -2) * Part(_inputs.C + from, i);
        }
        for (nint k = 0; k < pairs; k++)
        {
            double re = lambda[2 * k], im = lambda[2 * k + 1];
            _a[k * n + k] += re;
            _a[(pairs + k) * n + pairs + k] += re;
            _a[k * n + pairs + k] -= im;
            _a[(pairs + k) * n + k] += im;
        }
        System(h).Discretize(ABar, BBar);
        if (_inputs.StoredLength > 0) Restore(n);
    }

    /// <summary>
    /// Writes the gradients of a channel's inputs, (N, 2) each and that of log dt, from those of Abar, Bbar and C, which are overwritten.
    /// </summary>
    public void Backward(nint h, double* dAbar, double* dBbar, double* dC, in DplrGradients to)
    {
        nint pairs = _inputs.Pairs, n = _inputs.States, from = h * n;
        if (_inputs.StoredLength > 0) RestoreBackward(n, dAbar, dC);
        using Scratch gradients = Scratch.OfDoubles(n * n + n);
        double* da = gradients.Doubles, db = da + n * n;
        new Span<double>(da, (int)(n * n + n)).Clear();
        to.LogDt[h] = Math.Exp(_inputs.LogDt[h]) * System(h).Backward(ABar, BBar, dAbar, dBbar, da, db);
        float* p = _inputs.P + from;
        for (nint i = 0; i < n; i++)
        {
            double dp = 0;
            for (nint j = 0; j < n; j++) dp -= 2 * (da[i * n + j] + da[j * n + i]) * Part(p, j);
            nint index = from + Index(i);
            to.P[index] = dp;
            to.B[index] = db[i];
            if (to.C != null) to.C[index] = (i < pairs ? 2 : -2) * dC[i];
        }
        for (nint k = 0; k < pairs; k++)
        {
            to.Lambda[from + 2 * k] = da[k * n + k] + da[(pairs + k) * n + pairs + k];
            to.Lambda[from + 2 * k + 1] = da[(pairs + k) * n + k] - da[k * n + pairs + k];
        }
    }

    /// <summary>Replaces C of a computed channel, not yet stored, by C (I - Abar^length): the inverse of <see cref="Restore"/>.</summary>
    public void Store(nint h, nint length)
    {
        nint n = _inputs.States;
        using MatrixPower power = new(n, length);
        double* p = power.Compute(ABar);
        for (nint i = 0; i < n; i++)
        {
            double stored = C[i];
            for (nint j = 0; j < n; j++) stored -= p[j * n + i] * C[j];
            _inputs.C[h * n + Index(i)] = (float)(stored / (i < _inputs.Pairs ? 2 : -2));
        }
    }

    /// <summary>Solves (I - Abar^L)^T c = the stored c.</summary>
    private void Restore(nint n)
    {
        double* power = _stored.Compute(ABar);
        for (nint i = 0; i < n * n; i++) _factors[i] = (i % (n + 1) == 0 ? 1 : 0) - power[i];
        SquareMatrix.Factorize(_factors, (int*)_pivots.Pointer, n);
        SquareMatrix.SolveTransposed(_factors, (int*)_pivots.Pointer, C, n, 1);
    }

    /// <summary>With v = (I - Abar^L)^-1 dc, the gradient of the stored c is v, and that of Abar^L is c v^T.</summary>
    private void RestoreBackward(nint n, double* dAbar, double* dC)
    {
        SquareMatrix.Solve(_factors, (int*)_pivots.Pointer, dC, n, 1);
        using Scratch outer = Scratch.OfDoubles(n * n);
        for (nint i = 0; i < n; i++)
            for (nint j = 0; j < n; j++) outer.Doubles[i * n + j] = C[i] * dC[j];
        _stored.Backward(outer.Doubles, dAbar);
    }

    private DenseSystem System(nint h) => new(s_bilinear, _a, _b, Math.Exp(_inputs.LogDt[h]), _inputs.States, 1);

    /// <summary>Row i of (Re z, Im z), read from an array of pairs.</summary>
    private double Part(float* pairs, nint i) => pairs[Index(i)];

    private nint Index(nint i) => i < _inputs.Pairs ? 2 * i : 2 * (i - _inputs.Pairs) + 1;
}

/// <summary>The gradients of S4's inputs, in the same layout; C may be null.</summary>
internal unsafe struct DplrGradients
{
    public double* Lambda, P, B, C, LogDt;
}
