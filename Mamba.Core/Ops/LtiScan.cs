using Mamba.Core.Kernels.StateSpace;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>Optional inputs of <see cref="Ops.LtiScan"/>. The default value is the bare recurrence.</summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct LtiScanOptions
{
    /// <summary>(H), the skip: D u is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(B, H, N, 2), the state before the first token; zero if null.</summary>
    public Tensor? State { get; init; }

    /// <summary>Whether each state also represents its complex conjugate: then y = 2 Re(C x) + D u.</summary>
    public bool ConjugatePairs { get; init; }

    internal float Factor => ConjugatePairs ? 2f : 1f;
}

public static unsafe partial class Ops
{
    /// <summary>
    /// A diagonal, discrete linear time-invariant system as a recurrence: x_l = A x_(l-1) + B u_l, y_l = Re(C x_l) + D u_l. Complex numbers
    /// are (re, im) in the last dimension. The backward pass keeps O(B L H) numbers, independent of N.
    /// </summary>
    /// <param name="u">(B, L, H).</param>
    /// <param name="a">(H, N, 2), of magnitude at most 1 for a stable recurrence.</param>
    /// <param name="b">(H, N, 2).</param>
    /// <param name="c">(H, N, 2).</param>
    /// <param name="options">The skip, the first state and pairs; by default none, zero and none.</param>
    /// <returns>y (B, L, H), and the state after the last token (B, H, N, 2). Gradients flow into both.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static (Tensor Output, Tensor LastState) LtiScan(Tensor u, Tensor a, Tensor b, Tensor c, in LtiScanOptions options = default)
    {
        LtiShape s = CheckLtiScan(u, a, b, c, options);
        Tensor y = Tensor.Empty(u.Shape), last = Tensor.Empty(u.Shape[0], u.Shape[2], a.Shape[1], 2);
        if (y.Count == 0) return IndependentPair(y, last, u, a, b, c, options.D, options.State);
        nint state = s.Blocks * s.StateSize;
        bool record = Tape.Needs(u, a, b, c, options.D, options.State);
        Tensor? kept = record ? Tensor.Empty(Shape.Checked(s.Batch * s.Chunks * state, "LtiScan", "kept states")) : null;
        LtiPacking packing = new(s.Channels, s.States, s.Width, 1f);
        using (PackedWeight pa = PackedWeight.Of(a, packing), pb = PackedWeight.Of(b, packing),
            pc = PackedWeight.Of(c, packing with { Factor = options.Factor }))
        using (Scratch states = new(s.Batch * state))
        {
            if (options.State is { } initial) s.Pack(initial.Pointer, s.Batch, 1f, states.Pointer);
            else new Span<float>(states.Pointer, checked((int)(s.Batch * state))).Clear();
            LtiInputs inputs = new() { A = pa.Pointer, B = pb.Pointer, C = pc.Pointer, U = u.Pointer, D = options.D.Pointer };
            Launch.Run(
                new LtiForward { Shape = s, Inputs = inputs, States = states.Pointer, Y = y.Pointer, Kept = kept.Pointer },
                s.Items, s.Grain, s.Width);
            s.Unpack(states.Pointer, s.Batch, last.Pointer);
        }
        MultiplyAdds.Add(8L * u.Count * s.States);

        if (Tape.Needs(u, a, b, c, options.D, options.State))
            Tape.Record(
                [y, last], new LtiStep(u, a, b, c, options, kept!.Value, s),
                static (step, outputs) => step.Values.Backward(outputs[0], outputs[1]),
                u, a, b, c, options.D, kept);
        return (y, last);
    }

