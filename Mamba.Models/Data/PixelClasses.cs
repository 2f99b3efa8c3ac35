namespace Mamba.Models.Data;

/// <summary>From probabilities to the class of each pixel.</summary>
public static class PixelClasses
{
    /// <summary>A mask: one value where the probability is at least the threshold, 0 elsewhere. A NaN is below every threshold.</summary>
    /// <param name="probabilities">One for each pixel.</param>
    /// <param name="threshold">From 0 to 1.</param>
    /// <param name="value">The value of a pixel inside.</param>
    /// <param name="to">One for each pixel.</param>
    public static void AtLeast(ReadOnlySpan<float> probabilities, float threshold, byte value, Span<byte> to)
    {
        for (int i = 0; i < probabilities.Length; i++) to[i] = probabilities[i] >= threshold ? value : (byte)0;
    }

    /// <summary>The most probable class of each pixel, the first of equals; a NaN counts as the smallest.</summary>
    /// <param name="probabilities">(Pixels, Classes).</param>
    /// <param name="classes">Classes.</param>
    /// <param name="to">One for each pixel.</param>
    public static void MostProbable(ReadOnlySpan<float> probabilities, int classes, Span<byte> to)
    {
        for (int i = 0; i < to.Length; i++)
        {
            ReadOnlySpan<float> pixel = probabilities.Slice(i * classes, classes);
            int best = 0;
            for (int c = 1; c < classes; c++)
                if (pixel[c] > pixel[best] || (float.IsNaN(pixel[best]) && !float.IsNaN(pixel[c]))) best = c;
            to[i] = (byte)best;
        }
    }
}
