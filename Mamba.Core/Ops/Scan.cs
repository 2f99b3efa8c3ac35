using Mamba.Core.Kernels.Scan;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>How a selective scan is spread over threads.</summary>
public enum ScanSchedule
{
    /// <summary>Chosen by shape, never by the number of threads.</summary>
    Auto,

    /// <summary>Each (batch, channel block) walks its whole sequence.</summary>
    Sequential,

    /// <summary>The sequence is cut into segments scanned at once, after a first pass that finds the states before them.</summary>
    Chunked,
}

public static unsafe partial class Ops
{
    private const int MaxSegments = 16;
    private const int ShortestLengthToCut = 1024;

    /// <summary>
    /// The selective scan of Mamba (Gu and Dao 2023, algorithm 2): with dt = softplus(delta + deltaBias),
    /// h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t] and y[t] = (C[t] h[t] + D u[t]) silu(z[t]).
    /// </summary>
    /// <param name="u">(B, L, D).</param>
    /// <param name="delta">(B, L, D).</param>
    /// <param name="a">(D, N), negative for a stable recurrence.</param>
    /// <param name="b">(B, L, N), or (B, L, G, N) where each of G groups of channels has its own.</param>
    /// <param name="c">As b.</param>
    /// <param name="d">(D), the skip; or null.</param>
    /// <param name="z">(B, L, D), the gate; or null.</param>
    /// <param name="deltaBias">(D), or null.</param>
    /// <param name="deltaSoftplus">Whether dt = softplus(delta + deltaBias), or just the sum.</param>
    /// <param name="initialState">(B, D, N), the state before the first token; zero if null. With the last state of the piece before, a sequence is scanned in pieces.</param>
    /// <param name="schedule">How the work is spread; the results agree to rounding.</param>
    /// <param name="reverse">Whether the scan starts at the last token and goes back to the first, as over the sequence turned round; so with the states.</param>
    /// <param name="residual">(B, L, D), added to y; or null.</param>
    /// <returns>y (B, L, D), and the state after the last token (B, D, N). Gradients flow into both.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static (Tensor Output, Tensor LastState) SelectiveScan(
        Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c, Tensor? d = null, Tensor? z = null, Tensor? deltaBias = null, bool deltaSoftplus = false,
        Tensor? initialState = null, ScanSchedule schedule = ScanSchedule.Auto, bool reverse = false, Tensor? residual = null)
    {
        ScanShape s = CheckScan(u, delta, a, b, c, schedule) with { Reverse = reverse };
        Check.Extents(d, "SelectiveScan", "D", u.Shape[2]);
        if (z is { } gate) Check.SameShape(u, gate, "SelectiveScan");
        if (residual is { } added) Check.SameShape(u, added, "SelectiveScan");
        Check.Extents(deltaBias, "SelectiveScan", "delta bias", u.Shape[2]);
        Check.Extents(initialState, "SelectiveScan", "initial state", u.Shape[0], u.Shape[2], a.Shape[1]);

        nint state = s.Blocks * s.StateSize;
        Tensor y = Tensor.Empty(u.Shape), last = Tensor.Empty(u.Shape[0], u.Shape[2], a.Shape[1]);
        if (y.Count == 0) return IndependentPair(y, last, u, delta, a, b, c, d, z, deltaBias, initialState, residual);
        bool record = Tape.Needs(u, delta, a, b, c, d, z, deltaBias, initialState, residual);
        Tensor? kept = record ? Tensor.Empty(Check.Size(s.Batch * s.Chunks * state, "SelectiveScan", "kept states")) : null;
        // The backward pass reads the packed A, too.
        StateMatrixPacking packing = new(s.Channels, s.States, s.Groups, s.Width);
        Tensor? keptA = record ? Tensor.Empty(Check.Size(state, "SelectiveScan", "the packed A")) : null;
        if (keptA is { } forBackward) packing.Pack(a.Pointer, forBackward.Pointer);
        using PackedWeight rates = record ? default : PackedWeight.Of(a, packing);
        ScanInputs inputs = new()
        {
            U = u.Pointer,
            Delta = delta.Pointer,
            A = keptA is { } packed ? packed.Pointer : rates.Pointer,
            B = b.Pointer,
            C = c.Pointer,
            Softplus = deltaSoftplus,
            D = d.Pointer,
            Z = z.Pointer,
            Residual = residual.Pointer,
            DeltaBias = deltaBias.Pointer,
        };
        using (Scratch starts = new(s.Batch * s.Segments * state), lasts = new(s.Batch * state))
        {
            for (nint i = 0; i < s.Batch; i++)
                if (initialState is null) new Span<float>(starts.Pointer + i * s.Segments * state, (int)state).Clear();
                else Kernels.Scan.SelectiveScan.PackStates(s, initialState.Pointer + i * s.Channels * s.States, 1, 1f, starts.Pointer + i * s.Segments * state);
            Kernels.Scan.SelectiveScan.Forward(s, inputs, starts.Pointer, y.Pointer, lasts.Pointer, kept.Pointer);
            Kernels.Scan.SelectiveScan.UnpackStates(s, lasts.Pointer, state, s.Batch, last.Pointer, add: false);
        }
        MultiplyAdds.Add(3 * (long)(s.Batch * s.Length * s.Channels * s.States));

        // Asked once more, after the kernels: that keeps the inputs reachable while the kernels hold nothing but their addresses.
        if (Tape.Needs(u, delta, a, b, c, d, z, deltaBias, initialState, residual))
            Tape.Push([y, last], (u, delta, a, b, c, d, z, deltaBias, initialState, residual, kept, inputs, s), static (context, outputs) =>
            {
                (Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c, Tensor? d, Tensor? z, Tensor? deltaBias, Tensor? initialState, Tensor? residual, Tensor? kept, ScanInputs inputs, ScanShape s) = context;
                Tensor y = outputs[0], last = outputs[1];
                nint state = s.Blocks * s.StateSize;
                // Opened in the order in which they are written, as some inputs may be one tensor: first what the kernel writes, then what
                // is added up after it.
                GradSlot? du = Open(u), ddelta = Open(delta), dz = Open(z);
                GradSlot? da = Open(a), dd = Open(d), dbias = Open(deltaBias), db = Open(b), dc = Open(c), dinitial = Open(initialState);
                Tensor dy = y.Grad ?? Tensor.Zeros(y.Shape);
                nint sequences = s.Batch * s.Segments, vectors = s.Blocks * s.Lanes, bc = s.ItemsPerGroup * b.Count;
                using Scratch carries = new(sequences * state), sumA = new(sequences * state), sumD = new(sequences * vectors), sumBias = new(sequences * vectors);
                using Scratch sumB = new(db is null ? 0 : bc), sumC = new(dc is null ? 0 : bc);
                new Span<float>(carries.Pointer, (int)(sequences * state)).Clear();
                if (last.Grad is { } dlast)
                    for (nint i = 0; i < s.Batch; i++)
                        Kernels.Scan.SelectiveScan.PackStates(s, dlast.Pointer + i * s.Channels * s.States, 1, 1f, carries.Pointer + ((i + 1) * s.Segments - 1) * state);
                ScanGradients gradients = new()
                {
                    U = du is { } slotU ? slotU.Pointer : null,
                    AddU = du is { Accumulate: true },
                    Delta = ddelta is { } slotDelta ? slotDelta.Pointer : null,
                    AddDelta = ddelta is { Accumulate: true },
                    Z = dz is { } slotZ ? slotZ.Pointer : null,
                    AddZ = dz is { Accumulate: true },
                    A = sumA.Pointer,
                    D = sumD.Pointer,
                    DeltaBias = sumBias.Pointer,
                    B = db is null ? null : sumB.Pointer,
                    C = dc is null ? null : sumC.Pointer,
                };
                Kernels.Scan.SelectiveScan.Backward(s, inputs, kept.Pointer, dy.Pointer, carries.Pointer, gradients);

                if (da is { } ga)
                {
                    AddUp(sumA.Pointer, sequences, state);
                    Kernels.Scan.SelectiveScan.UnpackStates(s, sumA.Pointer, state, 1, ga.Pointer, ga.Accumulate);
                }
                UnpackChannels(s, sumD.Pointer, sequences, dd);
                UnpackChannels(s, sumBias.Pointer, sequences, dbias);
                AddParts(sumB.Pointer, s.ItemsPerGroup, db);
                AddParts(sumC.Pointer, s.ItemsPerGroup, dc);
                if (dinitial is { } gi) Kernels.Scan.SelectiveScan.UnpackStates(s, carries.Pointer, s.Segments * state, s.Batch, gi.Pointer, gi.Accumulate);
                if (residual is { } added) PassOn(added, added.Shape, dy, 1f, mayTake: y.Grad is not null);
            }, u, delta, a, b, c, d, z, deltaBias, keptA, kept);
        return (y, last);
    }

    private static GradSlot? Open(Tensor? x) => x is { NeedsGrad: true } open ? open.OpenGrad() : null;

    private static ScanShape CheckScan(Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c, ScanSchedule schedule)
    {
        Check.Rank(u, 3, "SelectiveScan", "(B, L, D)");
        Check.SameShape(u, delta, "SelectiveScan");
        int batch = u.Shape[0], length = u.Shape[1], channels = u.Shape[2];
        Check.That(a.Shape.Rank == 2 && a.Shape[0] == channels && a.Shape[1] > 0 && length > 0, "SelectiveScan", $"u {u.Shape}, A {a.Shape}; expected (B, L, D) with L > 0 and (D, N) with N > 0");
        int groups = b.Shape.Rank == 4 ? b.Shape[2] : 1;
        bool fits = b.Shape.Rank is 3 or 4 && b.Shape[0] == batch && b.Shape[1] == length && b.Shape[-1] == a.Shape[1] && groups > 0 && channels % groups == 0;
        Check.That(fits && c.Shape == b.Shape, "SelectiveScan", $"u {u.Shape}, A {a.Shape}, B {b.Shape}, C {c.Shape}; expected B and C (B, L, N), or (B, L, G, N) with G dividing D");

        ScanShape s = new(batch, length, channels, a.Shape[1], groups, 1, Isa.For(channels / groups), Reverse: false);
        // Cutting costs a second pass over the exponentials, so it pays only where a lone block would leave the other threads idle.
        bool cut = schedule == ScanSchedule.Chunked || (schedule == ScanSchedule.Auto && batch * s.Blocks == 1 && length >= ShortestLengthToCut);
        return cut ? s with { Segments = Math.Max(1, Math.Min(MaxSegments, s.Chunks / 2)) } : s;
    }

    /// <summary>Adds rows 1, 2, ... to row 0, in order.</summary>
    private static void AddUp(float* rows, nint count, nint size)
    {
        Span<float> sum = new(rows, (int)size);
        for (nint i = 1; i < count; i++) System.Numerics.Tensors.TensorPrimitives.Add(sum, new ReadOnlySpan<float>(rows + i * size, (int)size), sum);
    }

    private static void AddParts(float* parts, nint count, GradSlot? slot)
    {
        if (slot is not { } gradient) return;
        nint size = gradient.Tensor.Count;
        AddUp(parts, count, size);
        ReadOnlySpan<float> sum = new(parts, (int)size);
        if (gradient.Accumulate) System.Numerics.Tensors.TensorPrimitives.Add(gradient.Span, sum, gradient.Span);
        else sum.CopyTo(gradient.Span);
    }

    private static void UnpackChannels(in ScanShape s, float* parts, nint count, GradSlot? slot)
    {
        if (slot is not { } gradient) return;
        AddUp(parts, count, s.Blocks * s.Lanes);
        for (nint block = 0; block < s.Blocks; block++)
        {
            nint channel = s.ChannelOf(block, out nint lanes);
            for (nint lane = 0; lane < lanes; lane++)
            {
                float* target = gradient.Pointer + channel + lane;
                *target = (gradient.Accumulate ? *target : 0f) + parts[block * s.Lanes + lane];
            }
        }
    }
}
