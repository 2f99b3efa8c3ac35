using BitMiracle.LibTiff.Classic;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class PngTests : FormatTest
{
    [TestCase(1, 1, 1), TestCase(3, 2, 3), TestCase(37, 29, 3), TestCase(64, 5, 1)]
    public void Png_round_trip(int width, int height, int channels)
    {
        Image image = Pictures.Random(width, height, channels);
        AssertSame(ImageFile.Load(Folder.Write("x.png", image)), image);
    }

    [TestCase(1), TestCase(2), TestCase(4)]
    public void Png_of_few_bits_becomes_full_range(int depth)
    {
        const int width = 13, height = 3;
        int stride = (width * depth + 7) / 8, top = (1 << depth) - 1;
        byte[] rows = new byte[height * (stride + 1)];
        byte[] expected = new byte[width * height];
        for (int i = 0; i < expected.Length; i++)
        {
            int value = (i * 7 + i / 5) & top, bit = i % width * depth;
            rows[i / width * (stride + 1) + 1 + bit / 8] |= (byte)(value << (8 - depth - bit % 8));
            expected[i] = (byte)(255 * value / top);
        }
        AssertSame(Load("x.png", Pictures.Png(width, height, depth, 0, 0, rows)), new Image(width, height, 1, expected));
    }

    [Test]
    public void Png_of_16_bits_keeps_them_and_alpha_is_dropped()
    {
        byte[] rows = [0, 0x00, 0x00, 9, 9, 0x80, 0x80, 9, 9, 0xFF, 0xFF, 9, 9, 0x01, 0x7F, 9, 9];
        AssertSame(Load("x.png", Pictures.Png(4, 1, 16, 4, 0, rows)), new Image(4, 1, 1, (ushort[])[0, 0x8080, 0xFFFF, 0x017F]));
        byte[] rgba = [0, 1, 2, 3, 77, 4, 5, 6, 0];
        AssertSame(Load("x.png", Pictures.Png(2, 1, 8, 6, 0, rgba)), new Image(2, 1, 3, (byte[])[1, 2, 3, 4, 5, 6]));
        byte[] wide = [0, 1, 2, 3, 4, 5, 6];
        AssertSame(Load("x.png", Pictures.Png(1, 1, 16, 2, 0, wide)), new Image(1, 1, 3, (ushort[])[0x102, 0x304, 0x506]));
    }

    [TestCase(1), TestCase(3)]
    public void Png_of_16_bits_round_trip(int channels)
    {
        ushort[] samples = [.. Enumerable.Range(0, 7 * 5 * channels).Select(i => (ushort)(i * 4099))];
        Image image = new(7, 5, channels, samples);
        AssertSame(ImageFile.Load(Folder.Write("x.png", image)), image);
        if (channels != 1) return;
        ImageFile.SavePng16(Path.Combine(Folder.Root, "y.png"), 7, 5, samples);
        AssertSame(ImageFile.Load(Path.Combine(Folder.Root, "y.png")), image);
    }

    [Test]
    public void Labels_round_trip_as_indices_of_a_palette()
    {
        LabelMap map = new(5, 2, [0, 1, 2, 3, 2, 255, 0, 1, 1, 0]);
        string path = Path.Combine(Folder.Root, "labels.png");
        ImageFile.SaveLabels(path, map, [0x000000, 0xE69F00, 0x56B4E9, 0x009E73]);
        RawMask mask = ImageFile.LoadMask(path);
        Assert.That((mask.Width, mask.Height, mask.Encoding), Is.EqualTo((5, 2, MaskEncoding.Palette)));
        Assert.That(mask.Values, Is.EqualTo(map.Classes));
        Assert.That(mask.Palette![..4], Is.EqualTo(new[] { 0x000000, 0xE69F00, 0x56B4E9, 0x009E73 }));
        Assert.That(mask.Palette, Has.Length.EqualTo(256).And.ItemAt(255).EqualTo(0xFFFFFF));
        byte[] once = File.ReadAllBytes(path);
        ImageFile.SaveLabels(path, map, [0x000000, 0xE69F00, 0x56B4E9, 0x009E73]);
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(once), "the same pixels give the same bytes");
    }

    [TestCase(1, new[] { 0, 1 }), TestCase(2, new[] { 0, 1, 2, 3 }), TestCase(4, new[] { 0, 1, 2, 7, 15 })]
    public void Masks_of_few_bits_are_as_stored(int depth, int[] values)
    {
        int all = 0;
        foreach (int value in values) all = all << depth | value;
        int used = depth * values.Length;
        byte[] row = [0, (byte)(all << 32 - used >> 24), (byte)(all << 32 - used >> 16), (byte)(all << 32 - used >> 8)];
        byte[] rows = row[..(1 + (used + 7) / 8)];
        RawMask gray = ImageFile.DecodeMask("x", Pictures.Png(values.Length, 1, depth, 0, 0, rows));
        Assert.That((gray.Encoding, gray.Values), Is.EqualTo((MaskEncoding.Gray, values)));
        // Two indices have one color each, and stay two all the same.
        byte[] palette = [.. Enumerable.Range(0, 3 << depth).Select(i => (byte)(i / 6))];
        RawMask indexed = ImageFile.DecodeMask("x", Pictures.Png(values.Length, 1, depth, 3, 0, rows, palette));
        Assert.That((indexed.Encoding, indexed.Values), Is.EqualTo((MaskEncoding.Palette, values)));
    }

    [Test]
    public void What_pixels_do_not_need_may_be_damaged_or_missing()
    {
        byte[] whole = Pictures.Png(2, 1, 8, 0, 0, [0, 7, 9]);
        AssertSame(Load("x.png", whole[..^12]), new Image(2, 1, 1, (byte[])[7, 9]));
        byte[] text = [0, 0, 0, 3, .. "tEXtabc"u8, 1, 2, 3, 4]; // with a wrong checksum
        AssertSame(Load("x.png", [.. whole[..33], .. text, .. whole[33..]]), new Image(2, 1, 1, (byte[])[7, 9]));
        AssertRefused("x.png", [.. whole[..33], 0, 0, 0, 3, .. "XXXXabc"u8, 1, 2, 3, 4, .. whole[33..]], "critical chunk 'XXXX'");
        whole[^14] ^= 1;
        AssertRefused("x.png", whole, "checksum");
    }

    [Test]
    public void Png_palette_of_colors_and_of_grays()
    {
        byte[] rows = [0, 0b01_10_00_00];
        AssertSame(
            Load("x.png", Pictures.Png(3, 1, 2, 3, 0, rows, [1, 2, 3, 10, 20, 30, 40, 50, 60])),
            new Image(3, 1, 3, [10, 20, 30, 40, 50, 60, 1, 2, 3]));
        AssertSame(Load("x.png", Pictures.Png(3, 1, 2, 3, 0, rows, [0, 0, 0, 9, 9, 9, 255, 255, 255])), new Image(3, 1, 1, [9, 255, 0]));
        AssertRefused("x.png", Pictures.Png(3, 1, 2, 3, 0, rows, [1, 2, 3, 4, 5, 6]), "color 2");
    }

    [Test]
    public void Png_filters_give_back_the_rows()
    {
        // Each filter applied by its definition to the same rows, one filter after another.
        Image image = Pictures.Random(11, 10, 3);
        int stride = 33;
        byte[] rows = new byte[10 * (stride + 1)];
        for (int y = 0; y < 10; y++)
        {
            rows[y * (stride + 1)] = (byte)(y % 5);
            for (int i = 0; i < stride; i++)
            {
                int At(int row, int column) => row < 0 || column < 0 ? 0 : image.Pixels[row * stride + column];
                int a = At(y, i - 3), b = At(y - 1, i), c = i < 3 ? 0 : At(y - 1, i - 3), p = a + b - c;
                int paeth = Math.Abs(p - a) <= Math.Abs(p - b) && Math.Abs(p - a) <= Math.Abs(p - c)
                    ? a
                    : Math.Abs(p - b) <= Math.Abs(p - c)
                    ? b
                    : c;
                int[] prediction = [0, a, b, (a + b) / 2, paeth];
                rows[y * (stride + 1) + 1 + i] = (byte)(At(y, i) - prediction[y % 5]);
            }
        }
        AssertSame(Load("x.png", Pictures.Png(11, 10, 8, 2, 0, rows)), image);
    }

    [TestCase(1), TestCase(4)]
    public void An_interlaced_png_of_few_columns_is_refused(int width) =>
        AssertRefused("x.png", Pictures.Png(width, 1, 8, 0, 1, new byte[20]), "-interlace none");

    [TestCase(5, 1), TestCase(5, 3), TestCase(8, 8), TestCase(19, 13)]
    public void Png_interlaced(int width, int height)
    {
        Image image = Pictures.Random(width, height, 1);
        List<byte> rows = [];
        foreach ((int x0, int y0, int dx, int dy) in new[]
        {
            (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
        })
        {
            if (x0 >= width) continue;
            for (int y = y0; y < height; y += dy)
            {
                rows.Add(0);
                for (int x = x0; x < width; x += dx) rows.Add(image.Pixels[y * width + x]);
            }
        }
        AssertSame(Load("x.png", Pictures.Png(width, height, 8, 0, 1, [.. rows])), image);
    }
}
