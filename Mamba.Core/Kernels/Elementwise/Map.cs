using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>A function of one variable; its parameters are the fields of the struct.</summary>
internal interface IFunction
{
    /// <summary>Whether the derivative is computed from the output, so that the input need not be kept.</summary>
    static abstract bool DerivativeFromOutput { get; }

    /// <summary>See <see cref="IActivation.TakesExponential"/>.</summary>
    static virtual bool TakesExponential => false;

    /// <summary>f(x).</summary>
    V Apply<V>(V x) where V : unmanaged;

    /// <summary>f'(x), given x, or y = f(x) if <see cref="DerivativeFromOutput"/>.</summary>
    V Derivative<V>(V xOrY) where V : unmanaged;
}

/// <summary>Adapts an activation to <see cref="IFunction"/>.</summary>
internal readonly struct Plain<TActivation> : IFunction where TActivation : struct, IActivation
{
    public static bool DerivativeFromOutput => TActivation.DerivativeFromOutput;

    public static bool TakesExponential => TActivation.TakesExponential;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged => TActivation.Apply(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V xOrY) where V : unmanaged => TActivation.Derivative(xOrY);
}

/// <summary>y = f(x).</summary>
internal unsafe struct MapForward<TFunction> : IKernel where TFunction : unmanaged, IFunction
{
    public TFunction Function;
    public float* X, Y;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        TFunction f = Function;
        float* x = X, y = Y;
        nint i = begin, lanes = Count<V>();
        for (; i <= end - lanes; i += lanes) Store(f.Apply(Load<V>(x + i)), y + i);
        if (i < end) Store(f.Apply(Load<V>(x + i, end - i)), y + i, end - i);
    }
}

/// <summary>dx (+)= f'(x) dy.</summary>
internal unsafe struct MapBackward<TFunction> : IKernel where TFunction : unmanaged, IFunction
{
    public TFunction Function;
    public float* XOrY, Dy;
    public GradientTarget Dx;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        TFunction f = Function;
        GradientTarget target = Dx;
        float* x = XOrY, dy = Dy, dx = target.Pointer;
        nint i = begin, lanes = Count<V>();
        for (; i <= end - lanes; i += lanes)
        {
            V g = f.Derivative(Load<V>(x + i)) * Load<V>(dy + i);
            target.Store(g, dx + i);
        }
        if (i < end)
        {
            nint n = end - i;
            V g = f.Derivative(Load<V>(x + i, n)) * Load<V>(dy + i, n);
            target.Store(g, dx + i, n);
        }
    }
}
