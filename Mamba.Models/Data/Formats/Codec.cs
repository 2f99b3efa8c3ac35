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

    // Two kinds of pixels serve eight kinds of samples: native code has every decoder once for each kind.

    /// <summary>Gray samples of 8 bits.</summary>
    public static byte[] Gray8<TFormat>(byte[] file, Size size) where TFormat : struct, IFormat =>
        Decode<TFormat, Rgba32, byte>(file, size, [0]);

    /// <summary>Gray samples of 16 bits.</summary>
    public static ushort[] Gray16<TFormat>(byte[] file, Size size) where TFormat : struct, IFormat =>
        Decode<TFormat, Rgba64, ushort>(file, size, [0]);

    /// <summary>Gray and opacity of 8 bits, interleaved.</summary>
    public static byte[] GrayAlpha8<TFormat>(byte[] file, Size size) where TFormat : struct, IFormat =>
        Decode<TFormat, Rgba32, byte>(file, size, [0, 3]);

    /// <summary>Gray and opacity of 16 bits, interleaved.</summary>
    public static ushort[] GrayAlpha16<TFormat>(byte[] file, Size size) where TFormat : struct, IFormat =>
        Decode<TFormat, Rgba64, ushort>(file, size, [0, 3]);

    /// <summary>Red, green and blue of 8 bits, interleaved.</summary>
    public static byte[] Rgb8<TFormat>(byte[] file, Size size) where TFormat : struct, IFormat =>
        Decode<TFormat, Rgba32, byte>(file, size, [0, 1, 2]);

    /// <summary>Red, green and blue of 16 bits, interleaved.</summary>
    public static ushort[] Rgb16<TFormat>(byte[] file, Size size) where TFormat : struct, IFormat =>
        Decode<TFormat, Rgba64, ushort>(file, size, [0, 1, 2]);

    /// <summary>Red, green, blue and opacity of 8 bits, interleaved.</summary>
    public static byte[] Rgba8<TFormat>(byte[] file, Size size) where TFormat : struct, IFormat =>
        Decode<TFormat, Rgba32, byte>(file, size, [0, 1, 2, 3]);

    /// <summary>Red, green, blue and opacity of 16 bits, interleaved.</summary>
    public static ushort[] Rgba16<TFormat>(byte[] file, Size size) where TFormat : struct, IFormat =>
        Decode<TFormat, Rgba64, ushort>(file, size, [0, 1, 2, 3]);

    /// <summary>Decodes a picture and keeps some samples of each pixel.</summary>
    private static TSample[] Decode<TFormat, TPixel, TSample>(byte[] file, Size size, int[] kept)
        where TFormat : struct, IFormat
        where TPixel : unmanaged, IPixel<TPixel>
        where TSample : unmanaged
    {
        GC.KeepAlive(s_kept);
        Configuration configuration = Limited();
        using MemoryStream stream = new(file, writable: false);
        if (TFormat.Detector.Identify(configuration, stream, CancellationToken.None) is not { } info
            || (info.Width, info.Height) != size)
            throw new InvalidDataException($"the decoder finds another size than {size.Width} x {size.Height}, which the header says.");
        stream.Position = 0;
        using Image<TPixel> image = TFormat.Decode<TPixel>(configuration, stream);
        TSample[] samples = new TSample[size.Width * size.Height * kept.Length];
        // Row by row: a large picture fits into memory twice.
        image.ProcessPixelRows(rows =>
        {
            int length = size.Width * kept.Length;
            for (int y = 0; y < rows.Height; y++)
                Keep<TSample>(MemoryMarshal.Cast<TPixel, TSample>(rows.GetRowSpan(y)), kept, samples.AsSpan(y * length, length));
        });
        return samples;
    }

    private static void Keep<TSample>(ReadOnlySpan<TSample> row, int[] kept, Span<TSample> samples)
    {
        if (row.Length == samples.Length)
        {
            row.CopyTo(samples);
            return;
        }
        int perPixel = row.Length * kept.Length / samples.Length;
        for (int x = 0, s = 0; x < row.Length; x += perPixel)
        {
            foreach (int channel in kept) samples[s++] = row[x + channel];
        }
    }

    /// <summary>
    /// A format and its decoder's settings. A type argument names it, so native code holds each decoder for those pixels alone that are
    /// asked of it: a call through <see cref="IImageDecoder"/> would compile every decoder for every kind of pixel.
    /// </summary>
    public interface IFormat
    {
        /// <summary>Reads the size of a picture.</summary>
        static abstract IImageInfoDetector Detector { get; }

        /// <summary>Decodes a picture.</summary>
        static abstract Image<TPixel> Decode<TPixel>(Configuration configuration, Stream stream) where TPixel : unmanaged, IPixel<TPixel>;
    }

    /// <summary>PNG.</summary>
    public readonly struct Png : IFormat
    {
        private static readonly PngDecoder s_decoder = new() { IgnoreMetadata = true };

        public static IImageInfoDetector Detector => s_decoder;

        public static Image<TPixel> Decode<TPixel>(Configuration configuration, Stream stream) where TPixel : unmanaged, IPixel<TPixel> =>
            s_decoder.Decode<TPixel>(configuration, stream, CancellationToken.None);
    }

    /// <summary>JPEG.</summary>
    public readonly struct Jpeg : IFormat
    {
        private static readonly JpegDecoder s_decoder = new() { IgnoreMetadata = true };

        public static IImageInfoDetector Detector => s_decoder;

        public static Image<TPixel> Decode<TPixel>(Configuration configuration, Stream stream) where TPixel : unmanaged, IPixel<TPixel> =>
            s_decoder.Decode<TPixel>(configuration, stream, CancellationToken.None);
    }

    /// <summary>TIFF, its first page.</summary>
    public readonly struct Tiff : IFormat
    {
        private static readonly TiffDecoder s_decoder = new() { IgnoreMetadata = true, DecodingMode = FrameDecodingMode.First };

        public static IImageInfoDetector Detector => s_decoder;

        public static Image<TPixel> Decode<TPixel>(Configuration configuration, Stream stream) where TPixel : unmanaged, IPixel<TPixel> =>
            s_decoder.Decode<TPixel>(configuration, stream, CancellationToken.None);
    }

    /// <summary>BMP.</summary>
    public readonly struct Bmp : IFormat
    {
        private static readonly BmpDecoder s_decoder = new();

        public static IImageInfoDetector Detector => s_decoder;

        public static Image<TPixel> Decode<TPixel>(Configuration configuration, Stream stream) where TPixel : unmanaged, IPixel<TPixel> =>
            s_decoder.Decode<TPixel>(configuration, stream, CancellationToken.None);
    }

    /// <summary>GIF, its first frame.</summary>
    public readonly struct Gif : IFormat
    {
        private static readonly GifDecoder s_decoder = new() { IgnoreMetadata = true, MaxFrames = 1 };

        public static IImageInfoDetector Detector => s_decoder;

        public static Image<TPixel> Decode<TPixel>(Configuration configuration, Stream stream) where TPixel : unmanaged, IPixel<TPixel> =>
            s_decoder.Decode<TPixel>(configuration, stream, CancellationToken.None);
    }

    /// <summary>TGA.</summary>
    public readonly struct Tga : IFormat
    {
        private static readonly TgaDecoder s_decoder = new();

        public static IImageInfoDetector Detector => s_decoder;

        public static Image<TPixel> Decode<TPixel>(Configuration configuration, Stream stream) where TPixel : unmanaged, IPixel<TPixel> =>
            s_decoder.Decode<TPixel>(configuration, stream, CancellationToken.None);
    }

    /// <summary>WebP.</summary>
    public readonly struct Webp : IFormat
    {
        private static readonly WebpDecoder s_decoder = new() { IgnoreMetadata = true };

        public static IImageInfoDetector Detector => s_decoder;

        public static Image<TPixel> Decode<TPixel>(Configuration configuration, Stream stream) where TPixel : unmanaged, IPixel<TPixel> =>
            s_decoder.Decode<TPixel>(configuration, stream, CancellationToken.None);
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