    /// <summary>A recorded scan; Kept holds the states before each chunk.</summary>
    private readonly record struct LtiStep(
        Tensor U, Tensor A, Tensor B, Tensor C, LtiScanOptions Options, Tensor Kept, LtiShape Shape)
    {
        public void Backward(Tensor y, Tensor last)
        {
            LtiShape s = Shape;
            nint state = s.Blocks * s.StateSize, all = s.Batch * state, vectors = s.Blocks * s.Lanes;
            LtiPacking packing = new(s.Channels, s.States, s.Width, 1f);
            GradSlot? du = Open(U);
            Tensor dy = y.Grad ?? Tensor.Zeros(y.Shape);
            using Scratch carries = new(all), da = new(all), db = new(all), dc = new(all), dd = new(s.Batch * vectors);
            if (last.Grad is { } dlast) s.Pack(dlast.Pointer, s.Batch, 1f, carries.Pointer);
            else new Span<float>(carries.Pointer, checked((int)all)).Clear();
            using (PackedWeight pa = PackedWeight.Of(A, packing), pb = PackedWeight.Of(B, packing),
                pc = PackedWeight.Of(C, packing with { Factor = Options.Factor }))
            {
                LtiBackward kernel = new()
                {
                    Shape = s,
                    Inputs = new() { A = pa.Pointer, B = pb.Pointer, C = pc.Pointer, U = U.Pointer, D = Options.D.Pointer },
                    Kept = Kept.Pointer,
                    Dy = dy.Pointer,
                    Du = du.Target,
                    Carries = carries.Pointer,
                    Da = da.Pointer,
                    Db = db.Pointer,
                    Dc = dc.Pointer,
                    Dd = dd.Pointer,
                };
                Launch.Run(kernel, s.Items, s.Grain, s.Width);
            }
            Give(A, da.Pointer, 1f);
            Give(B, db.Pointer, 1f);
            Give(C, dc.Pointer, Options.Factor);
            if (Open(Options.D) is { } ofSkip)
            {
                AddUp(dd.Pointer, s.Batch, vectors);
                Contribute(ofSkip, new ReadOnlySpan<float>(dd.Pointer, (int)s.Channels));
            }
            if (Open(Options.State) is { } ofState) s.Unpack(carries.Pointer, s.Batch, ofState.Target);
        }

        private void Give(Tensor parameter, float* sums, float factor)
        {
            if (Open(parameter) is not { } slot) return;
            nint state = Shape.Blocks * Shape.StateSize;
            AddUp(sums, Shape.Batch, state);
            Span<float> sum = new(sums, (int)state);
            if (factor != 1f) System.Numerics.Tensors.TensorPrimitives.Multiply(sum, factor, sum);
            Shape.Unpack(sums, 1, slot.Target);
        }
    }

    /// <summary>Writes a contribution to a gradient, or adds it to what is there.</summary>
    private static void Contribute(GradSlot slot, ReadOnlySpan<float> values)
    {
        if (slot.Accumulate) System.Numerics.Tensors.TensorPrimitives.Add(slot.Span, values, slot.Span);
        else values.CopyTo(slot.Span);
    }

    /// <summary>The same from double precision, rounded once; does nothing where no gradient is needed.</summary>
    private static void Contribute(Tensor? input, double* values)
    {
        if (Open(input) is not { } slot) return;
        Span<float> gradient = slot.Span;
        for (int i = 0; i < gradient.Length; i++) gradient[i] = (float)((slot.Accumulate ? gradient[i] : 0) + values[i]);
    }

    private static LtiShape CheckLtiScan(Tensor u, Tensor a, Tensor b, Tensor c, in LtiScanOptions options)
    {
        Check.Rank(u, 3, "LtiScan", "(B, L, H)");
        int batch = u.Shape[0], channels = u.Shape[2];
        bool fits = a.Shape.Rank == 3 && a.Shape[0] == channels && a.Shape[1] > 0 && a.Shape[2] == 2 && u.Shape[1] > 0;
        Check.That(
            fits && b.Shape == a.Shape && c.Shape == a.Shape, "LtiScan",
            $"u {u.Shape}, A {a.Shape}, B {b.Shape}, C {c.Shape}; expected (B, L, H) with L > 0, and A, B, C (H, N, 2) with N > 0");
        Check.Extents(options.D, "LtiScan", "D", channels);
        Check.Extents(options.State, "LtiScan", "state", batch, channels, a.Shape[1], 2);
        return new LtiShape(batch, u.Shape[1], channels, a.Shape[1], Isa.For(channels));
    }
}
