using System.Buffers;
using System.Runtime.InteropServices;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats;
using SixLabors.ImageSharp.Formats.Bmp;
using SixLabors.ImageSharp.Formats.Gif;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.Formats.Png;
using SixLabors.ImageSharp.Formats.Tga;
using SixLabors.ImageSharp.Formats.Tiff;
using SixLabors.ImageSharp.Formats.Webp;
using SixLabors.ImageSharp.Memory;
using SixLabors.ImageSharp.Metadata;
using SixLabors.ImageSharp.Metadata.Profiles.Exif;
using SixLabors.ImageSharp.PixelFormats;
using Size = (int Width, int Height);

namespace Mamba.Models.Data.Formats;

/// <summary>
/// The decoders of ImageSharp: the only file that knows them. What comes here has been checked by a reader of its format: the size is
/// known, and all pixels are in the file.
/// </summary>
internal static class Codec
{
    // The TIFF decoder asks for this array's type at run time; without a use of it, native code has none.
    private static readonly ExifDataType[] s_kept = new ExifDataType[1];

    private static (int MaxPixels, Configuration Configuration) s_limited;

    public static readonly IImageDecoder Png = new PngDecoder { IgnoreMetadata = true };

    public static readonly IImageDecoder Jpeg = new JpegDecoder { IgnoreMetadata = true };

    public static readonly IImageDecoder Tiff = new TiffDecoder { IgnoreMetadata = true, DecodingMode = FrameDecodingMode.First };

    public static readonly IImageDecoder Bmp = new BmpDecoder();

    public static readonly IImageDecoder Gif = new GifDecoder { IgnoreMetadata = true, MaxFrames = 1 };

    public static readonly IImageDecoder Tga = new TgaDecoder();

    public static readonly IImageDecoder Webp = new WebpDecoder { IgnoreMetadata = true };

    /// <summary>Gray samples of 8 bits.</summary>
    public static byte[] Gray8(IImageDecoder decoder, byte[] file, Size size) => Decode<L8, byte>(decoder, file, size, 1);

    /// <summary>Gray samples of 16 bits.</summary>
    public static ushort[] Gray16(IImageDecoder decoder, byte[] file, Size size) => Decode<L16, ushort>(decoder, file, size, 1);

    /// <summary>Gray and opacity of 8 bits, interleaved.</summary>
    public static byte[] GrayAlpha8(IImageDecoder decoder, byte[] file, Size size) => Decode<La16, byte>(decoder, file, size, 2);

    /// <summary>Gray and opacity of 16 bits, interleaved.</summary>
    public static ushort[] GrayAlpha16(IImageDecoder decoder, byte[] file, Size size) => Decode<La32, ushort>(decoder, file, size, 2);

    /// <summary>Red, green and blue of 8 bits, interleaved.</summary>
    public static byte[] Rgb8(IImageDecoder decoder, byte[] file, Size size) => Decode<Rgb24, byte>(decoder, file, size, 3);

    /// <summary>Red, green and blue of 16 bits, interleaved.</summary>
    public static ushort[] Rgb16(IImageDecoder decoder, byte[] file, Size size) => Decode<Rgb48, ushort>(decoder, file, size, 3);

    /// <summary>Red, green, blue and opacity of 8 bits, interleaved.</summary>
    public static byte[] Rgba8(IImageDecoder decoder, byte[] file, Size size) => Decode<Rgba32, byte>(decoder, file, size, 4);

    /// <summary>Red, green, blue and opacity of 16 bits, interleaved.</summary>
    public static ushort[] Rgba16(IImageDecoder decoder, byte[] file, Size size) => Decode<Rgba64, ushort>(decoder, file, size, 4);

    private static TSample[] Decode<TPixel, TSample>(IImageDecoder decoder, byte[] file, Size size, int samplesPerPixel)
        where TPixel : unmanaged, IPixel<TPixel>
        where TSample : unmanaged
    {
        GC.KeepAlive(s_kept);
        Configuration configuration = Limited();
        using MemoryStream stream = new(file, writable: false);
        if (((IImageInfoDetector)decoder).Identify(configuration, stream, CancellationToken.None) is not { } info
            || (info.Width, info.Height) != size)
            throw new InvalidDataException($"the decoder finds another size than {size.Width} x {size.Height}, which the header says.");
        stream.Position = 0;
        using Image<TPixel> image = decoder.Decode<TPixel>(configuration, stream, CancellationToken.None);
        TSample[] samples = new TSample[size.Width * size.Height * samplesPerPixel];
        image.CopyPixelDataTo(MemoryMarshal.Cast<TSample, TPixel>(samples.AsSpan()));
        // not by way of pixels: a large picture fits into memory twice
        return samples;
    }

    /// <summary>No buffer may be larger than the largest picture with 8 bytes per pixel and some room for its blocks.</summary>
    private static Configuration Limited()
    {
        (int maxPixels, Configuration configuration) = s_limited;
        if (configuration is not null && maxPixels == Image.MaxPixels) return configuration;
        int megabytes = (int)(8L * Image.MaxPixels >> 20) + 64;
        configuration = new Configuration
        {
            MemoryAllocator = new CleanAllocator(MemoryAllocator.Create(
                new MemoryAllocatorOptions { AllocationLimitMegabytes = megabytes, MaximumPoolSizeMegabytes = 64 })),
            MaxDegreeOfParallelism = 1,
        };
        s_limited = (Image.MaxPixels, configuration);
        return configuration;
    }

    /// <summary>
    /// Clears all memory that decoders ask for: what a damaged file leaves out would otherwise show what was there before.
    /// </summary>
    private sealed class CleanAllocator(MemoryAllocator inner) : MemoryAllocator
    {
        public override IMemoryOwner<T> Allocate<T>(int length, AllocationOptions options = AllocationOptions.None) =>
            inner.Allocate<T>(length, AllocationOptions.Clean);

        public override void ReleaseRetainedResources() => inner.ReleaseRetainedResources();

        protected override int GetBufferCapacityInBytes() => int.MaxValue;
    }
}
