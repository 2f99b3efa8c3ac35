using Mamba.Core.Kernels.Elementwise;

namespace Mamba.Core;

// Comparisons return masks of 0 and 1 for Where and MaskedFill; nothing is recorded.
public static unsafe partial class Ops
{
    /// <summary>
    /// 1 where a &gt; b, 0 elsewhere, with NumPy's broadcasting (torch.gt); false where either is NaN. No gradient flows through it.
    /// </summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">A shape that broadcasts with a's.</param>
    /// <returns>The broadcast shape.</returns>
    /// <exception cref="ShapeException">The shapes do not broadcast.</exception>
    public static Tensor Greater(Tensor a, Tensor b) => Compare<IsGreater>("Greater", a, b);

    /// <summary>1 where a &gt;= b, 0 elsewhere (torch.ge).</summary>
    /// <inheritdoc cref="Greater(Tensor, Tensor)"/>
    public static Tensor GreaterOrEqual(Tensor a, Tensor b) => Compare<IsGreaterOrEqual>("GreaterOrEqual", a, b);

    /// <summary>1 where a &lt; b, 0 elsewhere (torch.lt).</summary>
    /// <inheritdoc cref="Greater(Tensor, Tensor)"/>
    public static Tensor Less(Tensor a, Tensor b) => Compare<IsGreater>("Less", b, a);

    /// <summary>1 where a &lt;= b, 0 elsewhere (torch.le).</summary>
    /// <inheritdoc cref="Greater(Tensor, Tensor)"/>
    public static Tensor LessOrEqual(Tensor a, Tensor b) => Compare<IsGreaterOrEqual>("LessOrEqual", b, a);

    /// <summary>1 where a = b, 0 elsewhere (torch.eq).</summary>
    /// <inheritdoc cref="Greater(Tensor, Tensor)"/>
    public static Tensor Equal(Tensor a, Tensor b) => Compare<IsEqual>("Equal", a, b);

    /// <summary>1 where a and b differ, 0 elsewhere; NaN differs from everything (torch.ne).</summary>
    /// <inheritdoc cref="Greater(Tensor, Tensor)"/>
    public static Tensor NotEqual(Tensor a, Tensor b) => Compare<IsNotEqual>("NotEqual", a, b);

    /// <summary>1 where a &gt; b, 0 elsewhere (torch.gt); false where a or b is NaN. No gradient flows through it.</summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">A constant.</param>
    /// <returns>The shape of a.</returns>
    public static Tensor Greater(Tensor a, float b) => Greater(a, Tensor.Full(b));

    /// <summary>1 where a &gt;= b, 0 elsewhere (torch.ge).</summary>
    /// <inheritdoc cref="Greater(Tensor, float)"/>
    public static Tensor GreaterOrEqual(Tensor a, float b) => GreaterOrEqual(a, Tensor.Full(b));

    /// <summary>1 where a &lt; b, 0 elsewhere (torch.lt).</summary>
    /// <inheritdoc cref="Greater(Tensor, float)"/>
    public static Tensor Less(Tensor a, float b) => Less(a, Tensor.Full(b));

    /// <summary>1 where a &lt;= b, 0 elsewhere (torch.le).</summary>
    /// <inheritdoc cref="Greater(Tensor, float)"/>
    public static Tensor LessOrEqual(Tensor a, float b) => LessOrEqual(a, Tensor.Full(b));

    /// <summary>1 where a = b, 0 elsewhere (torch.eq).</summary>
    /// <inheritdoc cref="Greater(Tensor, float)"/>
    public static Tensor Equal(Tensor a, float b) => Equal(a, Tensor.Full(b));

    /// <summary>1 where a and b differ, 0 elsewhere; NaN differs from all (torch.ne).</summary>
    /// <inheritdoc cref="Greater(Tensor, float)"/>
    public static Tensor NotEqual(Tensor a, float b) => NotEqual(a, Tensor.Full(b));

    private static Tensor Compare<TComparison>(string name, Tensor a, Tensor b) where TComparison : unmanaged, IComparison
    {
        Tensor mask = Combine<Compared<TComparison>>(name, a, b);
        _ = Tape.Needs(a, b); // keeps both reachable while the kernel holds only their addresses
        return mask;
    }
}
