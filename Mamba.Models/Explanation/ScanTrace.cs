using System.Diagnostics;
using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Explanation;

/// <summary>
/// A scan of one image, with the tokens in reading order. Its sequences are the slices of the channels: one, unless the layer cuts them.
/// The heads of a Mamba-2 or Mamba-3 stand for channels: all channels of a head have one attention matrix.
/// </summary>
internal abstract class ScanTrace
{
    public required string Layer { get; init; }

    /// <summary>Whether the scan begins at the last token.</summary>
    public required bool Reverse { get; init; }

    public required TokenGrid Grid { get; init; }

    public required int Sequences { get; init; }

    public required int Length { get; init; }

    public required int Channels { get; init; }

    /// <summary>(Sequences, Length, Channels), the step sizes; of a kernel (Channels), those of every token.</summary>
    public required float[] Delta { get; init; }

    /// <summary>Copies what a layer scans with.</summary>
    /// <param name="scan">It.</param>
    /// <param name="grid">Where the tokens are; null for a line.</param>
    /// <param name="flipped">Whether the layer has got them from the last to the first.</param>
    public static ScanTrace Of(ObservedScan scan, TokenGrid? grid, bool flipped = false) => scan switch
    {
        ObservedSelectiveScan selective => RecurrenceTrace.Of(selective, grid, flipped),
        ObservedMamba3Scan trapezoidal => RecurrenceTrace.Of(trapezoidal, grid, flipped),
        ObservedConvolution convolution => KernelTrace.Of(convolution, grid, flipped),
        _ => throw new UnreachableException(),
    };
}

/// <summary>
/// The recurrence S[t] = exp(Rates[t] A) (S[t-1] + Carried[t] B[t-1] x[t-1]) + Inputs[t] B[t] x[t] with y[t] = C[t] S[t].
/// </summary>
internal sealed class RecurrenceTrace : ScanTrace
{
    public required int States { get; init; }

    /// <summary>Sets of B and C, each for as many channels.</summary>
    public required int Groups { get; init; }

    /// <summary>(Channels, States), or (Channels, 1) for one decay of all states.</summary>
    public required float[] A { get; init; }

    /// <summary>(Sequences, Length, Channels): the step sizes; or A dt, and A is 1, where it changes with the token.</summary>
    public required float[] Rates { get; init; }

    /// <summary>(Sequences, Length, Channels), the weight of a token's own input.</summary>
    public required float[] Inputs { get; init; }

    /// <summary>(Sequences, Length, Channels), the weight of the input before, which a trapezoid takes once more; or null.</summary>
    public float[]? Carried { get; init; }

    /// <summary>(Sequences, Length, Groups, States).</summary>
    public required float[] B { get; init; }

    /// <summary>(Sequences, Length, Groups, States).</summary>
    public required float[] C { get; init; }

    /// <summary>Decays of a channel: one for each state, or one for all.</summary>
    public int Decays => A.Length / Channels;

    public static RecurrenceTrace Of(ObservedSelectiveScan scan, TokenGrid? grid, bool flipped)
    {
        int length = scan.Delta.Shape[1], channels = scan.Delta.Shape[2];
        float[] delta = InReadingOrder(scan.Delta, flipped);
        ReadOnlySpan<float> bias = scan.DeltaBias.Span;
        for (int i = 0; i < delta.Length; i++) delta[i] = Softplus(delta[i] + bias[i % channels]);
        if (scan.DeltaLimit is { } limit)
            for (int i = 0; i < delta.Length; i++) delta[i] = Math.Clamp(delta[i], limit.Low, limit.High);
        return new RecurrenceTrace
        {
            Layer = scan.Layer,
            Reverse = scan.Reverse != flipped,
            Grid = grid ?? new TokenGrid(1, length, null),
            Sequences = scan.Delta.Shape[0],
            Length = length,
            Channels = channels,
            States = scan.B.Shape[^1],
            Groups = scan.B.Shape.Rank == 4 ? scan.B.Shape[2] : 1,
            Delta = delta,
            A = scan.A.Span.ToArray(),
            Rates = delta,
            Inputs = delta,
            B = InReadingOrder(scan.B, flipped),
            C = InReadingOrder(scan.C, flipped),
        };
    }

    /// <summary>Keys and queries are turned by the angles summed up to their token, so each head has its own.</summary>
    public static RecurrenceTrace Of(ObservedMamba3Scan scan, TokenGrid? grid, bool flipped)
    {
        Mamba3Inputs x = scan.Inputs;
        int length = x.V.Shape[1], heads = x.V.Shape[2];
        float[] delta = InReadingOrder(x.Dt, flipped), trap = InReadingOrder(x.Trap, flipped);
        float[] inputs = new float[delta.Length], carried = new float[delta.Length];
        for (int i = 0; i < delta.Length; i++)
        {
            double share = 1 / (1 + Math.Exp(-trap[i])); // lambda
            (inputs[i], carried[i]) = ((float)(share * delta[i]), (float)((1 - share) * delta[i]));
        }
        bool reverse = scan.Reverse != flipped;
        TurnedFactors turned = new(x, delta, InReadingOrder(x.Angles, flipped), reverse);
        return new RecurrenceTrace
        {
            Layer = scan.Layer,
            Reverse = reverse,
            Grid = grid ?? new TokenGrid(1, length, null),
            Sequences = x.V.Shape[0],
            Length = length,
            Channels = heads,
            States = x.K.Shape[3],
            Groups = heads,
            Delta = delta,
            A = [.. Enumerable.Repeat(1f, heads)],
            Rates = InReadingOrder(x.Adt, flipped),
            Inputs = inputs,
            Carried = carried,
            B = turned.Of(InReadingOrder(x.K, flipped), x.KBias.Span),
            C = turned.Of(InReadingOrder(x.Q, flipped), x.QBias.Span),
        };
    }

    /// <summary>Copies (B, L, ...), with the last token first if the tokens are flipped.</summary>
    private static float[] InReadingOrder(Tensor x, bool flipped)
    {
        float[] values = x.Span.ToArray();
        if (!flipped) return values;
        int length = x.Shape[1], size = x.Shape[0] * length, width = values.Length / size;
        float[] turned = new float[values.Length];
        for (int i = 0; i < size; i++)
        {
            int from = i / length * length + (length - 1 - i % length);
            values.AsSpan(from * width, width).CopyTo(turned.AsSpan(i * width));
        }
        return turned;
    }

    private static float Softplus(double x) => (float)(x > 20 ? x : Math.Log(1 + Math.Exp(x)));
}

/// <summary>A convolution that is the same for every image.</summary>
internal sealed class KernelTrace : ScanTrace
{
    /// <summary>(Channels, Length): what an input adds to the output so many tokens later.</summary>
    public required float[] Kernel { get; init; }

    public static KernelTrace Of(ObservedConvolution scan, TokenGrid? grid, bool flipped)
    {
        int length = scan.Kernel.Shape[1];
        return new KernelTrace
        {
            Layer = scan.Layer,
            Reverse = scan.Reverse != flipped,
            Grid = grid ?? new TokenGrid(1, length, null),
            Sequences = 1, // the same for all
            Length = length,
            Channels = scan.Kernel.Shape[0],
            Delta = Array.ConvertAll(scan.LogDelta.Span.ToArray(), static logarithm => (float)Math.Exp(logarithm)),
            Kernel = scan.Kernel.Span.ToArray(),
        };
    }
}
