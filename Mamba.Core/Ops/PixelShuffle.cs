namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Rearranges groups of factor^2 channels into squares of pixels (Shi et al. 2016; PyTorch's pixel_shuffle).</summary>
    /// <param name="x">(B, H, W, C factor^2): the pixels of a result channel are adjacent, row by row, as in PyTorch.</param>
    /// <param name="factor">Side of the squares.</param>
    /// <returns>(B, H factor, W factor, C).</returns>
    /// <exception cref="ShapeException">factor^2 does not divide the channels.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The factor is not positive.</exception>
    public static Tensor PixelShuffle(Tensor x, int factor)
    {
        Check.Rank(x, 4, "PixelShuffle", "(B, H, W, C factor^2)");
        CheckFactor("PixelShuffle", factor);
        Shape s = x.Shape;
        long square = (long)factor * factor, height = (long)s[1] * factor, width = (long)s[2] * factor;
        Check.That(
            s[3] % square == 0 && height <= int.MaxValue && width <= int.MaxValue, "PixelShuffle",
                $"{s} by {factor}; expected channels that factor^2 divides");
        int channels = (int)(s[3] / square);
        Tensor squares = Permute(x.Reshape(s[0], s[1], s[2], channels, factor, factor), 0, 1, 4, 2, 5, 3); // (B, H, factor, W, factor, C)
        return squares.Reshape(s[0], (int)height, (int)width, channels);
    }

    /// <summary>
    /// Rearranges squares of pixels into groups of channels (PyTorch's pixel_unshuffle): the inverse of <see cref="PixelShuffle"/>.
    /// </summary>
    /// <param name="x">(B, H factor, W factor, C).</param>
    /// <param name="factor">Side of the squares.</param>
    /// <returns>(B, H, W, C factor^2).</returns>
    /// <exception cref="ShapeException">The factor does not divide rows and columns.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The factor is not positive.</exception>
    public static Tensor PixelUnshuffle(Tensor x, int factor)
    {
        Check.Rank(x, 4, "PixelUnshuffle", "(B, H factor, W factor, C)");
        CheckFactor("PixelUnshuffle", factor);
        Shape s = x.Shape;
        Check.That(
            s[1] % factor == 0 && s[2] % factor == 0 && (long)factor * factor <= int.MaxValue / Math.Max(1, s[3]), "PixelUnshuffle",
            $"{s} by {factor}; expected rows and columns that it divides");
        int height = s[1] / factor, width = s[2] / factor;
        Tensor groups = Permute(x.Reshape(s[0], height, factor, width, factor, s[3]), 0, 1, 3, 5, 2, 4); // (B, H, W, C, factor, factor)
        return groups.Reshape(s[0], height, width, s[3] * factor * factor);
    }

    private static void CheckFactor(string name, int factor)
    {
        if (factor <= 0) throw new ArgumentOutOfRangeException(nameof(factor), factor, $"{name}: expected a positive factor.");
    }
}
