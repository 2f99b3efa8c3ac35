using Mamba.Core;

namespace Mamba.Models.Verification;

/// <summary>
/// The operators by the names that golden files use. Inputs and results have PyTorch's layout; the operators work channels last. A recorded
/// <see cref="Ops.Permute"/> changes the layout, so gradients come back in PyTorch's.
/// </summary>
internal static partial class GoldenOperators
{
    /// <summary>The families of operators, one in each part of this class.</summary>
    private static Dictionary<string, Func<GoldenCase, Tensor[]>>[] Families =>
    [
        s_images, s_norms, s_elementwise, s_reductions, s_indexing, s_products, s_losses, s_stateSpace, s_spectral, s_lti, s_duality,
        s_mamba3, s_training,
    ];

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

    private static Func<GoldenCase, Tensor[]>? Find(string name) =>
        Families.Select(family => family.GetValueOrDefault(name)).FirstOrDefault(run => run is not null);

    /// <summary>An operator of the input x, (B, C, ...), that works channels last.</summary>
    private static Tensor Image(GoldenCase c, Func<Tensor, Tensor> op) => ChannelsFirst(op(ChannelsLast(c.In("x"))));

    /// <summary>(B, C, ...) to (B, ..., C).</summary>
    private static Tensor ChannelsLast(Tensor x) => x.Shape.Rank < 3 ? x : Ops.Permute(x, [0, .. Enumerable.Range(2, x.Shape.Rank - 2), 1]);

    /// <summary>(B, ..., C) to (B, C, ...).</summary>
    private static Tensor ChannelsFirst(Tensor x) =>
        x.Shape.Rank < 3 ? x : Ops.Permute(x, [0, x.Shape.Rank - 1, .. Enumerable.Range(1, x.Shape.Rank - 2)]);
}
