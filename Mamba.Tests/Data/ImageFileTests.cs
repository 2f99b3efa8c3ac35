using BitMiracle.LibTiff.Classic;
using Mamba.Models.Data;
using Mamba.Tests.Support;

namespace Mamba.Tests.Data;

internal sealed class ImageFileTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [TestCase(1, 1, 1), TestCase(3, 2, 3), TestCase(37, 29, 3), TestCase(64, 5, 1)]
    public void Png_round_trip(int width, int height, int channels)
    {
        Image image = Pictures.Random(width, height, channels);
        AssertSame(ImageFile.Load(_folder.Write("x.png", image)), image);
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
    public void Png_of_16_bits_is_rounded_and_alpha_dropped()
    {
        // Grey and alpha, 16 bits: 0x0000, 0x8080, 0xFFFF, 0x017F (just under one and a half of 255).
        byte[] rows = [0, 0x00, 0x00, 9, 9, 0x80, 0x80, 9, 9, 0xFF, 0xFF, 9, 9, 0x01, 0x7F, 9, 9];
        AssertSame(Load("x.png", Pictures.Png(4, 1, 16, 4, 0, rows)), new Image(4, 1, 1, [0, 128, 255, 1]));
        byte[] rgba = [0, 1, 2, 3, 77, 4, 5, 6, 0];
        AssertSame(Load("x.png", Pictures.Png(2, 1, 8, 6, 0, rgba)), new Image(2, 1, 3, [1, 2, 3, 4, 5, 6]));
    }

    [Test]
    public void Png_palette_of_colours_and_of_greys()
    {
        byte[] rows = [0, 0b01_10_00_00];
        AssertSame(Load("x.png", Pictures.Png(3, 1, 2, 3, 0, rows, [1, 2, 3, 10, 20, 30, 40, 50, 60])), new Image(3, 1, 3, [10, 20, 30, 40, 50, 60, 1, 2, 3]));
        AssertSame(Load("x.png", Pictures.Png(3, 1, 2, 3, 0, rows, [0, 0, 0, 9, 9, 9, 255, 255, 255])), new Image(3, 1, 1, [9, 255, 0]));
        AssertRefused("x.png", Pictures.Png(3, 1, 2, 3, 0, rows, [1, 2, 3, 4, 5, 6]), "colour 2");
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
                int paeth = Math.Abs(p - a) <= Math.Abs(p - b) && Math.Abs(p - a) <= Math.Abs(p - c) ? a : Math.Abs(p - b) <= Math.Abs(p - c) ? b : c;
                int[] prediction = [0, a, b, (a + b) / 2, paeth];
                rows[y * (stride + 1) + 1 + i] = (byte)(At(y, i) - prediction[y % 5]);
            }
        }
        AssertSame(Load("x.png", Pictures.Png(11, 10, 8, 2, 0, rows)), image);
    }

    [TestCase(1, 1), TestCase(5, 3), TestCase(8, 8), TestCase(19, 13)]
    public void Png_interlaced(int width, int height)
    {
        Image image = Pictures.Random(width, height, 1);
        List<byte> rows = [];
        foreach ((int x0, int y0, int dx, int dy) in new[] { (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2) })
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

    [TestCase(true), TestCase(false)]
    public void Bmp_of_every_depth(bool topDown)
    {
        Image colour = Pictures.Random(7, 5, 3);
        byte[] Row(int y, int stride, int bytes)
        {
            byte[] row = new byte[stride];
            for (int x = 0; x < 7; x++)
                for (int c = 0; c < 3; c++) row[x * bytes + c] = colour.Pixels[(y * 7 + x) * 3 + 2 - c];
            return row;
        }
        AssertSame(Load("24.bmp", Pictures.Bmp(7, 5, 24, topDown, [], (y, stride) => Row(y, stride, 3))), colour);
        AssertSame(Load("32.bmp", Pictures.Bmp(7, 5, 32, topDown, [], (y, stride) => Row(y, stride, 4))), colour);
        byte[] greys = [.. Enumerable.Range(0, 256).SelectMany(v => new[] { (byte)v, (byte)v, (byte)v, (byte)0 })];
        Image grey = Pictures.Random(7, 5, 1);
        AssertSame(Load("8.bmp", Pictures.Bmp(7, 5, 8, topDown, greys, (y, stride) => [.. grey.Pixels.Skip(7 * y).Take(7), 0])), grey);
        byte[] Bits(int y, int stride) => [.. new byte[] { (byte)(0b10110010 >> y << y) }, .. new byte[stride - 1]];
        byte[] bits = [.. Enumerable.Range(0, 35).Select(i => (0b10110010 >> (i / 7) << (i / 7) >> (7 - i % 7) & 1) != 0 ? (byte)255 : (byte)0)];
        AssertSame(Load("1.bmp", Pictures.Bmp(7, 5, 1, topDown, [0, 0, 0, 0, 255, 255, 255, 0], Bits)), new Image(7, 5, 1, bits));
        byte[] red = [0, 0, 0, 0, 0, 0, 255, 0];
        Assert.That(Load("red.bmp", Pictures.Bmp(7, 5, 1, topDown, red, Bits)).Pixels[..3], Is.EqualTo(new byte[] { 255, 0, 0 }));
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
        Image grey = Pictures.Smooth(19, 23, 1), colour = Pictures.Smooth(19, 23, 3);
        AssertSame(Load("g.tif", Pictures.Tiff(19, 23, 1, 8, Photometric.MINISBLACK, compression, y => grey.Pixels[(y * 19)..(y * 19 + 19)])), grey);
        AssertSame(Load("c.tif", Pictures.Tiff(19, 23, 3, 8, Photometric.RGB, compression, y => colour.Pixels[(y * 57)..(y * 57 + 57)])), colour);
        byte[] Rgba(int y) => [.. Enumerable.Range(0, 19).SelectMany(x => new[] { colour.Pixels[(y * 19 + x) * 3], colour.Pixels[(y * 19 + x) * 3 + 1], colour.Pixels[(y * 19 + x) * 3 + 2], (byte)40 })];
        AssertSame(Load("a.tif", Pictures.Tiff(19, 23, 4, 8, Photometric.RGB, compression, Rgba)), colour);
        byte[] bits = [.. Enumerable.Range(0, 10 * 3).Select(i => i % 10 == i / 10 ? (byte)255 : (byte)0)];
        byte[] Bit(int y) => [(byte)(0x80 >> y), 0];
        AssertSame(Load("b.tif", Pictures.Tiff(10, 3, 1, 1, Photometric.MINISBLACK, compression, Bit)), new Image(10, 3, 1, bits));
        AssertSame(Load("w.tif", Pictures.Tiff(10, 3, 1, 1, Photometric.MINISWHITE, compression, Bit)), new Image(10, 3, 1, Array.ConvertAll(bits, b => (byte)(255 - b))));
    }

    [TestCase(1, 1), TestCase(3, 1), TestCase(3, 2)]
    public void Jpeg_is_near_its_source(int channels, int subsampling)
    {
        Image ycc = Pictures.Smooth(45, 35, channels);
        Image image = Load("x.jpg", Pictures.Jpeg(ycc, subsampling));
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((45, 35, channels)));
        double error = 0;
        for (int i = 0; i < 45 * 35; i++)
        {
            ReadOnlySpan<byte> p = ycc.Pixels.AsSpan(i * channels, channels), q = image.Pixels.AsSpan(i * channels, channels);
            if (channels == 1) error += Math.Abs(p[0] - q[0]);
            else
            {
                double y = p[0], cb = p[1] - 128, cr = p[2] - 128;
                double[] rgb = [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb];
                for (int c = 0; c < 3; c++) error += Math.Abs(Math.Clamp(rgb[c], 0, 255) - q[c]) / 3;
            }
        }
        Assert.That(error / (45 * 35), Is.LessThan(subsampling == 1 ? 1.0 : 5.0));
    }

    [Test]
    public void Format_is_told_by_content_not_by_name()
    {
        Image image = Pictures.Random(4, 4, 3);
        ImageFile.SavePng(Path.Combine(_folder.Root, "x.jpg"), image);
        AssertSame(ImageFile.Load(Path.Combine(_folder.Root, "x.jpg")), image);
    }

    [Test]
    public void Bad_files_are_named()
    {
        AssertRefused("empty.png", [], "expected a PNG, JPEG, TIFF or BMP");
        AssertRefused("text.tif", "hello"u8.ToArray(), "expected a PNG, JPEG, TIFF or BMP");
        AssertRefused("huge.png", Pictures.Png(100_000, 100_000, 8, 0, 0, []), "100000 x 100000");
        AssertRefused("bomb.png", Pictures.Png(8000, 8000, 8, 2, 0, []), "expected more image data");
        AssertRefused("short.png", Pictures.Png(4, 4, 8, 0, 0, new byte[7]), "ends after 7 bytes");
        AssertRefused("odd.png", Pictures.Png(4, 4, 5, 0, 0, new byte[20]), "5 bits");
        AssertRefused("rle.bmp", [.. Pictures.Bmp(4, 4, 24, true, [], (_, stride) => new byte[stride]).Select((b, i) => i == 30 ? (byte)1 : b)], "compression 1");
        byte[] tiff = Pictures.PaddedTiff(new Image(24, 20, 3), 11);
        // The heights of 20 in the directory's second entry.
        int height = tiff.Length - 4 - 9 * 12 + 12 + 8;
        AssertRefused("tall.tif", [.. tiff.Select((b, i) => i == height + 3 ? (byte)0x70 : b)], "expected at least 1 x 1");
        AssertRefused("long.tif", [.. tiff.Select((b, i) => i == height + 2 ? (byte)0x01 : b)], "expected more image data");
        AssertRefused("cut.tif", tiff[..^60], "inside the");
        Assert.That(() => ImageFile.Load(Path.Combine(_folder.Root, "none.png")), Throws.TypeOf<ImageException>().With.Message.Contains("none.png"));
        Assert.That(() => ImageFile.Load(_folder.Root), Throws.TypeOf<ImageException>());
    }

    [Test, NonParallelizable]
    public void The_most_pixels_can_be_set()
    {
        byte[] large = Pictures.Png(8192, 8192, 8, 0, 0, []); // as many pixels as are accepted, but no data
        AssertRefused("large.png", large, "expected more image data");
        int usual = Image.MaxPixels;
        try
        {
            Image.MaxPixels = usual - 1;
            AssertRefused("large.png", large, $"at most {usual - 1} pixels");
        }
        finally
        {
            Image.MaxPixels = usual;
        }
        foreach (int impossible in new[] { 0, -1, (1 << 28) + 1 }) Assert.That(() => Image.MaxPixels = impossible, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(Image.MaxPixels, Is.EqualTo(usual));
    }

    /// <summary>Damaged in any place, a file is read or refused; nothing else is thrown, and nothing is written to standard error.</summary>
    [Test]
    public void Damaged_files_are_read_or_refused([Values("png", "bmp", "tif", "lzw.tif", "jpg", "420.jpg")] string kind)
    {
        Image image = Pictures.Smooth(24, 20, 3);
        byte[] whole = kind switch
        {
            "png" => File.ReadAllBytes(_folder.Write("whole.png", image)),
            "bmp" => Pictures.Bmp(24, 20, 24, false, [], (y, stride) => new byte[stride]),
            "tif" => Pictures.PaddedTiff(image, 11),
            "lzw.tif" => Pictures.Tiff(24, 20, 3, 8, Photometric.RGB, Compression.LZW, y => image.Pixels[(y * 72)..(y * 72 + 72)]),
            "jpg" => Pictures.Jpeg(image, 1),
            _ => Pictures.Jpeg(image, 2),
        };
        TextWriter standard = Console.Error;
        using StringWriter written = new();
        Console.SetError(written);
        try
        {
            float[] random = Numbers.Uniform(3 * 300, 5, 0f, 1f);
            for (int trial = 0; trial < 300; trial++)
            {
                byte[] bytes = [.. whole];
                // Half of the damage goes to the first 600 or the last 200 bytes, where headers and directories are.
                int place = (int)(random[3 * trial] * bytes.Length);
                if (trial % 4 == 0) place %= Math.Min(600, bytes.Length);
                if (trial % 4 == 1) place = bytes.Length - 1 - place % Math.Min(200, bytes.Length);
                if (trial % 5 == 4) bytes = bytes[..place];
                else bytes[place] = (byte)(random[3 * trial + 1] * 256);
                if (trial % 3 == 0 && place + 1 < bytes.Length) bytes[place + 1] = random[3 * trial + 2] < 0.5 ? (byte)0xFF : (byte)0;
                string path = _folder.Write("damaged", bytes);
                try
                {
                    ImageFile.Load(path);
                }
                catch (ImageException e)
                {
                    Assert.That(e.Message, Does.StartWith(path));
                }
            }
        }
        finally
        {
            Console.SetError(standard);
        }
        Assert.That(written.ToString(), Is.Empty);
    }

    [Test]
    public void Saving_where_no_folder_is_fails_without_a_trace()
    {
        string path = Path.Combine(_folder.Root, "none", "x.png");
        Assert.That(() => ImageFile.SavePng(path, new Image(2, 2, 1)), Throws.InstanceOf<IOException>().With.Message.Contains(path));
        Assert.That(Directory.EnumerateFileSystemEntries(_folder.Root), Is.Empty);
    }

    [Test]
    public void Real_tiffs_and_jpegs_show_the_same()
    {
        SegmentationFolder tiffs = new(ReferenceData.Path("data/lgg-mri-tiff")), jpegs = new(ReferenceData.Path("data/lgg-mri-jpeg"));
        Dictionary<string, int> byName = Enumerable.Range(0, jpegs.Count).ToDictionary(jpegs.Name);
        Assert.That((tiffs.Count, jpegs.Count), Is.EqualTo((50, 3929)));
        Assert.That(Enumerable.Range(0, jpegs.Count).Select(jpegs.Patient).Distinct().Count(), Is.EqualTo(110));
        double error = 0;
        for (int i = 0; i < tiffs.Count; i++)
        {
            SegmentationSample exact = tiffs.Load(i), lossy = jpegs.Load(byName[tiffs.Name(i)]);
            Assert.That((exact.Image.Width, exact.Image.Height, exact.Image.Channels), Is.EqualTo((256, 256, 3)));
            AssertSame(lossy.Mask, exact.Mask);
            for (int k = 0; k < exact.Image.Pixels.Length; k++) error += Math.Abs(exact.Image.Pixels[k] - lossy.Image.Pixels[k]);
        }
        // 1.35 over the whole set, says its description; these two patients are a little better.
        Assert.That(error / (tiffs.Count * 256 * 256 * 3), Is.InRange(0.8, 1.4));
    }

    private Image Load(string name, byte[] bytes) => ImageFile.Load(_folder.Write(name, bytes));

    private void AssertRefused(string name, byte[] bytes, string says) =>
        Assert.That(() => Load(name, bytes), Throws.TypeOf<ImageException>().With.Message.Contains(name).And.Message.Contains(says));

    private static void AssertSame(Image actual, Image expected)
    {
        Assert.That((actual.Width, actual.Height, actual.Channels), Is.EqualTo((expected.Width, expected.Height, expected.Channels)));
        Assert.That(actual.Pixels.AsSpan().SequenceEqual(expected.Pixels), $"first difference at sample {actual.Pixels.AsSpan().CommonPrefixLength(expected.Pixels)}");
    }
}
