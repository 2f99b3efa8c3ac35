using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>A function of three variables; its parameters are the fields of the struct.</summary>
internal interface ITernary
{
    V Apply<V>(V a, V b, V c) where V : unmanaged;
}

/// <summary>An operand of a broadcast: pointer and shape.</summary>
internal readonly unsafe ref struct Operand(float* pointer, Shape shape)
{
    public readonly float* Pointer = pointer;
    public readonly Shape Shape = shape;
}

/// <summary>
/// y (+)= f(a, b, c) under broadcasting: a gradient that depends on both operands and dy, or a selection. Items are rows, or elements if
/// there is only one row.
/// </summary>
internal unsafe struct BroadcastTernary<TFunction> : IKernel where TFunction : unmanaged, ITernary
{
    private BroadcastWalk _walk;
    private TFunction _function;
    private float* _a, _b, _c;
    private GradientTarget _y;

    public static void Run(TFunction function, Shape result, Operand a, Operand b, Operand c, GradientTarget y)
    {
        if (result.Count == 0) return;
        BroadcastWalk walk = new(result, a.Shape, b.Shape, c.Shape);
        BroadcastTernary<TFunction> kernel = new()
        {
            _walk = walk,
            _function = function,
            _a = a.Pointer,
            _b = b.Pointer,
            _c = c.Pointer,
            _y = y,
        };
        if (walk.Rank == 1) Launch.Run(kernel, walk.Inner, Launch.ElementGrain);
        else Launch.Run(kernel, result.Count / walk.Inner, Math.Max(1, Launch.ElementGrain / walk.Inner));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        int last = _walk.Rank - 1;
        nint inner = _walk.Inner;
        if (last == 0)
        {
            float* a0 = _a + begin * _walk.StrideA[0], b0 = _b + begin * _walk.StrideB[0], c0 = _c + begin * _walk.StrideC[0];
            Row<V>(a0, b0, c0, _y.Pointer + begin, end - begin);
            return;
        }
        for (nint row = begin; row < end; row++)
        {
            _walk.Offsets(row, out nint a, out nint b);
            Row<V>(_a + a, _b + b, _c + _walk.OffsetC(row), _y.Pointer + row * inner, inner);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void Row<V>(float* a, float* b, float* c, float* y, nint count) where V : unmanaged
    {
        int last = _walk.Rank - 1;
        bool repeatA = _walk.StrideA[last] == 0, repeatB = _walk.StrideB[last] == 0, repeatC = _walk.StrideC[last] == 0;
        GradientTarget target = _y;
        TFunction f = _function;
        nint n = Count<V>();
        V a0 = Broadcast<V>(*a), b0 = Broadcast<V>(*b), c0 = Broadcast<V>(*c);
        for (nint i = 0; i < count; i += n)
        {
            nint lanes = Math.Min(n, count - i);
            V v = f.Apply(repeatA ? a0 : Load<V>(a + i, lanes), repeatB ? b0 : Load<V>(b + i, lanes), repeatC ? c0 : Load<V>(c + i, lanes));
            target.Store(v, y + i, lanes);
        }
    }
}
