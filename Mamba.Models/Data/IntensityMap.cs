namespace Mamba.Models.Data;

/// <summary>What an <see cref="Intensity"/> does to one picture or volume: sample * Scale + Shift.</summary>
/// <param name="Scale">The factor of a sample.</param>
/// <param name="Shift">What is added then.</param>
/// <param name="Clamp">Whether the result is clamped to 0 to 1, and normalized then; a z-score is neither.</param>
public readonly record struct IntensityMap(float Scale, float Shift, bool Clamp)
{
    /// <summary>Maps a sample.</summary>
    /// <param name="sample">As <see cref="Image.Pixels"/> or <see cref="Image.Samples16"/> hold it.</param>
    /// <returns>0 to 1 if clamped.</returns>
    public float Apply(int sample) => Clamp ? Math.Clamp(sample * Scale + Shift, 0, 1) : sample * Scale + Shift;
}
