using System.Buffers.Binary;
using BitMiracle.LibTiff.Classic;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The reader of TIFF against LibTiff, and against files that were made to do harm.</summary>
internal sealed class TiffTests : FormatTest
{
    private static readonly Image s_image = Pictures.Smooth(24, 20, 3);

    public static IEnumerable<TestCaseData> Hostile =>
    [
        Bad("BigTIFF", With(_ => 0x2B, 2), "version"),
        Bad("a directory beyond the file", With(_ => 0xFF, 7), "directory of 0 entries"),
        Bad("more entries than the file holds", Entries(count => 5000), "5000 entries"),
        Bad("a tag twice", Entry(257, Tag: 256), "stands twice"),
        Bad("no width", Entry(256, Tag: 999), "at least 1 x 1"),
        Bad("no colors", Entry(262, Tag: 999), "262 (Photometric) is missing"),
        Bad("more than the most pixels", Entry(256, Value: 1 << 28), "at most 67108864"),
        Bad("a large picture in a small file", Entry(257, Value: 20_000), "expected more image data"),
        Bad("strips that are longer than the file says", Entry(256, Value: 40), "expected more image data"),
        Bad("7 samples", Entry(277, Value: 7), "277 (Samples) is 7"),
        Bad("2 samples of RGB", Entry(277, Value: 2), "8, 8, 8 bits"),
        Bad("1 sample of RGB", Entry(277, Value: 1), "8, 8, 8 bits"),
        Bad("3 samples of gray", Entry(262, Value: 1), "colors 1 in 3 samples"),
        Bad("rows for columns", Entry(278, Tag: 274, Value: 6), "274 (Orientation) is 6"),
        Bad("fax", Entry(259, Value: 4), "259 (Compression) is 4"),
        Bad("JPEG inside", Entry(259, Value: 7), "259 (Compression) is 7"),
        Bad("CIE colors", Entry(262, Value: 8), "262 (Photometric) is 8"),
        Bad("rows of no number", Entry(278, Type: 5), "of type 5"),
        Bad("strips of no rows", Entry(278, Value: 0), "strip of 24 x 0"),
        Bad("values beyond the file", Entry(273, Value: 1 << 30), "inside the"),
        Bad("more values than the file", Entry(273, Count: 1 << 30), "inside the"),
        Bad("fewer places than strips", Entry(273, Count: 1), "places of 1 and sizes of 2"),
        Bad("fewer sizes than strips", Entry(279, Count: 1), "places of 2 and sizes of 1"),
        Bad("a strip beyond the file", Strip(offset: 1 << 20), "strip or tile 1"),
        Bad("a strip of no bytes", Strip(count: 0), "ends after 0 bytes"),
        Bad("a strip cut short", Strip(count: 10), "ends after 10 bytes"),
        Bad("runs cut short", Packed(Compression.PACKBITS, bytes => bytes[..2]), "ends after"),
        Bad("codes cut short", Packed(Compression.LZW, bytes => bytes[..4]), "ends after"),
        Bad("codes that are not known yet", Packed(Compression.LZW, _ => [0x80, 0x00, 0x65, 0x80]), "LZW code"),
        Bad("a code that repeats nothing", Packed(Compression.LZW, _ => [0x80, 0x40, 0x80]), "LZW code"),
        Bad("no deflate", Packed(Compression.ADOBE_DEFLATE, bytes => [0xFF, .. bytes[1..]]), ""),
        Bad("deflate cut short", Packed(Compression.ADOBE_DEFLATE, bytes => bytes[..5]), "ends after"),
    ];

