using Mamba.Core;

namespace Mamba.Models.Verification;

// Convolutions, pools, resizing, padding and norms of images.
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

        ["batch_norm1d"] = BatchNorm,
        ["batch_norm2d"] = BatchNorm,
        ["group_norm"] = c => [Image(c, x => Ops.GroupNorm(x, c.Int("groups"), c.Optional("weight"), c.Optional("bias"), c.Float("eps",
            1e-5f)))],
        ["instance_norm2d"] = c => [Image(c, x => Ops.InstanceNorm(x, c.Optional("weight"), c.Optional("bias"), c.Float("eps", 1e-5f)))],
        ["layer_norm"] = c => [LayerNorm(c)],
        ["local_response_norm"] = c =>
            [Image(c, x => Ops.LocalResponseNorm(x, c.Int("size"), c.Float("alpha", 1e-4f), c.Float("beta", 0.75f), c.Float("k", 1f)))],
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

    private static Tensor[] BatchNorm(GoldenCase c)
    {
        Tensor? mean = c.Optional("running_mean"), variance = c.Optional("running_var");
        BatchNormOptions options = new() { Training = c.Bool("training"), Momentum = c.Float("momentum", 0.1f), Eps = c.Float("eps",
            1e-5f) };
        Tensor y = Image(c, x => Ops.BatchNorm(x, c.Optional("weight"), c.Optional("bias"), mean, variance, options));
        return mean is { } means && variance is { } variances ? [y, means, variances] : [y];
    }

    private static Tensor LayerNorm(GoldenCase c)
    {
        Tensor x = c.In("x");
        Tensor? weight = c.Optional("weight"), bias = c.Optional("bias");
        float eps = c.Float("eps", 1e-5f);
        int axis = c.Int("axis", -1), dims = c.Int("dims", weight?.Shape.Rank ?? 1), columns = 1;
        if (axis == 1) return Image(c, image => Ops.LayerNorm(image, weight, bias, eps));
        if (axis != -1) throw new UnsupportedCaseException($"layer_norm: axis {axis}");
        // PyTorch may normalize over several trailing dimensions, which are one here.
        for (int i = 1; i <= dims; i++) columns *= x.Shape[-i];
        return Ops.LayerNorm(x.Reshape(-1, columns), weight?.Reshape(-1), bias?.Reshape(-1), eps).Reshape(x.Shape);
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
