namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>a + b with NumPy's broadcasting.</summary>
    public static Tensor Add(Tensor a, Tensor b) =>
        throw new NotImplementedException();

    /// <summary>a - b with NumPy's broadcasting.</summary>
    public static Tensor Subtract(Tensor a, Tensor b) =>
        throw new NotImplementedException();

    /// <summary>a b with NumPy's broadcasting.</summary>
    public static Tensor Multiply(Tensor a, Tensor b) =>
        throw new NotImplementedException();

    /// <summary>factor x.</summary>
    public static Tensor Scale(Tensor x, float factor) =>
        throw new NotImplementedException();
}
