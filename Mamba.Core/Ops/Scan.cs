using Mamba.Core.Kernels.Scan;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    private const int MaxSegments = 16;
    private const int ShortestLengthToCut = 1024;

    /// <summary>
    /// The selective scan of Mamba (Gu and Dao 2023, algorithm 2): with dt = softplus(delta + deltaBias),
    /// h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t] and y[t] = (C[t] h[t] + D u[t]) silu(z[t]) + residual[t].
    /// </summary>
    /// <param name="u">(B, L, D).</param>
    /// <param name="delta">(B, L, D).</param>
    /// <param name="a">(D, N), negative for a stable recurrence.</param>
    /// <param name="b">(B, L, N), or (B, L, G, N) where each of G groups of channels has its own.</param>
    /// <param name="c">The shape of b.</param>
    /// <param name="options">The skip, the gate, the bias of delta, the first state and others; by default none of them.</param>
    /// <returns>y (B, L, D), and the state after the last token (B, D, N). Gradients flow into both.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static (Tensor Output, Tensor LastState) SelectiveScan(
        Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c, in ScanOptions options = default)
    {
        ScanShape s = CheckScan(u, delta, a, b, c, options);
        nint state = s.Blocks * s.StateSize;
        Tensor y = Tensor.Empty(u.Shape), last = Tensor.Empty(u.Shape[0], u.Shape[2], a.Shape[1]);
        if (y.Count == 0)
            return IndependentPair(
                y, last, u, delta, a, b, c, options.D, options.Z, options.DeltaBias, options.InitialState, options.Residual);
        bool record = Tape.Needs(u, delta, a, b, c, options.D, options.Z, options.DeltaBias, options.InitialState, options.Residual);
        Tensor? kept = record ? Tensor.Empty(Shape.Checked(s.Batch * s.Chunks * state, "SelectiveScan", "kept states")) : null;
        // The backward pass reads the packed A too.
        StateMatrixPacking packing = new(s.Channels, s.States, s.Groups, s.Width);
        Tensor? rates = record ? Tensor.Empty(Shape.Checked(state, "SelectiveScan", "the packed A")) : null;
        if (rates is { } forBackward) packing.Pack(a.Pointer, forBackward.Pointer);
        using PackedWeight packed = record ? default : PackedWeight.Of(a, packing);
        ScanInputs inputs = Inputs(u, delta, rates is { } ofA ? ofA.Pointer : packed.Pointer, b, c, options);
        using (Scratch starts = new(s.Batch * s.Segments * state), lasts = new(s.Batch * state))
        {
            for (nint i = 0; i < s.Batch; i++)
            {
                float* start = starts.Pointer + i * s.Segments * state;
                if (options.InitialState is { } initial)
                    Kernels.Scan.SelectiveScan.PackStates(s, initial.Pointer + i * s.Channels * s.States, 1, 1f, start);
                else new Span<float>(start, (int)state).Clear();
            }
            Kernels.Scan.SelectiveScan.Forward(s, inputs, starts.Pointer, y.Pointer, lasts.Pointer, kept.Pointer);
            Kernels.Scan.SelectiveScan.UnpackStates(s, lasts.Pointer, state, s.Batch, last.Pointer);
        }
        long inner = s.Batch * s.Length * s.Channels, states = inner * s.States;
        MultiplyAdds.Add(3 * states, states + (options.DeltaSoftplus ? inner : 0) + (options.Z is null ? 0 : inner));

        // Checked after the kernels run: this keeps the inputs reachable while the kernels hold only their addresses.
        if (Tape.Needs(u, delta, a, b, c, options.D, options.Z, options.DeltaBias, options.InitialState, options.Residual))
            Tape.Record(
                [y, last], new ScanStep(u, delta, a, b, c, options, rates!.Value, kept!.Value, s),
                static (step, outputs) => step.Values.Backward(outputs[0], outputs[1]),
                u, delta, b, c, options.D, options.Z, options.DeltaBias, rates, kept);
        return (y, last);
    }

    /// <summary>The pointers that the kernels read; valid only while the tensors keep their memory.</summary>
    private static ScanInputs Inputs(Tensor u, Tensor delta, float* rates, Tensor b, Tensor c, in ScanOptions options) => new()
    {
        U = u.Pointer,
        Delta = delta.Pointer,
        A = rates,
        B = b.Pointer,
        C = c.Pointer,
        Softplus = options.DeltaSoftplus,
        D = options.D.Pointer,
        Z = options.Z.Pointer,
        Residual = options.Residual.Pointer,
        DeltaBias = options.DeltaBias.Pointer,
    };

    /// <summary>A recorded scan: Rates is the packed A, Kept the state before each chunk.</summary>
    private readonly record struct ScanStep(
        Tensor U, Tensor Delta, Tensor A, Tensor B, Tensor C, ScanOptions Options, Tensor Rates, Tensor Kept, ScanShape Shape)
    {
        public void Backward(Tensor y, Tensor last)
        {
            ScanShape s = Shape;
            nint state = s.Blocks * s.StateSize;
            // Opened in write order, the kernel's first: two inputs may be the same tensor.
            GradSlot? du = Open(U), ddelta = Open(Delta), dz = Open(Options.Z);
            GradSlot? da = Open(A), dd = Open(Options.D), dbias = Open(Options.DeltaBias), db = Open(B), dc = Open(C);
            GradSlot? dinitial = Open(Options.InitialState);
            Tensor dy = y.Grad ?? Tensor.Zeros(y.Shape);
            nint sequences = s.Batch * s.Segments, vectors = s.Blocks * s.Lanes, bc = s.ItemsPerGroup * B.Count;
            using Scratch carries = new(sequences * state), sumA = new(sequences * state);
            using Scratch sumD = new(sequences * vectors), sumBias = new(sequences * vectors);
            using Scratch sumB = new(db is null ? 0 : bc), sumC = new(dc is null ? 0 : bc);
            new Span<float>(carries.Pointer, (int)(sequences * state)).Clear();
            if (last.Grad is { } dlast) StartFrom(dlast, carries.Pointer, state);
            ScanGradients gradients = new()
            {
                U = du.Target,
                Delta = ddelta.Target,
                Z = dz.Target,
                A = sumA.Pointer,
                D = sumD.Pointer,
                DeltaBias = sumBias.Pointer,
                B = db is null ? null : sumB.Pointer,
                C = dc is null ? null : sumC.Pointer,
            };
            // The residual is not read, and its memory may be gone.
            ScanInputs inputs = Inputs(U, Delta, Rates.Pointer, B, C, Options with { Residual = null });
            Kernels.Scan.SelectiveScan.Backward(s, inputs, Kept.Pointer, dy.Pointer, carries.Pointer, gradients);

            if (da is { } ga)
            {
                AddUp(sumA.Pointer, sequences, state);
                Kernels.Scan.SelectiveScan.UnpackStates(s, sumA.Pointer, state, 1, ga.Target);
            }
            UnpackChannels(s, sumD.Pointer, sequences, dd);
            UnpackChannels(s, sumBias.Pointer, sequences, dbias);
            AddParts(sumB.Pointer, s.ItemsPerGroup, db);
            AddParts(sumC.Pointer, s.ItemsPerGroup, dc);
            if (dinitial is { } gi)
                Kernels.Scan.SelectiveScan.UnpackStates(s, carries.Pointer, s.Segments * state, s.Batch, gi.Target);
            if (Options.Residual is { } added) PassOn(added, added.Shape, dy, 1f, mayTake: y.Grad is not null);
        }

        /// <summary>The backward pass of each sequence's last segment starts from the gradient of the last state.</summary>
        private void StartFrom(Tensor dlast, float* carries, nint state)
        {
            ScanShape s = Shape;
            for (nint i = 0; i < s.Batch; i++)
            {
                float* ofLast = carries + ((i + 1) * s.Segments - 1) * state;
                Kernels.Scan.SelectiveScan.PackStates(s, dlast.Pointer + i * s.Channels * s.States, 1, 1f, ofLast);
            }
        }
    }

    private static GradSlot? Open(Tensor? x) => x is { NeedsGrad: true } open ? open.OpenGrad() : null;

    private static ScanShape CheckScan(Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c, in ScanOptions options)
    {
        Check.Rank(u, 3, "SelectiveScan", "(B, L, D)");
        Check.SameShape(u, delta, "SelectiveScan");
        int batch = u.Shape[0], length = u.Shape[1], channels = u.Shape[2];
        Check.That(
            a.Shape.Rank == 2 && a.Shape[0] == channels && a.Shape[1] > 0 && length > 0, "SelectiveScan",
            $"u {u.Shape}, A {a.Shape}; expected (B, L, D) with L > 0 and (D, N) with N > 0");
        int groups = b.Shape.Rank == 4 ? b.Shape[2] : 1;
        bool fits = b.Shape.Rank is 3 or 4 && b.Shape[0] == batch && b.Shape[1] == length && b.Shape[-1] == a.Shape[1]
            && groups > 0 && channels % groups == 0;
        Check.That(
            fits && c.Shape == b.Shape, "SelectiveScan",
            $"u {u.Shape}, A {a.Shape}, B {b.Shape}, C {c.Shape}; expected B and C (B, L, N), or (B, L, G, N) with G dividing D");

        Check.Extents(options.D, "SelectiveScan", "D", channels);
        if (options.Z is { } gate) Check.SameShape(u, gate, "SelectiveScan");
        if (options.Residual is { } added) Check.SameShape(u, added, "SelectiveScan");
        Check.Extents(options.DeltaBias, "SelectiveScan", "delta bias", channels);
        Check.Extents(options.InitialState, "SelectiveScan", "initial state", batch, channels, a.Shape[1]);

        ScanShape s = new(batch, length, channels, a.Shape[1], groups, 1, Isa.For(channels / groups), options.Reverse);
        // Segments cost a second pass over the exponentials: worth it only where a single block would leave the other threads idle.
        bool alone = batch * s.Blocks == 1 && length >= ShortestLengthToCut;
        bool cut = options.Schedule == ScanSchedule.Chunked || (options.Schedule == ScanSchedule.Auto && alone);
        return cut ? s with { Segments = Math.Max(1, Math.Min(MaxSegments, s.Chunks / 2)) } : s;
    }

    /// <summary>Adds rows 1, 2, ... to row 0, in order.</summary>
    private static void AddUp(float* rows, nint count, nint size)
    {
        Span<float> sum = new(rows, (int)size);
        for (nint i = 1; i < count; i++)
            System.Numerics.Tensors.TensorPrimitives.Add(sum, new ReadOnlySpan<float>(rows + i * size, (int)size), sum);
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
