namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Mean over the last dimension, which stays with extent 1.</summary>
    public static Tensor MeanLast(Tensor x) =>
        throw new NotImplementedException();

    /// <summary>Maximum over the last dimension, which stays with extent 1.</summary>
    public static Tensor MaxLast(Tensor x) =>
        throw new NotImplementedException();

    /// <summary>Mean over dimension 1 of x (B, L, C): (B, C).</summary>
    public static Tensor MeanTokens(Tensor x) =>
        throw new NotImplementedException();
}
