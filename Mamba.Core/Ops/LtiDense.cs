using Mamba.Core.Kernels.StateSpace;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>A dense, discrete linear time-invariant system as a recurrence: x_l = A x_(l-1) + B u_l, y_l = C x_l + D u_l.</summary>
    /// <param name="u">(B, L, P).</param>
    /// <param name="a">(N, N).</param>
    /// <param name="b">(N, P).</param>
    /// <param name="c">(Q, N).</param>
    /// <param name="d">(Q, P), the skip; or null.</param>
    /// <param name="state">(B, N), the state before the first token; zero if null.</param>
    /// <returns>y (B, L, Q), and the state after the last token (B, N). Gradients flow into both.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static (Tensor Output, Tensor LastState) LtiDense(
        Tensor u, Tensor a, Tensor b, Tensor c, Tensor? d = null, Tensor? state = null)
    {
        Check.Rank(u, 3, "LtiDense", "(B, L, P)");
        bool fits = a.Shape.Rank == 2 && b.Shape.Rank == 2 && c.Shape.Rank == 2 && a.Shape[0] == a.Shape[1] && a.Shape[0] > 0
            && b.Shape == new Shape([a.Shape[0], u.Shape[2]]) && c.Shape[1] == a.Shape[0] && u.Shape[1] > 0;
        Check.That(
            fits, "LtiDense",
            $"u {u.Shape}, A {a.Shape}, B {b.Shape}, C {c.Shape}; expected (B, L, P) with L > 0, (N, N), (N, P) and (Q, N)");
        int batch = u.Shape[0], length = u.Shape[1], states = a.Shape[0];
        Check.Extents(d, "LtiDense", "D", c.Shape[0], u.Shape[2]);
        Check.Extents(state, "LtiDense", "state", batch, states);
        using MemoryScope scope = new();
        Tensor x = DenseRecurrence(
            Linear(u, b).Reshape(batch, length, 1, states), a.Reshape(1, states, states), state?.Reshape(batch, 1, states));
        Tensor tokens = x.Reshape(batch, length, states);
        Tensor y = Linear(tokens, c, residual: d is { } skip ? Linear(u, skip) : null);
        return (scope.Return(y), scope.Return(Slice(tokens, 1, length - 1, 1).Reshape(batch, states)));
    }

    /// <summary>x_l = A x_(l-1) + v_l for G independent systems; returns all states.</summary>
    /// <param name="v">(B, L, G, N), L and N positive.</param>
    /// <param name="a">(G, N, N).</param>
    /// <param name="state">(B, G, N), the state before the first token; zero if null.</param>
    /// <returns>x (B, L, G, N).</returns>
    internal static Tensor DenseRecurrence(Tensor v, Tensor a, Tensor? state)
    {
        RecurrenceShape s = new(v.Shape[0], v.Shape[1], v.Shape[2], v.Shape[3]);
        Tensor x = Tensor.Empty(v.Shape);
        if (x.Count == 0) return Independent(x, v, a, state);
        using (PackedWeight transposed = PackedWeight.Of(a, new TransposedMatrices(s.Groups, s.States)))
            Launch.Run(
                new DenseRecurrence
                {
                    Shape = s,
                    Matrices = transposed.Pointer,
                    Inputs = v.Pointer,
                    States = x.Pointer,
                    Start = state.Pointer,
                },
                s.Batch * s.Groups, 1, Isa.For(s.States));
        MultiplyAdds.Add(x.Count * (long)s.States);
        if (Tape.Needs(v, a, state))
            Tape.Record(x, (v, a, state, x, s), static (context, dx) =>
            {
                (Tensor v, Tensor a, Tensor? state, Tensor x, RecurrenceShape s) = context.Values;
                using Scratch g = new(x.Count), da = new(a.Count), dstart = new(state is { } start ? start.Count : 0);
                VectorWidth width = Isa.For(s.States);
                DenseRecurrence back = new()
                {
                    Shape = s,
                    Reverse = true,
                    Matrices = a.Pointer,
                    Inputs = dx.Pointer,
                    States = g.Pointer,
                };
                Launch.Run(back, s.Batch * s.Groups, 1, width);
                DenseRecurrenceGradients sums = new()
                {
                    Shape = s,
                    Matrices = a.Pointer,
                    States = x.Pointer,
                    Gradients = g.Pointer,
                    Start = state.Pointer,
                    DMatrices = da.Pointer,
                    DStart = dstart.Pointer,
                };
                Launch.Run(sums, s.Groups, 1, width);
                if (Open(v) is { } ofInputs) Contribute(ofInputs, new ReadOnlySpan<float>(g.Pointer, x.Count));
                if (Open(a) is { } ofMatrices) Contribute(ofMatrices, new ReadOnlySpan<float>(da.Pointer, a.Count));
                if (Open(state) is { } ofStart) Contribute(ofStart, new ReadOnlySpan<float>(dstart.Pointer, ofStart.Tensor.Count));
            }, a, state, x);
        return x;
    }
}