    [TestCase(false), TestCase(true)]
    public void Planes_tiles_palettes_and_differences_are_read(bool tiled)
    {
        Image image = Pictures.Smooth(37, 29, 3), read = ImageFile.Decode("x", Pictures.SpecialTiff(image, tiled));
        Assert.That((read.Width, read.Height, read.Channels), Is.EqualTo((37, 29, 3)));
        byte[] expected = [.. image.Pixels];
        for (int i = 0; i < expected.Length && tiled; i += 3)
        {
            int index = image.Pixels[i] >> 4; // of a palette of red, of blue the same, of green the other way
            (expected[i], expected[i + 1], expected[i + 2]) = ((byte)(17 * index), (byte)(17 * (15 - index)), (byte)(17 * index));
        }
        Assert.That(read.Pixels, Is.EqualTo(expected));
    }

    [Test]
    public void Both_byte_orders_are_read()
    {
        byte[] big =
        [
            (byte)'M', (byte)'M', 0, 42, 0, 0, 0, 8, 0, 7, .. Big(256, 3, 2), .. Big(257, 3, 1), .. Big(258, 3, 16), .. Big(262, 3, 0),
            .. Big(273, 4, 98), .. Big(278, 3, 1), .. Big(279, 4, 4), 0, 0, 0, 0, 0xFF, 0xFF, 0x80, 0x80,
        ];
        Image image = ImageFile.Decode("big", big);
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((2, 1, 1)));
        Assert.That(image.Pixels, Is.EqualTo(new byte[] { 0, 127 }), "0 is white");

