using Mamba.Core;

namespace Mamba.Models.Verification;

// Losses.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_losses = new()
    {
    };
}
