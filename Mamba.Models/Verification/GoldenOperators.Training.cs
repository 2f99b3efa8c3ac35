using Mamba.Core;

namespace Mamba.Models.Verification;

// Optimizers, schedules and clipping.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_training = new()
    {
    };
}
