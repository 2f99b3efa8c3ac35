using Mamba.Core;

namespace Mamba.Models.Verification;

// Convolutions, pools, resizing, padding and norms of images.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_images = new()
    {
    };
}