        static byte[] Big(int tag, int type, int value) =>
        [
            (byte)(tag >> 8), (byte)tag, 0, (byte)type, 0, 0, 0, 1,
            .. type == 3 ? new byte[] { 0, (byte)value, 0, 0 } : [0, 0, 0, (byte)value],
        ];
    }

    [TestCase(1), TestCase(2), TestCase(3), TestCase(4)]
    public void A_turned_picture_is_set_right(int orientation)
    {
        // In the place of the number of samples, of which gray has one without a word.
        Image gray = Pictures.Smooth(24, 20, 1),
            read = ImageFile.Decode("x", EntryOf(Pictures.PaddedTiff(gray, 11), 277, Tag: 274, Value: orientation));
        for (int y = 0; y < 20; y++)
            for (int x = 0; x < 24; x++)
                Assert.That(
                    read.Pixels[y * 24 + x],
                    Is.EqualTo(gray.Pixels[(orientation is 3 or 4 ? 19 - y : y) * 24 + (orientation is 2 or 3 ? 23 - x : x)]));
    }

    [TestCaseSource(nameof(Hostile))]
    public void Hostile_files_are_refused(byte[] file, string problem)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(
            () => ImageFile.Decode("x.tif", file),
            Throws.TypeOf<ImageException>().With.Message.StartsWith("x.tif: ").And.Message.Contains(problem));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(4 << 20));
    }

    private static TestCaseData Bad(string name, byte[] file, string problem) => new TestCaseData(file, problem).SetArgDisplayNames(name);

    private static byte[] With(Func<byte, int> edit, int at)
    {
        byte[] file = Pictures.PaddedTiff(s_image, 11);
        file[at] = (byte)edit(file[at]);
        return file;
    }

    private static byte[] Entries(Func<ushort, int> edit)
    {
        byte[] file = Pictures.PaddedTiff(s_image, 11);
        Span<byte> count = file.AsSpan(BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(4)));
        BinaryPrimitives.WriteUInt16LittleEndian(count, (ushort)edit(BinaryPrimitives.ReadUInt16LittleEndian(count)));
        return file;
    }

    private static byte[] Entry(int tag, int? Tag = null, int? Type = null, int? Count = null, int? Value = null) =>
        EntryOf(Pictures.PaddedTiff(s_image, 11), tag, Tag, Type, Count, Value);

    /// <summary>A file with another entry in the place of a tag's.</summary>
    private static byte[] EntryOf(byte[] file, int tag, int? Tag = null, int? Type = null, int? Count = null, int? Value = null)
    {
        Span<byte> entry = file.AsSpan(Place(file, tag));
        if (Tag is { } otherTag) BinaryPrimitives.WriteUInt16LittleEndian(entry, (ushort)otherTag);
        if (Type is { } type) BinaryPrimitives.WriteUInt16LittleEndian(entry[2..], (ushort)type);
        if (Count is { } count) BinaryPrimitives.WriteInt32LittleEndian(entry[4..], count);
        if (Value is { } value) BinaryPrimitives.WriteInt32LittleEndian(entry[8..], value);
        return file;
    }

    private static int Place(byte[] file, int tag)
    {
        int at = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(4)) + 2;
        while (BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(at)) != tag) at += 12;
        return at;
    }

    /// <summary>A file whose second strip lies elsewhere, or is of another length.</summary>
    private static byte[] Strip(int? offset = null, int? count = null)
    {
        byte[] file = Pictures.PaddedTiff(s_image, 11);
        if (offset is { } at)
            BinaryPrimitives.WriteInt32LittleEndian(
                file.AsSpan(BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(Place(file, 273) + 8)) + 4), at);
        if (count is { } bytes)
            BinaryPrimitives.WriteInt32LittleEndian(
                file.AsSpan(BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(Place(file, 279) + 8)) + 4), bytes);
        return file;
    }

    /// <summary>A gray picture of one strip, with other packed data.</summary>
    private static byte[] Packed(Compression compression, Func<byte[], byte[]> edit)
    {
        Image gray = Pictures.Smooth(24, 11, 1);
        byte[] file = Pictures.Tiff(24, 11, 1, 8, Photometric.MINISBLACK, compression, y => gray.Pixels[(24 * y)..(24 * y + 24)]);
        int offset = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(Place(file, 273) + 8)),
            count = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(Place(file, 279) + 8));
        byte[] packed = edit(file[offset..(offset + count)]);
        packed.CopyTo(file, offset);
        return EntryOf(file, 279, Type: 4, Value: packed.Length);
    }

    [Test]
    public void Tiff_with_a_padded_last_strip()
    {
        foreach (int channels in new[] { 1, 3 })
        {
            Image image = Pictures.Random(17, 25, channels);
            AssertSame(Load("x.tif", Pictures.PaddedTiff(image, 11)), image);
        }
    }

    [TestCase(Compression.NONE), TestCase(Compression.LZW), TestCase(Compression.PACKBITS), TestCase(Compression.ADOBE_DEFLATE)]
    public void Tiff_of_every_kind(Compression compression)
    {
        Image gray = Pictures.Smooth(19, 23, 1), color = Pictures.Smooth(19, 23, 3);
        AssertSame(
            Load("g.tif", Pictures.Tiff(19, 23, 1, 8, Photometric.MINISBLACK, compression, y => gray.Pixels[(y * 19)..(y * 19 + 19)])),
            gray);
        AssertSame(
            Load("c.tif", Pictures.Tiff(19, 23, 3, 8, Photometric.RGB, compression, y => color.Pixels[(y * 57)..(y * 57 + 57)])), color);
        byte[] Rgba(int y) =>
        [
            .. Enumerable.Range(0, 19).SelectMany(
                x => new[]
                {
                    color.Pixels[(y * 19 + x) * 3], color.Pixels[(y * 19 + x) * 3 + 1], color.Pixels[(y * 19 + x) * 3 + 2], (byte)40,
                }),
        ];
        AssertSame(Load("a.tif", Pictures.Tiff(19, 23, 4, 8, Photometric.RGB, compression, Rgba)), color);
        byte[] bits = [.. Enumerable.Range(0, 10 * 3).Select(i => i % 10 == i / 10 ? (byte)255 : (byte)0)];
        byte[] Bit(int y) => [(byte)(0x80 >> y), 0];
        AssertSame(Load("b.tif", Pictures.Tiff(10, 3, 1, 1, Photometric.MINISBLACK, compression, Bit)), new Image(10, 3, 1, bits));
        AssertSame(
            Load("w.tif", Pictures.Tiff(10, 3, 1, 1, Photometric.MINISWHITE, compression, Bit)),
            new Image(10, 3, 1, Array.ConvertAll(bits, b => (byte)(255 - b))));
    }
}
