namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Batch normalisation over all but the last dimension: x (..., C).</summary>
    public static Tensor BatchNorm(Tensor x, Tensor weight, Tensor bias, Tensor runningMean, Tensor runningVar, bool training, float momentum = 0.1f, float eps = 1e-5f) =>
        throw new NotImplementedException();

    /// <summary>Group normalisation: x (B, ..., C).</summary>
    public static Tensor GroupNorm(Tensor x, int groups, Tensor? weight = null, Tensor? bias = null, float eps = 1e-5f) =>
        throw new NotImplementedException();

    /// <summary>Instance normalisation: x (B, ..., C), over all but batch and channel.</summary>
    public static Tensor InstanceNorm(Tensor x, Tensor? weight = null, Tensor? bias = null, float eps = 1e-5f) =>
        throw new NotImplementedException();

    /// <summary>Layer normalisation over the last dimension.</summary>
    public static Tensor LayerNorm(Tensor x, Tensor? weight = null, Tensor? bias = null, float eps = 1e-5f) =>
        throw new NotImplementedException();

    /// <summary>Root-mean-square normalisation over the last dimension.</summary>
    public static Tensor RmsNorm(Tensor x, Tensor weight, float eps = 1e-5f) =>
        throw new NotImplementedException();
}
