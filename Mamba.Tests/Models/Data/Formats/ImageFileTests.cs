using BitMiracle.LibTiff.Classic;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ImageFileTests : FormatTest
{
    [Test]
    public void Format_is_told_by_content_not_by_name()
    {
        Image image = Pictures.Random(4, 4, 3);
        ImageFile.SavePng(Path.Combine(Folder.Root, "x.jpg"), image);
        AssertSame(ImageFile.Load(Path.Combine(Folder.Root, "x.jpg")), image);
    }

    [Test]
    public void Bad_files_are_named()
    {
        AssertRefused("empty.png", [], "expected a PNG, JPEG, TIFF or BMP");
        AssertRefused("text.tif", "hello"u8.ToArray(), "expected a PNG, JPEG, TIFF or BMP");
        AssertRefused("huge.png", Pictures.Png(100_000, 100_000, 8, 0, 0, []), "100000 x 100000");
        AssertRefused("bomb.png", Pictures.Png(8000, 8000, 8, 2, 0, []), "expected more image data");
        AssertRefused("short.png", Pictures.Png(4, 4, 8, 0, 0, new byte[7]), "end after 7 of");
        AssertRefused("odd.png", Pictures.Png(4, 4, 5, 0, 0, new byte[20]), "5 bits");
        AssertRefused(
            "rle.bmp", [.. Pictures.Bmp(4, 4, 24, true, [], (_, stride) => new byte[stride]).Select((b, i) => i == 30 ? (byte)1 : b)],
            "compression 1");
        byte[] tiff = Pictures.PaddedTiff(new Image(24, 20, 3), 11);
        // The heights of 20 in the directory's second entry.
        int height = tiff.Length - 4 - 9 * 12 + 12 + 8;
        AssertRefused("tall.tif", [.. tiff.Select((b, i) => i == height + 3 ? (byte)0x70 : b)], "expected at least 1 x 1");
        AssertRefused("long.tif", [.. tiff.Select((b, i) => i == height + 2 ? (byte)0x01 : b)], "expected 5960");
        AssertRefused("cut.tif", tiff[..^60], "inside the");
        Assert.That(
            () => ImageFile.Load(Path.Combine(Folder.Root, "none.png")), Throws.TypeOf<ImageException>().With.Message.Contains("none.png"));
        Assert.That(() => ImageFile.Load(Folder.Root), Throws.TypeOf<ImageException>());
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
        foreach (int impossible in new[] { 0, -1, (1 << 28) + 1 })
            Assert.That(() => Image.MaxPixels = impossible, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(Image.MaxPixels, Is.EqualTo(usual));
    }

    /// <summary>
    /// Damaged in any place, a file is read or refused; nothing else is thrown, and nothing is written to standard error.
    /// </summary>
    [Test]
    public void Damaged_files_are_read_or_refused([Values("png", "bmp", "tif", "lzw.tif", "jpg", "420.jpg")] string kind)
    {
        Image image = Pictures.Smooth(24, 20, 3);
        byte[] whole = kind switch
        {
            "png" => File.ReadAllBytes(Folder.Write("whole.png", image)),
            "bmp" => Pictures.Bmp(24, 20, 24, false, [], (y, stride) => new byte[stride]),
            "tif" => Pictures.PaddedTiff(image, 11),
            "lzw.tif" => Pictures.Tiff(24, 20, 3, 8, Photometric.RGB, Compression.LZW, y => image.Pixels[(y * 72)..(y * 72 + 72)]),
            "jpg" => Pictures.Jpeg(image, 1),
            _ => Pictures.Jpeg(image, 2),
        };
        TextWriter standard = Console.Error;
        using StringWriter written = new();
        Console.SetError(written);
        int read = 0, refused = 0;
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
                string path = Folder.Write("damaged", bytes);
                try
                {
                    ImageFile.Load(path);
                    read++;
                }
                catch (ImageException e)
                {
                    Assert.That(e.Message, Does.StartWith(path));
                    refused++;
                }
            }
        }
        finally
        {
            Console.SetError(standard);
        }
        Assert.That(written.ToString(), Is.Empty);
        Assert.That(read, Is.GreaterThan(0), "some are read");
        Assert.That(refused, Is.GreaterThan(30), "some are refused");
    }

    [Test]
    public void Saving_where_noFolder_is_fails_without_a_trace()
    {
        string path = Path.Combine(Folder.Root, "none", "x.png");
        Assert.That(() => ImageFile.SavePng(path, new Image(2, 2, 1)), Throws.InstanceOf<IOException>().With.Message.Contains(path));
        Assert.That(Directory.EnumerateFileSystemEntries(Folder.Root), Is.Empty);
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
            Assert.That(lossy.Mask.Classes, Is.EqualTo(exact.Mask.Classes));
            for (int k = 0; k < exact.Image.Pixels.Length; k++) error += Math.Abs(exact.Image.Pixels[k] - lossy.Image.Pixels[k]);
        }
        // 1.35 over the whole set, says its description; these two patients are a little better.
        Assert.That(error / (tiffs.Count * 256 * 256 * 3), Is.InRange(0.8, 1.4));
    }
}
