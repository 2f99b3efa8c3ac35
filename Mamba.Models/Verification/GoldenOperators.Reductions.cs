using Mamba.Core;

namespace Mamba.Models.Verification;

// Reductions over axes, indexing and layout.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_reductions = new()
    {
    };
}
