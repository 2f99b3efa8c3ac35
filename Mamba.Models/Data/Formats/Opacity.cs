namespace Mamba.Models.Data.Formats;

/// <summary>Samples whose last channel is an opacity.</summary>
internal static class Opacity
{
    /// <summary>Takes interleaved samples apart.</summary>
    /// <param name="samples">Colors and opacity of each pixel.</param>
    /// <param name="channels">How many those are together.</param>
    /// <returns>Colors, and opacities.</returns>
    public static (T[] Colors, T[] Opacities) Split<T>(T[] samples, int channels)
    {
        T[] opacities = new T[samples.Length / channels], colors = new T[samples.Length - opacities.Length];
        for (int i = 0, from = 0, to = 0; i < opacities.Length; i++)
        {
            for (int c = 1; c < channels; c++) colors[to++] = samples[from++];
            opacities[i] = samples[from++];
        }
        return (colors, opacities);
    }
}
