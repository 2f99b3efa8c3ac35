using Mamba.Core.Kernels;
using Mamba.Core.Kernels.Attention;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>Options of a rotary embedding.</summary>
public sealed record RotaryOptions
{
    /// <summary>Pairs (i, i + Dh / 2), base 10,000, positions from 0.</summary>
    public static RotaryOptions Default { get; } = new();

    /// <summary>Whether a pair is (2i, 2i + 1), as in the paper, or (i, i + Dh / 2), as in GPT-NeoX and LLaMA.</summary>
    public bool Interleaved { get; init; }

    /// <summary>The angle of pair i at position t is t Base^(-2i / Dh).</summary>
    public double Base { get; init; } = 10_000;

    /// <summary>The position of the first token, for the next part of a sequence.</summary>
    public int Offset { get; init; }
}

public static unsafe partial class Ops
{
    /// <summary>
    /// Rotary position embedding (Su et al. 2021, equation 34). It rotates each pair (a, b) of a head to (a cos - b sin, b cos + a sin), by
    /// an angle proportional to the token's position.
    /// </summary>
    /// <param name="x">(B, L, Heads Dh), Dh even: queries or keys.</param>
    /// <param name="heads">Number of heads; divides the width.</param>
    /// <param name="options">Pairs, base and first position; null for <see cref="RotaryOptions.Default"/>.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The width is not heads times an even number.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no heads.</exception>
    public static Tensor RotaryEmbedding(Tensor x, int heads, RotaryOptions? options = null)
    {
        Check.Rank(x, 3, "RotaryEmbedding", "(B, L, Heads Dh)");
        Check.Positive(heads, "RotaryEmbedding", nameof(heads));
        Check.That(x.Shape[2] % (2L * heads) == 0, "RotaryEmbedding",
            $"{x.Shape} with {heads} heads; expected (B, L, Heads Dh) with Dh even");
        RotaryOptions o = options ?? RotaryOptions.Default;
        int length = x.Shape[1], pairs = x.Shape[2] / heads / 2;
        Tensor table = Tensor.Empty(length, 2 * pairs), y = Tensor.Empty(x.Shape);
        nint grain = Math.Max(1, Launch.ElementGrain / Math.Max(1, x.Shape[2]));
        Launch.Run(new RotaryAngles { Table = table.Pointer, Pairs = pairs, Offset = o.Offset, Base = o.Base }, length,
            Math.Max(1, 256 / Math.Max(1, pairs)));
        RotateTokens(x, y.Pointer, table, heads, o.Interleaved, backwards: false, grain);
        if (Tape.Needs(x))
            Tape.Record(y, (x, table, heads, interleaved: o.Interleaved, grain), static (context, dy) =>
            {
                (Tensor x, Tensor table, int heads, bool interleaved, nint grain) = context.Values;
                RotateTokens(dy, x.OpenGrad().Target, table, heads, interleaved, backwards: true, grain);
            }, table);
        return y;
    }

    private static void RotateTokens(
        Tensor x, GradientTarget y, Tensor table, int heads, bool interleaved, bool backwards, nint grain)
    {
        int length = table.Shape[0], pairs = table.Shape[1] / 2;
        if (x.Count == 0) return;
        Launch.Run(
            new RotateTokens
            {
                X = x.Pointer,
                Y = y,
                Table = table.Pointer,
                Length = length,
                Heads = heads,
                Pairs = pairs,
                Interleaved = interleaved,
                Backwards = backwards,
            },
            x.Count / (2 * pairs * heads), grain, Isa.For(interleaved ? Isa.Lanes(Isa.Current) : pairs));
    }
}
