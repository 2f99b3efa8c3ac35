using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Mamba.Models.Data.Loading;

/// <summary>What reading a sample once tells about it.</summary>
/// <param name="Channels">1 or 3.</param>
/// <param name="Pixels">A hash of size and pixels: equal for copies of one picture, whatever their files are called.</param>
/// <param name="IsPlain">Whether all pixels are the same, as in the empty slices of a scan; such pictures are no copies of each other.</param>
public sealed record SampleFacts(int Channels, UInt128 Pixels, bool IsPlain)
{
    /// <summary>The facts of a sample.</summary>
    /// <param name="sample">The sample.</param>
    /// <returns>The facts.</returns>
    public static SampleFacts Of(Sample sample)
    {
        Image image = sample.Image;
        XxHash128 hash = new();
        ReadOnlySpan<int> size = [image.Width, image.Height, image.Channels];
        hash.Append(MemoryMarshal.AsBytes(size));
        hash.Append(image.Pixels);
        ReadOnlySpan<byte> pixels = image.Pixels;
        return new SampleFacts(image.Channels, hash.GetCurrentHashAsUInt128(), !pixels[image.Channels..].ContainsAnyExcept(pixels[0]));
    }
}
