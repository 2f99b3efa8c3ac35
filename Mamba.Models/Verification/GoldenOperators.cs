using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Verification;

/// <summary>
/// The operators by the names that golden files use. Inputs come, and results go, in PyTorch's layout; what lies between is channels last, and the
/// exchange is a recorded <see cref="Ops.Permute"/>, so that gradients come back in PyTorch's layout by themselves.
/// </summary>
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_base = new()
    {
        ["conv1d"] = c => [Convolution1d(c)],
        ["conv2d"] = c => [Image(c, x => Ops.Conv2d(
            x, c.In("weight"), c.Optional("bias"), c.Int("stride", 1), c.Int("padding", 0), c.Int("dilation", 1), c.Int("groups", 1)))],
        ["conv_transpose2d"] = c => [TransposedConvolution(c)],
        ["batch_norm2d"] = BatchNorm,
        ["group_norm"] = c => [Image(c, x => Ops.GroupNorm(x, c.Int("groups"), c.Optional("weight"), c.Optional("bias"), c.Float("eps", 1e-5f)))],
        ["instance_norm2d"] = c => [Image(c, x => Ops.InstanceNorm(x, c.Optional("weight"), c.Optional("bias"), c.Float("eps", 1e-5f)))],
        ["layer_norm"] = c => [LayerNorm(c)],
        ["rms_norm"] = c => [Ops.RmsNorm(c.In("x"), c.Optional("weight") ?? Ones(c.In("x").Shape[-1]), c.Float("eps", 1e-5f))],
        ["max_pool2d"] = c => [MaxPool(c)],
        ["adaptive_avg_pool2d"] = c => [Image(c, x => Ops.AdaptiveAvgPool2d(x, Size(c, "output").Height, Size(c, "output").Width))],
        ["interpolate_bilinear"] = c => [Image(c, x => Ops.ResizeBilinear(x, Size(c, "size").Height, Size(c, "size").Width, c.Bool("align_corners")))],
        ["selective_scan"] = SelectiveScan,
        ["mamba"] = c => [MambaBlock(c)],
    };

    /// <summary>Runs the operator of a case.</summary>
    /// <returns>out.0, out.1, ... in PyTorch's layout.</returns>
    /// <exception cref="UnsupportedCaseException">The operator, or something asked of it, is not implemented.</exception>
    /// <exception cref="ShapeException">The operator refuses its inputs.</exception>
    public static Tensor[] Run(GoldenCase c)
    {
        Func<GoldenCase, Tensor[]> run = Find(c.Operator) ?? throw new UnsupportedOperatorException(c.Operator);
        Tensor[] outputs = run(c);
        c.RequireAllRead();
        return outputs;
    }

    private static Func<GoldenCase, Tensor[]>? Find(string name)
    {
        foreach (Dictionary<string, Func<GoldenCase, Tensor[]>> family in (ReadOnlySpan<Dictionary<string, Func<GoldenCase, Tensor[]>>>)
            [s_images, s_elementwise, s_reductions, s_products, s_losses, s_training, s_base])
            if (family.TryGetValue(name, out Func<GoldenCase, Tensor[]>? run)) return run;
        return null;
    }

    private static Tensor Convolution1d(GoldenCase c)
    {
        Tensor weight = c.In("weight");
        Tensor? bias = c.Optional("bias");
        int stride = c.Int("stride", 1), padding = c.Int("padding", 0), dilation = c.Int("dilation", 1), groups = c.Int("groups", 1);
        if (!c.Bool("causal"))
        {
            c.Only("activation", "\"none\"");
            return Image(c, x => Ops.Conv1d(x, weight, bias, stride, padding, dilation, groups));
        }
        string activation = c.Text("activation") ?? "none";
        int channels = c.In("x").Shape[1], window = weight.Shape[-1];
        if (stride != 1 || dilation != 1 || groups != channels || padding != window - 1 || activation is not ("silu" or "none"))
            throw new UnsupportedCaseException($"conv1d: causal with stride {stride}, dilation {dilation}, padding {padding}, groups {groups}, activation {activation}");
        return Image(c, x => Ops.CausalConv1d(x, weight, bias, silu: activation == "silu"));
    }

    private static Tensor TransposedConvolution(GoldenCase c)
    {
        c.Only("output_padding", "0");
        c.Only("dilation", "1");
        c.Only("groups", "1");
        return Image(c, x => Ops.ConvTranspose2d(x, c.In("weight"), c.Optional("bias"), c.Int("stride", 1), c.Int("padding", 0)));
    }

    private static Tensor[] BatchNorm(GoldenCase c)
    {
        int channels = c.In("x").Shape[1];
        bool tracked = c.Has("running_mean"); // else PyTorch's track_running_stats=False
        Tensor mean = tracked ? c.In("running_mean") : Tensor.Zeros(channels), variance = tracked ? c.In("running_var") : Ones(channels);
        Tensor y = Image(c, x => Ops.BatchNorm(
            x, c.Optional("weight") ?? Ones(channels), c.Optional("bias") ?? Tensor.Zeros(channels), mean, variance,
            c.Bool("training") || !tracked, c.Float("momentum", 0.1f), c.Float("eps", 1e-5f)));
        return tracked ? [y, mean, variance] : [y];
    }

    private static Tensor LayerNorm(GoldenCase c)
    {
        Tensor x = c.In("x");
        Tensor? weight = c.Optional("weight"), bias = c.Optional("bias");
        // PyTorch may normalise over several trailing dimensions, which are one here.
        int columns = weight?.Count ?? x.Shape[-1];
        return Ops.LayerNorm(x.Reshape(-1, columns), weight?.Reshape(-1), bias?.Reshape(-1), c.Float("eps", 1e-5f)).Reshape(x.Shape);
    }

    private static Tensor MaxPool(GoldenCase c)
    {
        c.Only("dilation", "1");
        c.Only("ceil_mode", "false");
        int kernel = c.Int("kernel");
        return Image(c, x => Ops.MaxPool2d(x, kernel, c.Int("stride", kernel), c.Int("padding", 0)));
    }

    private static Tensor[] SelectiveScan(GoldenCase c)
    {
        Tensor b = c.In("B"), matrix = c.In("C");
        int groups = c.Int("groups", 0); // 0: one for all channels, without a dimension of its own
        if (groups != (b.Shape.Rank == 4 ? b.Shape[1] : 0)) throw new UnsupportedCaseException($"selective_scan: groups = {groups} with B {b.Shape}");
        ScanOptions options = new()
        {
            D = c.Optional("D"),
            Z = c.Optional("z") is { } gate ? ChannelsLast(gate) : null,
            DeltaBias = c.Optional("delta_bias"),
            DeltaSoftplus = c.Bool("delta_softplus"),
            InitialState = c.Optional("initial_state"),
        };
        (Tensor y, Tensor state) = Ops.SelectiveScan(
            ChannelsLast(c.In("u")), ChannelsLast(c.In("delta")), c.In("A"), TokensFirst(b), TokensFirst(matrix), options);
        return [ChannelsFirst(y), state];
    }

    private static Tensor MambaBlock(GoldenCase c)
    {
        MambaConfig config = new(c.Int("d_model"), c.Int("d_state", 16), c.Int("d_conv", 4), c.Int("expand", 2))
        {
            Bidirectional = c.Bool("bidirectional"),
            DivideOut = c.Bool("divide_out"),
        };
        ParameterStore parameters = new();
        MambaMixer mixer = new(new Scope(parameters), config);
        foreach ((string name, Tensor parameter) in parameters.All) c.Load(name, parameter);
        return mixer.Forward(c.In("x"));
    }

    private static (int Height, int Width) Size(GoldenCase c, string name) =>
        c.Pair(name) ?? throw new UnsupportedCaseException($"{c.Operator}: attribute '{name}' is missing");

    private static Tensor Ones(int count) => Tensor.Full(1f, count);

    /// <summary>An operator of the input x, (B, C, ...), that works channels last.</summary>
    private static Tensor Image(GoldenCase c, Func<Tensor, Tensor> op) => ChannelsFirst(op(ChannelsLast(c.In("x"))));

    /// <summary>(B, C, ...) to (B, ..., C).</summary>
    private static Tensor ChannelsLast(Tensor x) => x.Shape.Rank < 3 ? x : Ops.Permute(x, [0, .. Enumerable.Range(2, x.Shape.Rank - 2), 1]);

    /// <summary>(B, ..., C) to (B, C, ...).</summary>
    private static Tensor ChannelsFirst(Tensor x) => x.Shape.Rank < 3 ? x : Ops.Permute(x, [0, x.Shape.Rank - 1, .. Enumerable.Range(1, x.Shape.Rank - 2)]);

    /// <summary>(B, N, L) to (B, L, N), and (B, G, N, L) to (B, L, G, N).</summary>
    private static Tensor TokensFirst(Tensor x) => ChannelsFirst(x);
}
