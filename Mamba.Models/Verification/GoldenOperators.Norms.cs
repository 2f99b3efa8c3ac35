using Mamba.Core;

namespace Mamba.Models.Verification;

// Norms over channels, groups, images and batches.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_norms = new()
    {
        ["batch_norm1d"] = BatchNorm,
        ["batch_norm2d"] = BatchNorm,
        ["group_norm"] = c => [Image(c, x => Ops.GroupNorm(x, c.Int("groups"), c.Optional("weight"), c.Optional("bias"), Epsilon(c)))],
        ["instance_norm2d"] = c => [Image(c, x => Ops.InstanceNorm(x, c.Optional("weight"), c.Optional("bias"), Epsilon(c)))],
        ["layer_norm"] = c => [LayerNorm(c)],
        ["rms_norm"] = c => [Ops.RmsNorm(c.In("x"), c.Optional("weight") ?? Tensor.Full(1f, c.In("x").Shape[-1]), Epsilon(c))],
        ["local_response_norm"] = c =>
            [Image(c, x => Ops.LocalResponseNorm(x, c.Int("size"), c.Float("alpha", 1e-4f), c.Float("beta", 0.75f), c.Float("k", 1f)))],
    };

    private static Tensor[] BatchNorm(GoldenCase c)
    {
        Tensor? mean = c.Optional("running_mean"), variance = c.Optional("running_var");
        BatchNormOptions options = new()
        {
            Training = c.Bool("training") || !c.Has("running_mean"), // as PyTorch's track_running_stats=False
            Momentum = c.Float("momentum", 0.1f),
            Eps = Epsilon(c),
        };
        Tensor y = Image(c, x => Ops.BatchNorm(x, c.Optional("weight"), c.Optional("bias"), mean, variance, options));
        return mean is { } means && variance is { } variances ? [y, means, variances] : [y];
    }

    private static Tensor LayerNorm(GoldenCase c)
    {
        Tensor x = c.In("x");
        Tensor? weight = c.Optional("weight"), bias = c.Optional("bias");
        int axis = c.Int("axis", -1), dims = c.Int("dims", weight?.Shape.Rank ?? 1), columns = 1;
        if (axis == 1) return Image(c, image => Ops.LayerNorm(image, weight, bias, Epsilon(c)));
        if (axis != -1) throw new UnsupportedCaseException($"layer_norm: axis {axis}");
        // PyTorch may normalize over several trailing dimensions, which are one here.
        for (int i = 1; i <= dims; i++) columns *= x.Shape[-i];
        return Ops.LayerNorm(x.Reshape(-1, columns), weight?.Reshape(-1), bias?.Reshape(-1), Epsilon(c)).Reshape(x.Shape);
    }

    private static float Epsilon(GoldenCase c) => c.Float("eps", 1e-5f);
}
