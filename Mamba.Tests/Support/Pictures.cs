using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.InteropServices;
using BitMiracle.LibTiff.Classic;
using JpegLibrary;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;

namespace Mamba.Tests.Support;

/// <summary>Makes picture files of every kind, from their specifications, in a temporary folder.</summary>
internal static class Pictures
{
    /// <summary>A smooth picture with an odd size, so that blocks, rows and bytes are cut at the border.</summary>
    public static Image Smooth(int width, int height, int channels)
    {
        Image image = new(width, height, channels);
        for (int y = 0, at = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                for (int c = 0; c < channels; c++) image.Pixels[at++] = (byte)(128 + 100 * Math.Sin(0.11 * x + c) * Math.Cos(0.07 * y - c));
        return image;
    }

    /// <summary>As <see cref="Smooth"/>, with a number in its first pixel, so that no two are copies.</summary>
    public static Image Marked(int width, int height, int channels, int number)
    {
        Image image = Smooth(width, height, channels);
        image.Pixels[0] = (byte)number;
        return image;
    }

    /// <summary>A mask of 0 and 255: a disc in the middle.</summary>
    public static Image Disc(int width, int height, byte inside = 255)
    {
        Image mask = new(width, height, 1);
        for (int i = 0; i < mask.Pixels.Length; i++)
            if (Math.Pow(i % width - width / 2.0, 2)
                + Math.Pow(i / width - height / 2.0, 2) < width * height / 12.0) mask.Pixels[i] = inside;
        return mask;
    }

    public static Image Random(int width, int height, int channels) =>
        new(width, height, channels, Array.ConvertAll(Numbers.Uniform(width * height * channels, 7, 0f, 256f), v => (byte)v));

    public static byte[] Png(
        int width, int height, int depth, int colorType, int interlace, byte[] rows, byte[]? palette = null,
        CompressionLevel level = CompressionLevel.Fastest)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9], header[12]) = ((byte)depth, (byte)colorType, (byte)interlace);
        MemoryStream packed = new();
        using (ZLibStream zlib = new(packed, level, leaveOpen: true)) zlib.Write(rows);
        byte[] signature = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];
        byte[] plte = palette is null ? [] : Chunk("PLTE"u8, palette);
        return [.. signature, .. Chunk("IHDR"u8, header), .. plte, .. Chunk("IDAT"u8, packed.ToArray()), .. Chunk("IEND"u8, [])];
    }

    public static byte[] Bmp(int width, int height, int bits, bool topDown, byte[] palette, Func<int, int, byte[]> row)
    {
        int stride = (width * bits + 31) / 32 * 4, offset = 54 + palette.Length;
        byte[] file = new byte[offset + stride * height];
        "BM"u8.CopyTo(file);
        void Int(int at, int value) => BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(at), value);
        Int(2, file.Length);
        Int(10, offset);
        Int(14, 40);
        Int(18, width);
        Int(22, topDown ? -height : height);
        Int(26, 1 | bits << 16);
        Int(46, palette.Length / 4);
        palette.CopyTo(file, 54);
        for (int y = 0; y < height; y++) row(y, stride).CopyTo(file, offset + stride * (topDown ? y : height - 1 - y));
        return file;
    }

    /// <summary>An uncompressed TIFF written by hand, its last strip padded to full size as some writers do.</summary>
    public static byte[] PaddedTiff(Image image, int rowsPerStrip)
    {
        int strips = (image.Height + rowsPerStrip - 1) / rowsPerStrip, stripBytes = rowsPerStrip * image.Width * image.Channels;
        MemoryStream file = new();
        BinaryWriter writer = new(file);
        int tables = 8 + strips * stripBytes, bits = tables + strips * 8, directory = bits + 8;
        writer.Write("II*\0"u8);
        writer.Write(directory);
        writer.Write(image.Pixels);
        writer.Write(new byte[strips * stripBytes - image.Pixels.Length]);
        for (int i = 0; i < strips; i++) writer.Write(8 + i * stripBytes);
        for (int i = 0; i < strips; i++) writer.Write(stripBytes);
        for (int i = 0; i < 4; i++) writer.Write((short)8);
        (int Tag, int Type, int Count, int Value)[] entries =
        [
            (256, 4, 1, image.Width), (257, 4, 1, image.Height), (258, 3, image.Channels, image.Channels == 1 ? 8 : bits), (259, 3, 1, 1),
            (262, 3, 1, image.Channels == 1 ? 1 : 2), (273, 4, strips, strips == 1 ? 8 : tables), (277, 3, 1, image.Channels),
            (278, 4, 1, rowsPerStrip),
            (279, 4, strips, strips == 1 ? stripBytes : tables + 4 * strips),
        ];
        writer.Write((short)entries.Length);
        foreach ((int tag, int type, int count, int value) in entries)
        {
            writer.Write((short)tag);
            writer.Write((short)type);
            writer.Write(count);
            writer.Write(value);
        }
        writer.Write(0);
        return file.ToArray();
    }

    /// <summary>A TIFF by LibTiff: any compression and depth; rows are given packed.</summary>
    public static byte[] Tiff(
        int width, int height, int samples, int bits, Photometric photometric, Compression compression, Func<int, byte[]> row,
        int rowsPerStrip = 11, bool differences = false)
    {
        MemoryStream file = new();
        using (BitMiracle.LibTiff.Classic.Tiff tiff = BitMiracle.LibTiff.Classic.Tiff.ClientOpen("test", "w", file, new TiffStream()))
        {
            tiff.SetField(TiffTag.IMAGEWIDTH, width);
            tiff.SetField(TiffTag.IMAGELENGTH, height);
            tiff.SetField(TiffTag.SAMPLESPERPIXEL, samples);
            tiff.SetField(TiffTag.BITSPERSAMPLE, bits);
            tiff.SetField(TiffTag.PHOTOMETRIC, photometric);
            tiff.SetField(TiffTag.COMPRESSION, compression);
            tiff.SetField(TiffTag.PLANARCONFIG, PlanarConfig.CONTIG);
            if (differences) tiff.SetField(TiffTag.PREDICTOR, Predictor.HORIZONTAL);
            tiff.SetField(TiffTag.ROWSPERSTRIP, rowsPerStrip);
            if (samples is 2 or 4) tiff.SetField(TiffTag.EXTRASAMPLES, 1, new short[] { 2 });
            for (int y = 0; y < height; y++) tiff.WriteScanline(row(y), y);
        }
        return file.ToArray();
    }

    /// <summary>A TIFF of several gray pages, by LibTiff.</summary>
    public static byte[] TiffStack(int width, int height, byte[][] pages)
    {
        MemoryStream file = new();
        using (BitMiracle.LibTiff.Classic.Tiff tiff = BitMiracle.LibTiff.Classic.Tiff.ClientOpen("test", "w", file, new TiffStream()))
            foreach (byte[] page in pages)
            {
                tiff.SetField(TiffTag.IMAGEWIDTH, width);
                tiff.SetField(TiffTag.IMAGELENGTH, height);
                tiff.SetField(TiffTag.SAMPLESPERPIXEL, 1);
                tiff.SetField(TiffTag.BITSPERSAMPLE, 8);
                tiff.SetField(TiffTag.PHOTOMETRIC, Photometric.MINISBLACK);
                tiff.SetField(TiffTag.ROWSPERSTRIP, height);
                for (int y = 0; y < height; y++) tiff.WriteScanline(page[(y * width)..(y * width + width)], y);
                tiff.WriteDirectory();
            }
        return file.ToArray();
    }

    /// <summary>
    /// A color TIFF by LibTiff in a rare form: 16 bits, differences by LZW, the samples in planes; or tiles with a palette of four bits.
    /// </summary>
    public static byte[] SpecialTiff(Image image, bool tiled)
    {
        MemoryStream file = new();
        using (BitMiracle.LibTiff.Classic.Tiff tiff = BitMiracle.LibTiff.Classic.Tiff.ClientOpen("test", "w", file, new TiffStream()))
        {
            tiff.SetField(TiffTag.IMAGEWIDTH, image.Width);
            tiff.SetField(TiffTag.IMAGELENGTH, image.Height);
            tiff.SetField(TiffTag.COMPRESSION, tiled ? Compression.ADOBE_DEFLATE : Compression.LZW);
            tiff.SetField(TiffTag.SAMPLESPERPIXEL, tiled ? 1 : 3);
            tiff.SetField(TiffTag.BITSPERSAMPLE, tiled ? 4 : 16);
            tiff.SetField(TiffTag.PHOTOMETRIC, tiled ? Photometric.PALETTE : Photometric.RGB);
            tiff.SetField(TiffTag.PLANARCONFIG, tiled ? PlanarConfig.CONTIG : PlanarConfig.SEPARATE);
            if (tiled)
            {
                ushort[] ramp = [.. Enumerable.Range(0, 16).Select(i => (ushort)(i * 0x1111))];
                tiff.SetField(TiffTag.COLORMAP, ramp, (ushort[])[.. ramp.Reverse()], ramp);
                tiff.SetField(TiffTag.TILEWIDTH, 16);
                tiff.SetField(TiffTag.TILELENGTH, 16);
                for (int y = 0; y < image.Height; y += 16)
                    for (int x = 0; x < image.Width; x += 16)
                        tiff.WriteTile([.. Enumerable.Range(0, 128).Select(i => Nibbles(x + i % 8 * 2, y + i / 8))], x, y, 0, 0);
            }
            else
            {
                tiff.SetField(TiffTag.PREDICTOR, Predictor.HORIZONTAL);
                tiff.SetField(TiffTag.ROWSPERSTRIP, 5);
                for (short c = 0; c < 3; c++)
                    for (int y = 0; y < image.Height; y++)
                        tiff.WriteScanline(
                            [.. Enumerable.Range(0, image.Width).SelectMany(x => BitConverter.GetBytes((ushort)(257 * Sample(x, y, c))))],
                            y, c);
            }
        }
        return file.ToArray();

        byte Sample(int x, int y, int c) => x < image.Width && y < image.Height ? image.Pixels[(y * image.Width + x) * 3 + c] : (byte)0;

        byte Nibbles(int x, int y) => (byte)(Sample(x, y, 0) & 0xF0 | Sample(x + 1, y, 0) >> 4);
    }

    /// <summary>A baseline JPEG of quality 95; the planes are taken as Y, Cb, Cr.</summary>
    public static byte[] Jpeg(Image ycc, int subsampling)
    {
        JpegEncoder encoder = new();
        encoder.SetQuantizationTable(
            JpegStandardQuantizationTable.ScaleByQuality(
                JpegStandardQuantizationTable.GetLuminanceTable(JpegElementPrecision.Precision8Bit, 0), 95));
        encoder.SetHuffmanTable(true, 0, JpegStandardHuffmanEncodingTable.GetLuminanceDCTable());
        encoder.SetHuffmanTable(false, 0, JpegStandardHuffmanEncodingTable.GetLuminanceACTable());
        for (byte c = 0; c < ycc.Channels; c++)
            encoder.AddComponent((byte)(c + 1), 0, 0, 0, (byte)(c == 0 ? subsampling : 1), (byte)(c == 0 ? subsampling : 1));
        encoder.SetInputReader(new Blocks(ycc));
        ArrayBufferWriter<byte> file = new();
        encoder.SetOutput(file);
        encoder.Encode();
        return file.WrittenSpan.ToArray();
    }

    private static byte[] Chunk(ReadOnlySpan<byte> type, byte[] body)
    {
        byte[] chunk = new byte[body.Length + 12];
        BinaryPrimitives.WriteInt32BigEndian(chunk, body.Length);
        type.CopyTo(chunk.AsSpan(4));
        body.CopyTo(chunk, 8);
        uint crc = uint.MaxValue; // by its definition, so that the reader's checksums are held against another implementation
        foreach (byte b in chunk.AsSpan(4, body.Length + 4))
        {
            crc ^= b;
            for (int k = 0; k < 8; k++) crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
        }
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(body.Length + 8), ~crc);
        return chunk;
    }

    private sealed class Blocks(Image image) : JpegBlockInputReader
    {
        public override int Width => image.Width;

        public override int Height => image.Height;

        public override void ReadBlock(ref short blockRef, int componentIndex, int x, int y)
        {
            Span<short> block = MemoryMarshal.CreateSpan(ref blockRef, 64);
            for (int i = 0; i < 64; i++)
            {
                int row = Math.Min(y + i / 8, image.Height - 1), column = Math.Min(x + i % 8, image.Width - 1);
                block[i] = image.Pixels[(row * image.Width + column) * image.Channels + componentIndex];
            }
        }
    }
}
