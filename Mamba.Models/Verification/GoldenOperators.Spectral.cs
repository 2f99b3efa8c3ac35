using Mamba.Core;

namespace Mamba.Models.Verification;

// Fourier transforms, and convolutions by them.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_spectral = new()
    {
        ["rfft"] = c => [ComplexRows(Ops.Rfft(Columns(c.In("x"))))],
        ["irfft"] = c => [RealRows(Ops.Irfft(ComplexColumns(c.In("x")), c.Int("n")))],
        ["fft"] = c => [ComplexRows(Ops.Fft(ComplexColumns(c.In("x")), c.Bool("inverse")))],
        ["long_conv"] = LongConvolution,
    };

    private static Tensor[] LongConvolution(GoldenCase c)
    {
        LongConvOptions options = new() { D = c.Optional("D"), Backward = c.Optional("k_back") };
        if (c.Bool("bidirectional") != options.Backward is not null)
            throw new UnsupportedCaseException("long_conv: bidirectional without k_back, or k_back without bidirectional");
        return [ChannelsFirst(Ops.LongConv(ChannelsLast(c.In("u")), c.In("k"), options))];
    }

    /// <summary>Real rows (R, n) as one sequence of R channels, (1, n, R).</summary>
    private static Tensor Columns(Tensor x) => Ops.Permute(x.Reshape(1, x.Shape[0], x.Shape[1]), 0, 2, 1);

    /// <summary>Complex rows (R, n, 2) as one sequence of R channels, (1, n, 2, R).</summary>
    private static Tensor ComplexColumns(Tensor x) => Ops.Permute(x.Reshape(1, x.Shape[0], x.Shape[1], x.Shape[2]), 0, 2, 3, 1);

    private static Tensor RealRows(Tensor x) => Ops.Permute(x, 0, 2, 1).Reshape(x.Shape[2], x.Shape[1]);

    private static Tensor ComplexRows(Tensor x) => Ops.Permute(x, 0, 3, 1, 2).Reshape(x.Shape[3], x.Shape[1], x.Shape[2]);
}
