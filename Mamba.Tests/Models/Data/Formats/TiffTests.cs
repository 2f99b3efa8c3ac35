using System.Buffers.Binary;
using System.Numerics;
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
        Bad("BigTIFF", With(_ => 0x2B, 2), "TIFF directory at byte"),
        Bad("a directory beyond the file", With(_ => 0xFF, 7), "TIFF directory at byte"),
        Bad("more entries than the file holds", Entries(count => 5000), "5000 entries"),
        Bad("a tag twice", Entry(257, Tag: 256), "stands twice"),
        Bad("no width", Entry(256, Tag: 999), "at least 1 x 1"),
        Bad("no colors", Entry(262, Tag: 999), "does not say what its samples are"),
        Bad("more than the most pixels", Entry(256, Value: 1 << 28), "at most 67108864"),
        Bad("a large picture in a small file", Entry(257, Value: 20_000), "expected 1819"),
        Bad("strips that are longer than the file says", Entry(256, Value: 40), "expected more image data"),
        Bad("7 samples", Entry(277, Value: 7), "of 7 channels"),
        Bad("2 samples of RGB", Entry(277, Value: 2), "of 2 channels"),
        Bad("1 sample of RGB", Entry(277, Value: 1), "of 1 channels"),
        Bad("no rows per strip", Entry(278, Tag: 274, Value: 6), "expected 1"),
        Bad("fax", Entry(259, Value: 4), "fax codes with more than one bit"),
        Bad("JPEG inside", Entry(259, Value: 7), "JPEG"),
        Bad("old-style JPEG", Entry(259, Value: 6), "old-style JPEG"),
        Bad("a rare packing", Entry(259, Value: 34_661), "a rare method (34661)"),
        Bad("CMYK", Entry(262, Value: 5), "of CMYK samples"),
        Bad("float", Entry(278, Tag: 339, Value: 3), "8-bit float samples"),
        Bad("signed", Entry(278, Tag: 339, Value: 2), "8-bit signed samples"),
        Bad("CIE colors", Entry(262, Value: 8), "rare color space"),
        Bad("rows of no number", Entry(278, Type: 5), "of type 5"),
        Bad("strips of no rows", Entry(278, Value: 0), "strip or tile of 24 x 0"),
        Bad("values beyond the file", Entry(273, Value: 1 << 30), "inside the"),
        Bad("more values than the file", Entry(273, Count: 1 << 30), "inside the"),
        Bad("fewer places than strips", Entry(273, Count: 1), "places of 1 and sizes of 2"),
        Bad("fewer sizes than strips", Entry(279, Count: 1), "places of 2 and sizes of 1"),
        Bad("a strip beyond the file", Strip(offset: 1 << 20), "strip or tile 1"),
        Bad("a strip of no bytes", Strip(count: 0), "end after 0 of"),
        Bad("a strip cut short", Strip(count: 10), "end after 10 of"),
        Bad("runs cut short", Packed(Compression.PACKBITS, bytes => bytes[..2]), "end after"),
        Bad("codes cut short", Packed(Compression.LZW, bytes => bytes[..4]), "end after"),
        Bad("codes that are not known yet", Packed(Compression.LZW, _ => [0x80, 0x00, 0x65, 0x80]), "LZW code"),
        Bad("a code that repeats nothing", Packed(Compression.LZW, _ => [0x80, 0x40, 0x80]), "LZW code"),
        Bad("no deflate", Packed(Compression.ADOBE_DEFLATE, bytes => [0xFF, .. bytes[1..]]), ""),
        Bad("deflate cut short", Packed(Compression.ADOBE_DEFLATE, bytes => bytes[..5]), "end after"),
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
        Assert.That(read.Is16Bit, Is.EqualTo(!tiled));
        Assert.That(read.To8Bit().Pixels, Is.EqualTo(expected));
    }

    [TestCase(1, 8), TestCase(3, 8), TestCase(4, 8), TestCase(1, 16), TestCase(3, 16), TestCase(4, 16)]
    public void Differences_of_neighbors_are_undone(int samples, int bits)
    {
        ushort[] values = [.. Numbers.Uniform(13 * 7 * samples, 5, 0f, bits == 8 ? 256f : 65536f).Select(v => (ushort)v)];
        byte[] Row(int y) => [.. values[(13 * samples * y)..(13 * samples * (y + 1))].SelectMany(
            v => bits == 8 ? [(byte)v] : BitConverter.GetBytes(v))];
        Photometric photometric = samples == 1 ? Photometric.MINISBLACK : Photometric.RGB;
        foreach (Compression compression in new[] { Compression.LZW, Compression.ADOBE_DEFLATE })
        {
            Image image = ImageFile.Decode("x", Pictures.Tiff(13, 7, samples, bits, photometric, compression, Row, 3, differences: true));
            IEnumerable<int> expected = values.Where((_, i) => samples < 4 || i % 4 < 3).Select(v => (int)v);
            Assert.That(image.Is16Bit ? image.Samples16.Select(v => (int)v) : image.Pixels.Select(v => (int)v), Is.EqualTo(expected),
                $"{compression}");
        }
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
        Assert.That(image.Samples16, Is.EqualTo(new ushort[] { 0, 0x7F7F }), "0 is white");

        static byte[] Big(int tag, int type, int value) =>
        [
            (byte)(tag >> 8), (byte)tag, 0, (byte)type, 0, 0, 0, 1,
            .. type == 3 ? new byte[] { 0, (byte)value, 0, 0 } : [0, 0, 0, (byte)value],
        ];
    }

    /// <summary>The pixel that each corner shows: the first of the file's rows and columns is at that of EXIF's table.</summary>
    [TestCase(1, 0, 0), TestCase(2, 23, 0), TestCase(3, 23, 19), TestCase(4, 0, 19)]
    [TestCase(5, 0, 0), TestCase(6, 19, 0), TestCase(7, 19, 23), TestCase(8, 0, 23)]
    public void A_turned_picture_is_set_right(int orientation, int column, int row)
    {
        // In the place of the number of samples, of which gray has one without a word.
        Image gray = Pictures.Smooth(24, 20, 1),
            read = ImageFile.Decode("x", EntryOf(Pictures.PaddedTiff(gray, 11), 277, Tag: 274, Value: orientation));
        bool swapped = orientation >= 5;
        Assert.That((read.Width, read.Height), Is.EqualTo(swapped ? (20, 24) : (24, 20)));
        for (int y = 0; y < 20; y++)
            for (int x = 0; x < 24; x++)
            {
                (int down, int right) = swapped ? (x, y) : (y, x);
                int at = (row == 0 ? down : row - down) * read.Width + (column == 0 ? right : column - right);
                Assert.That(read.Pixels[at], Is.EqualTo(gray.Pixels[y * 24 + x]), $"{x}, {y}");
            }
    }

    [Test]
    public void Three_gray_channels_are_colors_and_a_note_says_so()
    {
        string path = Folder.Write("x.tif", Entry(262, Value: 1));
        ImageWithNotes read = ImageFile.Read(path);
        AssertSame(read.Image, s_image);
        Assert.That(read.Notes, Is.EqualTo(new[] { "3 gray channels are taken for red, green and blue" }));
    }

    [TestCase(10), TestCase(12), TestCase(16)]
    public void Bits_between_8_and_16_keep_their_values(int bits)
    {
        int[] values = [0, 1, 2, 700, (1 << bits) - 2, (1 << bits) - 1, 5, 1000];
        byte[] Row(int _)
        {
            BigInteger all = 0;
            foreach (int value in values) all = all << bits | value;
            byte[] bytes = all.ToByteArray(isUnsigned: true, isBigEndian: true);
            byte[] row = [.. new byte[bits - bytes.Length], .. bytes];
            if (bits == 16) for (int i = 0; i < 16; i += 2) (row[i], row[i + 1]) = (row[i + 1], row[i]);
            return row;
        }
        Image image = ImageFile.Decode("x", Pictures.Tiff(8, 2, 1, bits, Photometric.MINISBLACK, Compression.NONE, Row));
        Assert.That(image.Samples16[..8], Is.EqualTo(values));
        Assert.That(image.UsedBits, Is.EqualTo(bits));
    }

    [Test]
    public void Signed_samples_count_from_their_origin()
    {
        byte[] Row(int _) => [.. new short[] { -1024, 0, 3071 }.SelectMany(BitConverter.GetBytes)];
        byte[] file = Pictures.Tiff(3, 1, 1, 16, Photometric.MINISBLACK, Compression.NONE, Row);
        file = EntryOf(file, 278, Tag: 339, Type: 3, Count: 1, Value: 2); // one strip needs no rows per strip
        Image image = ImageFile.Decode("x", file);
        Assert.That(image.Samples16.Select(v => v + image.Origin), Is.EqualTo(new[] { -1024, 0, 3071 }));
        Assert.That(ImageFile.DecodeMask("x", file).Values, Is.EqualTo(new[] { -1024, 0, 3071 }));
        Assert.That(image.To8Bit().Pixels, Is.EqualTo(new byte[] { 0, 64, 255 }), "a quarter of the way from the smallest to the largest");
    }

    [Test]
    public void A_stack_has_pages()
    {
        byte[][] pages = [.. Enumerable.Range(0, 3).Select(i => Pictures.Smooth(9, 7, 1).Pixels.Select(v => (byte)(v + i)).ToArray())];
        string path = Folder.Write("x.tif", Pictures.TiffStack(9, 7, pages));
        Assert.That(ImageFile.PageCount(path), Is.EqualTo(3));
        Assert.That(ImageFile.LoadPages(path).Select(p => p.Pixels), Is.EqualTo(pages));
        Assert.That(ImageFile.LoadPage(path, 2).Pixels, Is.EqualTo(pages[2]));
        Assert.That(ImageFile.LoadMaskPage(path, 1).Values, Is.EqualTo(pages[1]));
        Assert.That(ImageFile.Read(path).Notes, Is.EqualTo(new[] { "a stack; the first of 3 pages is taken" }));
        Assert.That(() => ImageFile.LoadPage(path, 3), Throws.TypeOf<ImageException>().With.Message.Contains("page 3 of 3"));
    }

    [Test]
    public void Directories_in_a_circle_are_refused()
    {
        byte[] file = Pictures.TiffStack(2, 2, [new byte[4], new byte[4]]);
        int directory = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(4));
        int count = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(directory));
        int second = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(directory + 2 + 12 * count));
        count = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(second));
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(second + 2 + 12 * count), second);
        AssertRefused("x.tif", file, "circle");
    }

    [TestCase(Photometric.RGB), TestCase(Photometric.MINISBLACK)]
    public void Jpeg_inside_is_near_its_source(Photometric photometric)
    {
        int channels = photometric == Photometric.RGB ? 3 : 1;
        Image image = Pictures.Smooth(64, 48, channels);
        byte[] Row(int y) => image.Pixels[(64 * channels * y)..(64 * channels * (y + 1))];
        Image read = ImageFile.Decode("x", Pictures.Tiff(64, 48, channels, 8, photometric, Compression.JPEG, Row, rowsPerStrip: 16));
        Assert.That(read.Pixels.Zip(image.Pixels, (p, q) => Math.Abs(p - q)).Max(), Is.LessThan(25));
        Assert.That(read.Pixels.Zip(image.Pixels, (p, q) => Math.Abs(p - q)).Average(), Is.LessThan(3));
    }

    [TestCase(Compression.CCITTFAX3), TestCase(Compression.CCITTFAX4)]
    public void Fax_is_read(Compression compression)
    {
        byte[] Row(int y) => [(byte)(0x35 << (y % 3)), (byte)(0xF0 >> (y % 5))];
        Image expected = ImageFile.Decode("x", Pictures.Tiff(16, 7, 1, 1, Photometric.MINISBLACK, Compression.NONE, Row));
        AssertSame(ImageFile.Decode("x", Pictures.Tiff(16, 7, 1, 1, Photometric.MINISBLACK, compression, Row)), expected);
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
