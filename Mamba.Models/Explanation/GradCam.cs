namespace Mamba.Models.Explanation;

/// <summary>
/// Grad-CAM (Selvaraju et al. 2017, equations 1 and 2): a channel's weight is the mean of its gradient over the image, and the map is the
/// positive part of the weighted sum of the channels.
/// </summary>
internal static class GradCam
{
    /// <summary>The map.</summary>
    /// <param name="features">(pixels, channels).</param>
    /// <param name="gradients">The gradient of the target's score, in the same order.</param>
    /// <param name="channels">How many channels.</param>
    /// <returns>(pixels), none negative.</returns>
    public static float[] Map(ReadOnlySpan<float> features, ReadOnlySpan<float> gradients, int channels)
    {
        int pixels = features.Length / channels;
        double[] weights = new double[channels];
        for (int i = 0; i < gradients.Length; i++) weights[i % channels] += (double)gradients[i] / pixels;
        float[] map = new float[pixels];
        for (int p = 0; p < pixels; p++)
        {
            double sum = 0;
            for (int c = 0; c < channels; c++) sum += weights[c] * features[p * channels + c];
            map[p] = (float)Math.Max(0, sum);
        }
        return map;
    }
}
