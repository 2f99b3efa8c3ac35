using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Mamba.Models.Data.Loading;

/// <summary>What reading a sample once tells about it.</summary>
/// <param name="Channels">1 or 3.</param>
/// <param name="Pixels">A hash of size and pixels: equal for copies of one picture, whatever their files are called.</param>
/// <param name="IsPlain">Whether all pixels are the same, as in the empty slices of a scan; such pictures are no copies of each
/// other.</param>
public sealed record SampleFacts(int Channels, UInt128 Pixels, bool IsPlain)
{
    /// <summary>A hash of the truth: equal for equal masks or classes.</summary>
    public UInt128 Truth { get; init; }

    /// <summary>Whether the picture has 16 bits per channel.</summary>
    public bool Is16Bit { get; init; }

    /// <summary>The bits that its largest value needs, 8 at least.</summary>
    public int UsedBits { get; init; } = 8;

    /// <summary>The smallest and the largest value of a picture of 16 bits, as its file has them; 0 for others.</summary>
    internal (int Low, int High) Values { get; init; }

    /// <summary>Whether its file has signed numbers.</summary>
    internal bool IsSigned { get; init; }

    /// <summary>The facts of a sample.</summary>
    /// <param name="sample">The sample.</param>
    /// <returns>The facts.</returns>
    public static SampleFacts Of(Sample sample)
    {
        Image image = sample.Image;
        XxHash128 hash = new();
        ReadOnlySpan<int> size = [image.Width, image.Height, image.Channels];
        hash.Append(MemoryMarshal.AsBytes(size));
        ReadOnlySpan<byte> bytes = image.Is16Bit ? MemoryMarshal.AsBytes(image.Samples16.AsSpan()) : image.Pixels;
        hash.Append(bytes);
        bool plain = image.Is16Bit ? !image.Samples16.AsSpan().ContainsAnyExcept(image.Samples16[0])
            : !image.Pixels.AsSpan().ContainsAnyExcept(image.Pixels[0]);
        (int low, int high) = image.Is16Bit ? image.UsedRange : (0, 0);
        return new SampleFacts(image.Channels, hash.GetCurrentHashAsUInt128(), plain)
        {
            Truth = sample is SegmentationSample masked ? XxHash128.HashToUInt128(masked.Mask.Classes)
                : sample is ClassificationSample { Label: var label } ? (UInt128)label : default,
            Is16Bit = image.Is16Bit,
            UsedBits = image.Is16Bit ? image.UsedBits : 8,
            Values = (low + image.Origin, high + image.Origin),
            IsSigned = image.Origin != 0,
        };
    }
}
