namespace Mamba.Models.Data.Augmentation;

/// <summary>A range of random factors. They are uniform on a logarithmic scale: halving is as likely as doubling.</summary>
/// <param name="Low">The smallest factor.</param>
/// <param name="High">The largest factor.</param>
public readonly record struct FactorRange(float Low, float High)
{
    /// <summary>The factor 1 alone, which changes nothing.</summary>
    public static FactorRange One => new(1, 1);

    /// <summary>The factor at a place of the range.</summary>
    /// <param name="share">From 0, the smallest, to 1, the largest.</param>
    /// <returns>The factor.</returns>
    public double At(double share) => Low * Math.Pow((double)High / Low, share);
}
