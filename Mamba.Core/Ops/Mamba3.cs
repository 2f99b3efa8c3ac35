using Mamba.Core.Kernels.Mamba3;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// The scan of Mamba-3 (Lahoti et al. 2026), one input and one output per head. With lambda = sigmoid(Trap) and theta_t = theta_(t-1) +
    /// pi dt_t tanh(angles_t), the rotation R turns pairs of neighbouring components by theta. Then q_t = R(theta_t) (Q_t + bias), k_t =
    /// R(theta_t) (K_t + bias), S_t = e^(A dt_t) (S_(t-1) + (1 - lambda_t) dt_t v_(t-1) k_(t-1)^T) + lambda_t dt_t v_t k_t^T and y_t = (S_t
    /// q_t + D v_t) silu(z_t).
    /// </summary>
    /// <param name="inputs">The inputs of each token.</param>
    /// <param name="options">The skip, the gate and the first state; by default none of them.</param>
    /// <returns>y (B, L, H, P) and the state after the last token. Gradients flow into all but the rounding rests of the angles.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or one of L, H, G, N and P is 0.</exception>
    public static (Tensor Output, Mamba3Memory Last) Mamba3Scan(in Mamba3Inputs inputs, in Mamba3Options options = default)
    {
        Mamba3Shape s = CheckMamba3(inputs, options);
        bool record = NeedsMamba3(inputs, options);
        Tensor y = Tensor.Empty(inputs.V.Shape);
        Mamba3Memory last = options.Target ?? EmptyMemory(inputs);
        if (y.Count == 0)
        {
            if (record)
                Tape.Record(
                    [y, last.Angles, last.Ssm, last.Key, last.Value], Wanting(All(inputs, options)), static (x, _) => GiveZeros(x.Values));
            return (y, last);
        }
        nint keptSize = record ? s.Batch * s.Heads * s.Chunks * s.KeptSize : 0;
        Tensor? kept = record ? Tensor.Empty(Shape.Checked(keptSize, "Mamba3Scan", "kept states")) : null;
        Tensor? ungated = record && options.Z is not null ? Tensor.Empty(y.Shape) : null;
        Launch.Run(
            new Mamba3Forward
            {
                Shape = s,
                Inputs = Pointers(inputs, options),
                Y = y.Pointer,
                Ungated = ungated.Pointer,
                Angles = last.Angles.Pointer,
                AngleRests = last.AngleRests.Pointer,
                Ssm = last.Ssm.Pointer,
                Key = last.Key.Pointer,
                Value = last.Value.Pointer,
                Kept = kept.Pointer,
            },
            s.Items, s.Grain, s.Width);
        long tokens = (long)(s.Batch * s.Length * s.Heads);
        MultiplyAdds.Add(
            tokens * (2 * s.States * s.Values + s.States), tokens * (2 + 3 * s.Turned + (options.Z is null ? 0 : s.Values)));

        // Checked after the kernels run: this keeps the inputs reachable while the kernels hold only their addresses.
        if (NeedsMamba3(inputs, options))
            Tape.Record(
                [y, last.Angles, last.Ssm, last.Key, last.Value], new Mamba3Step(inputs, options, kept!.Value, ungated, s),
                static (step, outputs) => step.Values.Backward(outputs), inputs.Q, inputs.K, inputs.V, inputs.Adt, inputs.Dt, inputs.Trap,
                inputs.QBias, inputs.KBias, inputs.Angles, options.D, options.Z, options.Initial?.Key, options.Initial?.Value, kept,
                ungated);
        return (y, last);
    }

    private static bool NeedsMamba3(in Mamba3Inputs x, in Mamba3Options o) => Tape.Needs(
        x.Q, x.K, x.V, x.Adt, x.Dt, x.Trap, x.QBias, x.KBias, x.Angles, o.D, o.Z, o.Initial?.Angles, o.Initial?.Ssm, o.Initial?.Key,
        o.Initial?.Value);

    private static Tensor?[] All(in Mamba3Inputs x, in Mamba3Options o) =>
    [
        x.Q, x.K, x.V, x.Adt, x.Dt, x.Trap, x.QBias, x.KBias, x.Angles, o.D, o.Z, o.Initial?.Angles, o.Initial?.Ssm, o.Initial?.Key,
        o.Initial?.Value,
    ];

    private static Mamba3Memory EmptyMemory(in Mamba3Inputs inputs)
    {
        Shape values = inputs.V.Shape;
        int batch = values[0], heads = values[2], states = inputs.K.Shape[3], turned = inputs.Angles.Shape[3];
        return new(
            Tensor.Empty(batch, heads, turned), Tensor.Empty(batch, heads, states, values[3]), Tensor.Empty(batch, heads, states),
            Tensor.Empty(batch, heads, values[3]))
        {
            AngleRests = Tensor.Empty(batch, heads, turned),
        };
    }

    /// <summary>The pointers that the kernels read; valid only while the tensors keep their memory.</summary>
    private static Mamba3Pointers Pointers(in Mamba3Inputs inputs, in Mamba3Options options)
    {
        Mamba3Pointers p = new()
        {
            Q = inputs.Q.Pointer,
            K = inputs.K.Pointer,
            V = inputs.V.Pointer,
            Adt = inputs.Adt.Pointer,
            Dt = inputs.Dt.Pointer,
            Trap = inputs.Trap.Pointer,
            QBias = inputs.QBias.Pointer,
            KBias = inputs.KBias.Pointer,
            Angles = inputs.Angles.Pointer,
            D = options.D.Pointer,
            Z = options.Z.Pointer,
        };
        if (options.Initial is not { } initial) return p;
        p.AngleStart = initial.Angles.Pointer;
        p.AngleRest = initial.AngleRests.Pointer;
        p.SsmStart = initial.Ssm.Pointer;
        p.KeyStart = initial.Key.Pointer;
        p.ValueStart = initial.Value.Pointer;
        return p;
    }

    private static Mamba3Shape CheckMamba3(in Mamba3Inputs x, in Mamba3Options options)
    {
        const string Name = "Mamba3Scan";
        Check.Rank(x.V, 4, Name, "V (B, L, H, P)");
        int batch = x.V.Shape[0], length = x.V.Shape[1], heads = x.V.Shape[2], values = x.V.Shape[3];
        Check.Rank(x.K, 4, Name, "K (B, L, G, N)");
        int groups = x.K.Shape[2], states = x.K.Shape[3];
        Check.That(
            length > 0 && heads > 0 && values > 0 && groups > 0 && states > 0 && heads % groups == 0, Name,
            $"V {x.V.Shape}, K {x.K.Shape}; expected (B, L, H, P) and (B, L, G, N), none but B zero, with G dividing H");
        Check.Extents(x.K, Name, "K", batch, length, groups, states);
        Check.Extents(x.Q, Name, "Q", batch, length, groups, states);
        Check.Extents(x.Adt, Name, "A dt", batch, length, heads);
        Check.Extents(x.Dt, Name, "dt", batch, length, heads);
        Check.Extents(x.Trap, Name, "Trap", batch, length, heads);
        Check.Extents(x.QBias, Name, "the bias of Q", heads, states);
        Check.Extents(x.KBias, Name, "the bias of K", heads, states);
        Check.Rank(x.Angles, 4, Name, "angles (B, L, H, S)");
        bool shared = x.Angles.Shape[2] == 1 && heads > 1;
        int turned = x.Angles.Shape[3];
        Check.Extents(x.Angles, Name, "the angles", batch, length, shared ? 1 : heads, turned);
        Check.That(2L * turned <= states, Name, $"angles {x.Angles.Shape} for N = {states}; expected at most N / 2 turned pairs");
        Check.Extents(options.D, Name, "D", heads);
        Check.Extents(options.Z, Name, "Z", batch, length, heads, values);
        foreach (Mamba3Memory? memory in (ReadOnlySpan<Mamba3Memory?>)[options.Initial, options.Target])
        {
            if (memory is not { } m) continue;
            Check.Extents(m.Angles, Name, "the state's angles", batch, heads, turned);
            Check.Extents(m.AngleRests, Name, "the rests of the state's angles", batch, heads, turned);
            Check.Extents(m.Ssm, Name, "the state", batch, heads, states, values);
            Check.Extents(m.Key, Name, "the state's key", batch, heads, states);
            Check.Extents(m.Value, Name, "the state's value", batch, heads, values);
        }
        return new(batch, length, (heads, groups), states, values, (turned, shared));
    }

    /// <summary>A recorded scan; Kept is the state before each chunk.</summary>
    private readonly record struct Mamba3Step(Mamba3Inputs Inputs, Mamba3Options Options, Tensor Kept, Tensor? Ungated, Mamba3Shape Shape)
    {
        public void Backward(ReadOnlySpan<Tensor> outputs)
        {
            Mamba3Shape s = Shape;
            // Opened in write order, the kernel's first: two inputs may be the same tensor.
            GradSlot? dAdt = Open(Inputs.Adt), dv = Open(Inputs.V), dz = Open(Options.Z);
            GradSlot? dAngles = s.SharedAngles ? null : Open(Inputs.Angles), ddt = Open(Inputs.Dt), dTrap = Open(Inputs.Trap);
            GradSlot? shared = s.SharedAngles ? Open(Inputs.Angles) : null, dq = Open(Inputs.Q), dk = Open(Inputs.K);
            GradSlot? dqBias = Open(Inputs.QBias), dkBias = Open(Inputs.KBias), dd = Open(Options.D);
            GradSlot? dAngleStart = Open(Options.Initial?.Angles), dSsmStart = Open(Options.Initial?.Ssm);
            GradSlot? dKeyStart = Open(Options.Initial?.Key), dValueStart = Open(Options.Initial?.Value);

            nint places = s.Batch * s.Heads, keys = s.Batch * s.Length * s.Groups * s.States;
            nint start = Options.Initial is null ? 0 : places;
            using Scratch sumQ = new(dq is null ? 0 : s.ItemsPerGroup * keys), sumK = new(dk is null ? 0 : s.ItemsPerGroup * keys);
            using Scratch sumAngles = new(shared is null ? 0 : s.ItemsPerSequence * s.Batch * s.Length * s.Turned);
            using Scratch qBias = new(places * s.States), kBias = new(places * s.States), skip = new(places);
            using Scratch angles = new(start * s.Turned), ssm = new(start * s.States * s.Values);
            using Scratch key = new(start * s.States), value = new(start * s.Values);
            Tensor dy = outputs[0].Grad ?? Tensor.Zeros(outputs[0].Shape);
            // The rounding rest of the first state is not read, and its memory may be gone.
            Mamba3Pointers pointers = Pointers(Inputs, Options with { Initial = null });
            pointers.KeyStart = Options.Initial is { } initial ? initial.Key.Pointer : null;
            pointers.ValueStart = Options.Initial is { } first ? first.Value.Pointer : null;
            Launch.Run(
                new Mamba3Backward
                {
                    Shape = s,
                    Inputs = pointers,
                    Gradients = new()
                    {
                        V = dv.Target,
                        Z = dz.Target,
                        Adt = dAdt.Target,
                        Dt = ddt.Target,
                        Trap = dTrap.Target,
                        Angles = dAngles.Target,
                        Q = sumQ.Pointer,
                        K = sumK.Pointer,
                        SharedAngles = sumAngles.Pointer,
                        QBias = qBias.Pointer,
                        KBias = kBias.Pointer,
                        D = skip.Pointer,
                        AngleStart = angles.Pointer,
                        SsmStart = ssm.Pointer,
                        KeyStart = key.Pointer,
                        ValueStart = value.Pointer,
                    },
                    Ungated = Ungated.Pointer,
                    Dy = dy.Pointer,
                    Angles = outputs[1].Grad.Pointer,
                    Ssm = outputs[2].Grad.Pointer,
                    Key = outputs[3].Grad.Pointer,
                    Value = outputs[4].Grad.Pointer,
                    Kept = Kept.Pointer,
                },
                s.Items, 1, s.Width);

            AddParts(sumAngles.Pointer, s.ItemsPerSequence, shared);
            AddParts(sumQ.Pointer, s.ItemsPerGroup, dq);
            AddParts(sumK.Pointer, s.ItemsPerGroup, dk);
            AddParts(qBias.Pointer, s.Batch, dqBias);
            AddParts(kBias.Pointer, s.Batch, dkBias);
            AddParts(skip.Pointer, s.Batch, dd);
            AddParts(angles.Pointer, 1, dAngleStart);
            AddParts(ssm.Pointer, 1, dSsmStart);
            AddParts(key.Pointer, 1, dKeyStart);
            AddParts(value.Pointer, 1, dValueStart);
        }
    }
}
