using System.Numerics;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Measurement;

/// <summary>How time and memory of a layer grow with the length of the sequence.</summary>
public enum ScalingOrder
{
    /// <summary>With L, or L log L.</summary>
    Linear,

    /// <summary>With the square of L.</summary>
    Quadratic,
}

/// <summary>An operator or a block over one sequence of 64 channels, to be measured at many lengths.</summary>
/// <param name="Name">Its name in reports.</param>
/// <param name="Group">What it is compared with: operators with operators, blocks with blocks.</param>
/// <param name="Order">How its cost grows by theory.</param>
public sealed record SequenceLayer(string Name, string Group, ScalingOrder Order)
{
    /// <summary>The channels of every layer.</summary>
    public const int Width = 64;

    private const string Operators = "operators", Blocks = "blocks";
    private const int States = 16; // of Mamba; the others have as many states as channels, as their papers do

    /// <summary>Makes the layer's function for sequences of a length, and the tensors that it reads.</summary>
    private Func<int, (Func<Tensor[], Tensor> Run, Tensor[] Inputs, ParameterStore? Parameters)> Create { get; init; } = null!;

    /// <summary>All layers: those of linear cost first.</summary>
    public static IReadOnlyList<SequenceLayer> All { get; } =
    [
        Scan("selective scan, sequential", ScanSchedule.Sequential),
        Scan("selective scan, chunked", ScanSchedule.Chunked),
        new("state-space duality", Operators, ScalingOrder.Linear)
        {
            Create = length =>
            {
                Tensor a = Tensor.Full(-1f, 1);
                DualityOptions options = new() { DeltaSoftplus = true };
                return (
                    x => Ops.StateSpaceDuality(x[0].Reshape(1, length, 1, Width), x[1], a, Grouped(x[2]), Grouped(x[3]), options).Output,
                    [Random(1, length, Width), Random(2, length, 1), Random(3, length, Width), Random(4, length, Width)], null);

                Tensor Grouped(Tensor x) => x.Reshape(1, length, 1, Width);
            },
        },
        new("S4D by FFT", Operators, ScalingOrder.Linear)
        {
            Create = length =>
            {
                const int Pairs = Width / 2;
                Complex[] eigenvalues = Hippo.Eigenvalues(S4dInitialization.Lin, Width);
                Tensor steps = Tensor.Full(-4f, Width), real = Tensor.Empty(Width, Pairs), imaginary = Tensor.Empty(Width, Pairs);
                for (int i = 0; i < real.Count; i++)
                    (real.Span[i], imaginary.Span[i]) =
                        ((float)Math.Log(-eigenvalues[i % Pairs].Real), (float)eigenvalues[i % Pairs].Imaginary);
                Tensor mix = Random(2, Width, 2 * Pairs).Reshape(Width, Pairs, 2);
                return (
                    x => Ops.LongConv(x[0], Ops.S4dKernel(x[1], x[2], x[3], length, new() { AImag = x[4] })),
                    [Random(1, length, Width), steps, real, mix, imaginary], null);
            },
        },
        new("attention", Operators, ScalingOrder.Quadratic)
        {
            Create = length => (
                x => Ops.Attention(x[0], x[1], x[2], heads: 1, AttentionOptions.CausalMask),
                [Random(1, length, Width), Random(2, length, Width), Random(3, length, Width)], null),
        },
        Block("Mamba block", ScalingOrder.Linear, scope => new MambaMixer(scope, new MambaConfig(Width))),
        Block("Mamba-2 block", ScalingOrder.Linear, scope => new Mamba2Mixer(scope, new Mamba2Config(Width, DState: Width))),
        Block("Mamba-3 block", ScalingOrder.Linear, scope => new Mamba3Mixer(scope, new Mamba3Config(Width, DState: Width))),
        Block("S4D block", ScalingOrder.Linear, scope => new S4dMixer(scope, new S4dConfig(Width))),
        Block("Transformer block", ScalingOrder.Quadratic, scope => new TransformerBlock(scope, new(Width, 1, Width, 4 * Width))),
    ];

    /// <summary>A pass over a random sequence.</summary>
    /// <param name="length">L.</param>
    /// <param name="training">Whether it is a forward and a backward pass; else a forward pass.</param>
    /// <returns>The pass, to be repeated.</returns>
    public Action Pass(int length, bool training)
    {
        (Func<Tensor[], Tensor> run, Tensor[] inputs, ParameterStore? parameters) = Create(length);
        foreach (Tensor input in inputs) input.RequiresGrad = training;
        if (!training) parameters?.Freeze();
        return training ? Train : Infer;

        void Infer()
        {
            using MemoryScope scope = new();
            run(inputs);
        }

        void Train()
        {
            foreach (Tensor input in inputs) input.ZeroGrad();
            parameters?.ZeroGrad();
            using Tape tape = new();
            tape.Backward(Ops.Mean(run(inputs)));
        }
    }

    private static SequenceLayer Scan(string name, ScanSchedule schedule) => new(name, Operators, ScalingOrder.Linear)
    {
        Create = length =>
        {
            Tensor a = Tensor.Empty(Width, States);
            for (int i = 0; i < a.Count; i++) a.Span[i] = -1 - i % States; // S4D-real
            ScanOptions options = new() { DeltaSoftplus = true, Schedule = schedule };
            return (
                x => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], options).Output,
                [Random(1, length, Width), Random(2, length, Width), a, Random(3, length, States), Random(4, length, States)], null);
        },
    };

    private static SequenceLayer Block(string name, ScalingOrder order, Func<Scope, IModule> create) => new(name, Blocks, order)
    {
        Create = length =>
        {
            ParameterStore parameters = new(seed: 1);
            IModule block = create(new Scope(parameters));
            return (x => block.Forward(x[0]), [Random(1, length, Width)], parameters);
        },
    };

    private static Tensor Random(int seed, int length, int channels)
    {
        Tensor x = Tensor.Empty(1, length, channels);
        Random random = new(seed);
        foreach (ref float value in x.Span) value = random.NextSingle() - 0.5f;
        return x;
    }
}
