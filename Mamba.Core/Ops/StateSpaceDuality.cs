using Mamba.Core.Kernels.Duality;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    // Up to this length the recurrence is faster: it needs no chunk matrix and no other layout of the state.
    private const int LongestRecurrence = 8;

    // Work items of the backward pass per group. Each has its own partial sums for the gradients of B and C: with 16 items, writing and
    // adding these takes a tenth of the time.
    private const int DualityItems = 8;

    /// <summary>
    /// The state-space duality layer of Mamba-2 (Dao and Gu 2024, "Transformers are SSMs", section 6). With d = dt + bias, optionally after
    /// softplus and clamped, a head has the state S[t] = exp(d[t] A) S[t-1] + d[t] x[t] B[t]^T and the result y[t] = (S[t] C[t] + D x[t])
    /// silu(z[t]). Short sequences use this recurrence, longer ones matrix products over chunks.
    /// </summary>
    /// <param name="x">(B, L, H, P): H heads of P channels.</param>
    /// <param name="dt">(B, L, H).</param>
    /// <param name="a">(H), negative for a stable recurrence.</param>
    /// <param name="b">(B, L, G, N): N states; head h reads group h / (H / G).</param>
    /// <param name="c">The shape of b.</param>
    /// <param name="options">The skip, the gate, the bias and bounds of dt, the first state; by default none of them.</param>
    /// <returns>y (B, L, H, P), and the state after the last token (B, H, P, N). Gradients flow into both.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentException">The bounds of dt are not in order.</exception>
    public static (Tensor Output, Tensor LastState) StateSpaceDuality(
        Tensor x, Tensor dt, Tensor a, Tensor b, Tensor c, in DualityOptions options = default)
    {
        DualityShape s = CheckDuality(x, dt, a, b, c, options);
        bool record = Tape.Needs(x, dt, a, b, c, options.D, options.Z, options.DeltaBias, options.InitialState);
        Tensor y = Tensor.Empty(x.Shape);
        Tensor last = options is { UpdateState: true, InitialState: { } own } && !record
            ? own
            : Tensor.Empty(x.Shape[0], x.Shape[2], x.Shape[3], b.Shape[3]);
        if (y.Count == 0) return IndependentPair(y, last, x, dt, a, b, c, options.D, options.Z, options.DeltaBias, options.InitialState);
        Tensor? kept = record
            ? Tensor.Empty(Shape.Checked(s.Batch * s.Heads * s.Chunks * s.StateSize, "StateSpaceDuality", "kept states"))
            : null;
        DualityInputs inputs = Inputs(x, dt, a, b, c, options);
        if (s.Length <= LongestRecurrence)
        {
            if (kept is { } first) DualityStates.ByState(s, options.InitialState.Pointer, first.Pointer);
            Launch.Run(
                new DualityRecurrence
                {
                    Shape = s,
                    Inputs = inputs,
                    Initial = options.InitialState.Pointer,
                    Y = y.Pointer,
                    Last = last.Pointer,
                },
                s.Batch * s.Heads, Math.Max(1, Launch.ElementGrain / s.StateSize), s.Width);
        }
        else
        {
            using Scratch steps = new(3 * s.Batch * s.Chunks * s.HeadRows), pairs = new(s.Batch * s.Groups * s.Chunks * s.PairsSize);
            PrepareChunks(s, inputs, steps.Pointer, pairs.Pointer);
            Launch.Run(
                new DualityForward
                {
                    Shape = s,
                    Inputs = inputs,
                    Steps = steps.Pointer,
                    Pairs = pairs.Pointer,
                    Initial = options.InitialState.Pointer,
                    Y = y.Pointer,
                    Last = last.Pointer,
                    Kept = kept.Pointer,
                },
                s.Batch * s.Heads, 1, s.Width);
        }
        CountDuality(s, options.DeltaSoftplus, options.Z is not null);

        // Checked after the kernels run: this keeps the inputs reachable while the kernels hold only their addresses.
        if (Tape.Needs(x, dt, a, b, c, options.D, options.Z, options.DeltaBias, options.InitialState))
            Tape.Record(
                [y, last], new DualityStep(x, dt, a, b, c, options, kept!.Value, s),
                static (step, outputs) => step.Values.Backward(outputs[0], outputs[1]),
                x, dt, a, b, c, options.D, options.Z, options.DeltaBias, kept);
        return (y, last);
    }

    /// <summary>The pointers that the kernels read; valid only while the tensors keep their memory.</summary>
    private static DualityInputs Inputs(Tensor x, Tensor dt, Tensor a, Tensor b, Tensor c, in DualityOptions options) => new()
    {
        X = x.Pointer,
        Z = options.Z.Pointer,
        Dt = dt.Pointer,
        A = a.Pointer,
        DtBias = options.DeltaBias.Pointer,
        B = b.Pointer,
        C = c.Pointer,
        D = options.D.Pointer,
        SkipPerChannel = options.D is { Shape.Rank: 2 },
        Softplus = options.DeltaSoftplus,
        Lowest = options.DtLimit?.Low ?? float.NegativeInfinity,
        Highest = options.DtLimit?.High ?? float.PositiveInfinity,
    };

    private static void PrepareChunks(in DualityShape s, in DualityInputs inputs, float* steps, float* pairs)
    {
        Launch.Run(new ChunkSteps { Shape = s, Inputs = inputs, Steps = steps }, s.Batch * s.Chunks, 1, s.Width);
        Launch.Run(new ChunkPairs { Shape = s, B = inputs.B, C = inputs.C, Pairs = pairs }, s.Batch * s.Groups * s.Chunks, 1, s.Width);
    }

    private static void CountDuality(in DualityShape s, bool softplus, bool gate)
    {
        long tokens = s.Batch * s.Length * s.Heads, width = s.HeadWidth, states = s.States, near = (s.ChunkLength + 1) / 2;
        bool recurrent = s.Length <= LongestRecurrence;
        long shared = recurrent ? 0 : s.Batch * s.Length * s.Groups * states * near;
        MultiplyAdds.Add(
            tokens * width * (recurrent ? 3 * states : 2 * states + near) + shared,
            tokens * ((recurrent ? 1 : near) + (softplus ? 1 : 0) + (gate ? width : 0)));
    }

    /// <summary>A recorded layer: Kept is the state before each chunk.</summary>
    private readonly record struct DualityStep(
        Tensor X, Tensor Dt, Tensor A, Tensor B, Tensor C, DualityOptions Options, Tensor Kept, DualityShape Shape)
    {
        public void Backward(Tensor y, Tensor last)
        {
            DualityShape s = Shape;
            // Opened in write order, the kernels' first: two inputs may be the same tensor.
            GradSlot? dx = Open(X), dz = Open(Options.Z), ddt = Open(Dt);
            GradSlot? da = Open(A), dd = Open(Options.D), dbias = Open(Options.DeltaBias), db = Open(B), dc = Open(C);
            GradSlot? dinitial = Open(Options.InitialState);
            Tensor dy = y.Grad ?? Tensor.Zeros(y.Shape);
            nint heads = s.Batch * s.Heads, most = Launch.CeilDiv(DualityItems, s.Batch * s.Groups);
            nint headsPerItem = Launch.CeilDiv(s.HeadsPerGroup, Math.Min(s.HeadsPerGroup, most));
            nint parts = Launch.CeilDiv(s.HeadsPerGroup, headsPerItem);
            using Scratch steps = new(3 * s.Batch * s.Chunks * s.HeadRows), pairs = new(s.Batch * s.Groups * s.Chunks * s.PairsSize);
            using Scratch carries = new(heads * s.StateSize), sumB = new(parts * B.Count), sumC = new(parts * C.Count);
            using Scratch sumA = new(heads), sumD = new(heads * s.HeadWidth), bounded = new(s.Batch * s.Chunks * s.HeadRows);
            using Scratch sumBias = new(s.Batch * s.Chunks * s.Heads);
            DualityInputs inputs = Inputs(X, Dt, A, B, C, Options);
            PrepareChunks(s, inputs, steps.Pointer, pairs.Pointer);
            DualityStates.ByState(s, last.Grad.Pointer, carries.Pointer);
            DualityGradients gradients = new()
            {
                X = dx.Target,
                Z = dz.Target,
                B = sumB.Pointer,
                C = sumC.Pointer,
                A = sumA.Pointer,
                D = sumD.Pointer,
                Dt = bounded.Pointer,
            };
            Launch.Run(
                new DualityBackward
                {
                    Shape = s,
                    Inputs = inputs,
                    Gradients = gradients,
                    HeadsPerItem = headsPerItem,
                    Parts = parts,
                    Steps = steps.Pointer,
                    Pairs = pairs.Pointer,
                    Kept = Kept.Pointer,
                    Dy = dy.Pointer,
                    Carries = carries.Pointer,
                },
                s.Batch * s.Groups * parts, 1, s.Width);
            Launch.Run(
                new ChunkStepsBackward
                {
                    Shape = s,
                    Inputs = inputs,
                    Bounded = bounded.Pointer,
                    Dt = ddt.Target,
                    DtBias = sumBias.Pointer,
                },
                s.Batch * s.Chunks, 1, s.Width);
            AddParts(sumA.Pointer, s.Batch, da);
            if (dd is { } skip) AddSkips(sumD.Pointer, skip);
            AddParts(sumBias.Pointer, s.Batch * s.Chunks, dbias);
            AddParts(sumB.Pointer, parts, db);
            AddParts(sumC.Pointer, parts, dc);
            if (dinitial is { } first) DualityStates.ByChannel(s, carries.Pointer, first.Target);
        }

        /// <summary>Adds the gradient of D from per-channel sums.</summary>
        private void AddSkips(float* sums, GradSlot slot)
        {
            if (Options.D is { Shape.Rank: 2 })
            {
                AddParts(sums, Shape.Batch, slot);
                return;
            }
            AddUp(sums, Shape.Batch, Shape.ValueStride);
            for (nint head = 0; head < Shape.Heads; head++)
            {
                float sum = 0f;
                for (nint p = 0; p < Shape.HeadWidth; p++) sum += sums[head * Shape.HeadWidth + p];
                slot.Target.StoreOne(sum, slot.Pointer + head);
            }
        }
    }

    private static DualityShape CheckDuality(Tensor x, Tensor dt, Tensor a, Tensor b, Tensor c, in DualityOptions options)
    {
        const string Name = "StateSpaceDuality";
        Check.Rank(x, 4, Name, "(B, L, H, P)");
        int batch = x.Shape[0], length = x.Shape[1], heads = x.Shape[2], width = x.Shape[3];
        Check.That(
            length > 0 && dt.Shape == new Shape(batch, length, heads) && a.Shape == new Shape(heads), Name,
            $"x {x.Shape}, dt {dt.Shape}, A {a.Shape}; expected (B, L, H, P), (B, L, H) and (H) with L > 0");
        bool fits = b.Shape.Rank == 4 && b.Shape[0] == batch && b.Shape[1] == length && b.Shape[2] > 0 && heads % b.Shape[2] == 0
            && b.Shape[3] > 0;
        Check.That(
            fits && c.Shape == b.Shape, Name,
            $"x {x.Shape}, B {b.Shape}, C {c.Shape}; expected B and C (B, L, G, N) with G dividing H and N > 0");
        if (options.D is { Shape.Rank: not 1 } skip) Check.Extents(skip, Name, "D", heads, width);
        else Check.Extents(options.D, Name, "D", heads);
        if (options.Z is { } gate) Check.SameShape(x, gate, Name);
        Check.Extents(options.DeltaBias, Name, "dt bias", heads);
        Check.Extents(options.InitialState, Name, "initial state", batch, heads, width, b.Shape[3]);
        if (options.DtLimit is { } limit && !(limit.Low <= limit.High))
            throw new ArgumentException($"{Name}: dt limits {limit.Low} and {limit.High}; expected the lower one first.", nameof(options));
        return new(batch, length, heads, width, b.Shape[2], b.Shape[3], Isa.Current);
    }
}
