using System.Numerics;
using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>
/// The state-space model of an S4D layer, N states for each of H channels: x' = A x + B u, y = C x + D u with a diagonal A, B = 1 and
/// zero-order hold. Parameters have the names and initial values of state-spaces/s4 (models/s4/s4d.py): D, kernel.C, kernel.log_dt,
/// kernel.log_A_real, kernel.A_imag. <see cref="Convolve"/> and <see cref="Scan"/> compute the same function.
/// </summary>
internal sealed class DiagonalStateSpace
{
    private readonly string _layer;
    private readonly Tensor _d, _c, _logDt, _logAReal, _aImag, _one;
    private readonly FrozenCache<(Tensor A, Tensor B)> _discrete;
    private readonly FrozenCache<KernelOfLength> _kernel;

    /// <summary>Declares the parameters of H channels with N real states, stored as N / 2 complex ones.</summary>
    public DiagonalStateSpace(Scope scope, int channels, int states, S4dInitialization initialization)
    {
        Complex[] a = Hippo.Eigenvalues(initialization, states);
        _layer = scope.Path;
        Scope kernel = scope / "kernel";
        _d = scope.Parameter("D", Init.Normal(1), channels);
        _c = kernel.Parameter("C", Init.Normal(Math.Sqrt(0.5)), channels, a.Length, 2); // complex, of variance 1
        _logDt = kernel.Parameter("log_dt", StateSpaceInit.LogUniform(1e-3, 0.1), channels);
        _logAReal = kernel.Parameter("log_A_real", StateSpaceInit.Repeat(a, x => Math.Log(-x.Real)), channels, a.Length);
        _aImag = kernel.Parameter("A_imag", StateSpaceInit.Repeat(a, x => x.Imaginary), channels, a.Length);
        using (MemoryScope.Suspend()) _one = Tensor.Zeros(channels, a.Length, 2);
        for (int i = 0; i < _one.Count; i += 2) _one.Span[i] = 1f;
        _discrete = new FrozenCache<(Tensor A, Tensor B)>(_logDt, () =>
        {
            (Tensor a, Tensor b) = Discretize();
            a.Freeze();
            b.Freeze();
            return (a, b);
        });
        _kernel = new FrozenCache<KernelOfLength>(_logDt, static () => new KernelOfLength());
    }

    /// <summary>N / 2, the complex states of a channel.</summary>
    public int ComplexStates => _aImag.Shape[1];

    /// <summary>
    /// (H, L): the impulse response without the skip. While the parameters are frozen, the kernel of the last length is cached.
    /// </summary>
    public Tensor Kernel(int length)
    {
        if (!_kernel.TryGet(out KernelOfLength cache)) return Compute(length);
        if (cache.Last is { } last && last.Shape[1] == length) return last;
        using MemoryScope _ = MemoryScope.Suspend();
        Tensor kernel = Compute(length);
        cache.Last = kernel;
        return kernel;
    }

    /// <summary>A whole sequence as a convolution with the kernel: O(L log L), without a loop over time.</summary>
    /// <param name="u">(B, L, H).</param>
    /// <returns>(B, L, H).</returns>
    public Tensor Convolve(Tensor u)
    {
        using MemoryScope scope = new();
        Tensor kernel = Kernel(Math.Max(1, u.Shape[1]));
        LayerObserver.Current?.Scan(new ObservedConvolution { Layer = _layer, Kernel = kernel, LogDelta = _logDt });
        return scope.Return(Ops.LongConv(u, kernel, new LongConvOptions { D = _d }));
    }

    /// <summary>The same as a recurrence that starts from a state.</summary>
    /// <param name="u">(B, L, H).</param>
    /// <param name="state">(B, H, N / 2, 2); zero if null.</param>
    /// <returns>(B, L, H), and the state after the last token.</returns>
    public (Tensor Output, Tensor LastState) Scan(Tensor u, Tensor? state)
    {
        using MemoryScope scope = new();
        (Tensor a, Tensor b) = _discrete.TryGet(out (Tensor A, Tensor B) frozen) ? frozen : Discretize();
        (Tensor y, Tensor last) = Ops.LtiScan(u, a, b, _c, new LtiScanOptions { D = _d, State = state, ConjugatePairs = true });
        return (scope.Return(y), scope.Return(last));
    }

    private Tensor Compute(int length) =>
        Ops.S4dKernel(_logDt, _logAReal, _c, length, new S4dKernelOptions { AImag = _aImag, ConjugatePairs = true });

    /// <summary>Abar and Bbar, (H, N / 2, 2) each.</summary>
    private (Tensor A, Tensor B) Discretize()
    {
        int channels = _logAReal.Shape[0], states = _logAReal.Shape[1];
        Tensor real = Ops.Scale(Ops.Exp(_logAReal), -1f);
        Tensor a = Ops.Concat([real.Reshape(channels, states, 1), _aImag.Reshape(channels, states, 1)]);
        return Ops.DiscretizeDiagonal(a, _one, Ops.Exp(_logDt));
    }

    /// <summary>The kernel of the last length. Concurrent threads may each compute it; none sees a partial one.</summary>
    private sealed class KernelOfLength
    {
        private object? _last;

        public Tensor? Last
        {
            get => (Tensor?)Volatile.Read(ref _last);
            set => Volatile.Write(ref _last, value);
        }
    }
}

/// <summary>Initial values of state-space layers.</summary>
internal static class StateSpaceInit
{
    /// <summary>The logarithm of a log-uniform number in [low, high): steps of all scales.</summary>
    public static Initializer LogUniform(double low, double high) => (values, random) =>
    {
        foreach (ref float value in values) value = (float)random.NextDouble(Math.Log(low), Math.Log(high));
    };

    /// <summary>The same values for every channel: one part of each complex number.</summary>
    public static Initializer Repeat(Complex[] numbers, Func<Complex, double> part) => (values, _) =>
    {
        for (int i = 0; i < values.Length; i++) values[i] = (float)part(numbers[i % numbers.Length]);
    };

    /// <summary>The same complex numbers for every channel, as (re, im) pairs.</summary>
    public static Initializer Repeat(Complex[] numbers) => (values, _) =>
    {
        for (int i = 0; i < values.Length; i++)
        {
            Complex number = numbers[i / 2 % numbers.Length];
            values[i] = (float)(i % 2 == 0 ? number.Real : number.Imaginary);
        }
    };
}
