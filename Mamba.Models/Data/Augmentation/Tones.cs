namespace Mamba.Models.Data.Augmentation;

/// <summary>Brightness, contrast and gamma; each factor of 1 changes nothing.</summary>
/// <param name="Brightness">Multiplies what a sample stands for: of signed samples, the signed number.</param>
/// <param name="Contrast">Multiplies the distance to the picture's mean.</param>
/// <param name="Gamma">The exponent on a sample's place between the smallest and the largest one of the picture.</param>
internal readonly record struct Tones(double Brightness, double Contrast, double Gamma)
{
    public Image Apply(Image from)
    {
        if (Brightness != 1 || Contrast != 1)
        {
            (double brightness, double contrast) = (Brightness, Contrast);
            double mean = brightness * Samples.Sum(from) / ((long)from.Width * from.Height * from.Channels);
            from = Samples.Map(from, value => mean + contrast * (brightness * value - mean));
        }
        if (Gamma == 1) return from;
        (int low, int high) = Samples.Range(from);
        if (low == high) return from;
        (double dark, double range, double gamma) = (low + from.Origin, high - low, Gamma);
        return Samples.Map(from, value => dark + range * Math.Pow(Math.Clamp((value - dark) / range, 0, 1), gamma));
    }
}
