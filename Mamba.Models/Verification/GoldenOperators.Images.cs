using Mamba.Core;

namespace Mamba.Models.Verification;

// Convolutions, pools, resizing and padding of images.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_images = new()
    {
        ["conv1d"] = c => [Convolution1d(c)],
        ["conv2d"] = c => [Image(c, x => Ops.Conv2d(x, c.In("weight"), c.Optional("bias"), Convolution(c)))],
        ["conv_transpose1d"] = c => [Image(c, x => Ops.ConvTranspose1d(x, c.In("weight"), c.Optional("bias"), Convolution(c)))],
        ["conv_transpose2d"] = c => [Image(c, x => Ops.ConvTranspose2d(x, c.In("weight"), c.Optional("bias"), Convolution(c)))],
        ["unfold"] = c => [Ops.Permute(Ops.Unfold(ChannelsLast(c.In("x")), Size(c, "kernel"), Convolution(c)), 0, 2, 1)],
        ["fold"] = c => [ChannelsFirst(Ops.Fold(Ops.Permute(c.In("x"), 0, 2, 1), Size(c, "output"), Size(c, "kernel"), Convolution(c)))],

        ["max_pool1d"] = c => [Image(c, x => Ops.MaxPool1d(x, c.Int("kernel"), Pool(c)))],
        ["max_pool2d"] = c => [Image(c, x => Ops.MaxPool2d(x, Size(c, "kernel"), Pool(c)))],
        ["avg_pool1d"] = c => [Image(c, x => Ops.AvgPool1d(x, c.Int("kernel"), Pool(c)))],
        ["avg_pool2d"] = c => [Image(c, x => Ops.AvgPool2d(x, Size(c, "kernel"), Pool(c)))],
        ["adaptive_avg_pool2d"] = c => [Image(c, x => Ops.AdaptiveAvgPool2d(x, Size(c, "output")))],
        ["adaptive_max_pool2d"] = c => [Image(c, x => Ops.AdaptiveMaxPool2d(x, Size(c, "output")))],

        ["interpolate_nearest"] = c => [Image(c, x => Ops.ResizeNearest(x, Size(c, "size")))],
        ["interpolate_bilinear"] = c => [Image(c, x => Ops.ResizeBilinear(x, Size(c, "size"), c.Bool("align_corners")))],
        ["interpolate_bicubic"] = c => [Image(c, x => Ops.ResizeBicubic(x, Size(c, "size"), c.Bool("align_corners")))],
        ["pad"] = c => [Image(c, x => Ops.Pad(x, Border(c), Mode(c), c.Float("value", 0f)))],
        ["pixel_shuffle"] = c => [Image(c, x => Ops.PixelShuffle(x, c.Int("factor")))],
        ["pixel_unshuffle"] = c => [Image(c, x => Ops.PixelUnshuffle(x, c.Int("factor")))],
    };

    private static ConvOptions Convolution(GoldenCase c) => new()
    {
        Stride = Pair(c, "stride", 1),
        Padding = Pair(c, "padding", 0),
        Dilation = Pair(c, "dilation", 1),
        OutputPadding = Pair(c, "output_padding", 0),
        Groups = c.Int("groups", 1),
    };

    private static PoolOptions Pool(GoldenCase c) => new()
    {
        Stride = c.Pair("stride") is { } stride ? (Size2d)stride : null,
        Padding = Pair(c, "padding", 0),
        Dilation = Pair(c, "dilation", 1),
        CeilMode = c.Bool("ceil_mode"),
        CountIncludePad = c.Bool("count_include_pad", otherwise: true),
    };

    private static Tensor Convolution1d(GoldenCase c)
    {
        Tensor weight = c.In("weight");
        Tensor? bias = c.Optional("bias");
        ConvOptions options = Convolution(c);
        if (!c.Bool("causal"))
        {
            c.Only("activation", "\"none\"");
            return Image(c, x => Ops.Conv1d(x, weight, bias, options));
        }
        string activation = c.Text("activation") ?? "none";
        int channels = c.In("x").Shape[1], window = weight.Shape[-1];
        if (options.Stride != 1 || options.Dilation != 1 || options.Groups != channels || options.Padding != window - 1
            || activation is not ("silu" or "none"))
            throw new UnsupportedCaseException($"conv1d: causal with {options}, activation {activation}");
        return Image(c, x => Ops.CausalConv1d(x, weight, bias, activation == "silu" ? Core.Activation.Silu : Core.Activation.None));
    }

    /// <summary>PyTorch's pad: left, right and, for images, top, bottom.</summary>
    private static Padding2d Border(GoldenCase c)
    {
        int[] pad = c.Integers("pad");
        return pad.Length switch
        {
            2 => new Padding2d(0, pad[0], 0, pad[1]),
            4 => new Padding2d(pad[2], pad[0], pad[3], pad[1]),
            _ => throw new UnsupportedCaseException($"pad: {pad.Length} numbers"),
        };
    }

    private static PadMode Mode(GoldenCase c) => c.Text("mode") switch
    {
        null or "constant" => PadMode.Constant,
        "reflect" => PadMode.Reflect,
        "replicate" => PadMode.Replicate,
        "circular" => PadMode.Circular,
        { } mode => throw new UnsupportedCaseException($"pad: unknown mode '{mode}'"),
    };

    private static (int First, int Second) Pair(GoldenCase c, string name, int otherwise) => c.Pair(name) ?? (otherwise, otherwise);

    private static Size2d Size(GoldenCase c, string name) =>
        c.Pair(name) ?? throw new UnsupportedCaseException($"{c.Operator}: attribute '{name}' is missing");
}
