using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats;
using SixLabors.ImageSharp.Formats.Bmp;
using SixLabors.ImageSharp.Formats.Gif;
using SixLabors.ImageSharp.Formats.Tga;
using SixLabors.ImageSharp.Formats.Webp;
using SixLabors.ImageSharp.PixelFormats;
using Image = Mamba.Models.Data.Image;

namespace Mamba.Tests.Models;

/// <summary>GIF, WebP, TGA and portable maps; and what masks of all formats are.</summary>
internal sealed class OtherFormatTests : FormatTest
{
    private static readonly Image s_few = FewColors(37, 29);

    /// <summary>A picture of five colors.</summary>
    private static Image FewColors(int width, int height)
    {
        Image image = new(width, height, 3);
        for (int i = 0; i < width * height; i++)
            for (int c = 0; c < 3; c++) image.Pixels[3 * i + c] = (byte)(50 * ((i / 7 + i / width) % 5) + 3 * c);
        return image;
    }

    private static byte[] Encode(Image image, IImageEncoder encoder)
    {
        using Image<Rgb24> picture = SixLabors.ImageSharp.Image.LoadPixelData<Rgb24>(image.Pixels, image.Width, image.Height);
        MemoryStream file = new();
        picture.Save(file, encoder);
        return file.ToArray();
    }

    private static IEnumerable<TestCaseData> Lossless =>
    [
        new("gif", Encode(s_few, new GifEncoder())),
        new("webp", Encode(s_few, new WebpEncoder { FileFormat = WebpFileFormatType.Lossless })),
        new("tga", Encode(s_few, new TgaEncoder { BitsPerPixel = TgaBitsPerPixel.Pixel24, Compression = TgaCompression.None })),
        new("tga", Encode(s_few, new TgaEncoder { BitsPerPixel = TgaBitsPerPixel.Pixel32, Compression = TgaCompression.RunLength })),
        new("bmp", Encode(s_few, new BmpEncoder { BitsPerPixel = BmpBitsPerPixel.Pixel24 })),
        new("bmp", Encode(s_few, new BmpEncoder { BitsPerPixel = BmpBitsPerPixel.Pixel8 })),
        new("ppm", (byte[])[.. "P6 # a comment\n37 29\n255\n"u8, .. s_few.Pixels]),
        new("ppm", (byte[])[.. "P3\n37 29 255\n"u8, .. s_few.Pixels.SelectMany(v => System.Text.Encoding.ASCII.GetBytes($"{v} "))]),
    ];

    [TestCaseSource(nameof(Lossless))]
    public void A_picture_is_read_to_the_bit_or_refused_if_cut(string extension, byte[] file)
    {
        AssertSame(Load("x." + extension, file), s_few);
        AssertRefused("cut." + extension, file[..(file.Length * 2 / 3)], "expected");
        AssertRefused("head." + extension, file[..12], "");
    }

    [Test]
    public void Lossy_webp_is_near_its_source()
    {
        Image image = Pictures.Smooth(40, 30, 3);
        string path = Folder.Write("x.webp", Encode(image, new WebpEncoder { FileFormat = WebpFileFormatType.Lossy, Quality = 95 }));
        Assert.That(ImageFile.Load(path).Pixels.Zip(image.Pixels, (p, q) => Math.Abs(p - q)).Average(), Is.LessThan(8));
        Assert.That(ImageFile.LoadMask(path).Lossy);
    }

    [Test]
    public void Portable_maps_of_every_kind()
    {
        AssertSame(Load("x.pgm", [.. "P5 2 1 255\n"u8, 7, 9]), new Image(2, 1, 1, (byte[])[7, 9]));
        AssertSame(Load("x.pgm", [.. "P5 2 1 4095\n"u8, 1, 2, 0xF, 0xFF]), new Image(2, 1, 1, (ushort[])[0x102, 0xFFF]));
        AssertSame(Load("x.pbm", [.. "P4 3 1\n"u8, 0b1010_0000]), new Image(3, 1, 1, (byte[])[0, 255, 0]));
        AssertSame(Load("x.pbm", "P1 3 1 101"u8.ToArray()), new Image(3, 1, 1, (byte[])[0, 255, 0]));
        RawMask mask = ImageFile.DecodeMask("x", "P2 4 1 3\n0 1 2 3"u8.ToArray());
        Assert.That((mask.Encoding, mask.Values), Is.EqualTo((MaskEncoding.Gray, new[] { 0, 1, 2, 3 })));
        AssertRefused("x.pgm", "P2 4 1 3\n0 1 2"u8.ToArray(), "expected more image data");
        AssertRefused("x.pgm", "P2 4 1 3\n0 1 2 4"u8.ToArray(), "value 4");
    }

    [Test]
    public void Indices_of_a_gif_and_a_bitmap_are_as_stored()
    {
        int[] expected = [.. s_few.Pixels.Chunk(3).Select(c => c[0] << 16 | c[1] << 8 | c[2])];
        IImageEncoder[] encoders = [new GifEncoder(), new BmpEncoder { BitsPerPixel = BmpBitsPerPixel.Pixel8 }];
        foreach (IImageEncoder encoder in encoders)
        {
            RawMask mask = ImageFile.DecodeMask("x", Encode(s_few, encoder));
            Assert.That(mask.Encoding, Is.EqualTo(MaskEncoding.Palette));
            Assert.That(mask.Values.Select(index => mask.Palette![index]), Is.EqualTo(expected));
        }
    }

    [Test]
    public void An_animation_gives_its_first_frame_and_a_note()
    {
        using Image<Rgb24> picture = SixLabors.ImageSharp.Image.LoadPixelData<Rgb24>(s_few.Pixels, 37, 29);
        using Image<Rgb24> second = new(37, 29);
        picture.Frames.AddFrame(second.Frames.RootFrame);
        MemoryStream file = new();
        picture.Save(file, new GifEncoder());
        ImageWithNotes read = ImageFile.Read(Folder.Write("x.gif", file.ToArray()));
        AssertSame(read.Image, s_few);
        Assert.That(read.Notes, Is.EqualTo(new[] { "an animation; the first of 2 frames is taken" }));
    }

    [Test]
    public void A_mask_may_be_gray_in_three_channels_or_stand_in_the_opacity()
    {
        byte[] gray = [0, 5, 5, 5, 0, 0, 0, 9, 9, 9];
        RawMask mask = ImageFile.DecodeMask("x", Pictures.Png(3, 1, 8, 2, 0, gray));
        Assert.That((mask.Encoding, mask.Values), Is.EqualTo((MaskEncoding.Gray, new[] { 5, 0, 9 })));
        byte[] color = [0, 255, 0, 1, 0, 0, 0];
        mask = ImageFile.DecodeMask("x", Pictures.Png(2, 1, 8, 2, 0, color));
        Assert.That((mask.Encoding, mask.Values), Is.EqualTo((MaskEncoding.Color, new[] { 0xFF0001, 0 })));
        byte[] alpha = [0, 1, 2, 3, 0, 1, 2, 3, 255];
        mask = ImageFile.DecodeMask("x", Pictures.Png(2, 1, 8, 6, 0, alpha));
        Assert.That((mask.Encoding, mask.Values), Is.EqualTo((MaskEncoding.Alpha, new[] { 0, 255 })));
        byte[] opaque = [0, 1, 1, 1, 255, 3, 3, 3, 255];
        mask = ImageFile.DecodeMask("x", Pictures.Png(2, 1, 8, 6, 0, opaque));
        Assert.That((mask.Encoding, mask.Values, mask.Opacity), Is.EqualTo((MaskEncoding.Gray, new[] { 1, 3 }, (byte?)null)));
        byte[] clear = [0, 9, 9, 9, 0, 9, 9, 9, 0];
        mask = ImageFile.DecodeMask("x", Pictures.Png(2, 1, 8, 6, 0, clear));
        Assert.That((mask.Encoding, mask.Values, mask.Opacity), Is.EqualTo((MaskEncoding.Gray, new[] { 9, 9 }, (byte?)0)));
        foreach ((byte level, byte? opacity) in new (byte, byte?)[] { (0, 0), (255, 255), (9, null) })
        {
            byte[] uniform = [0, level, level, level, 255, level, level, level, 255];
            Assert.That(ImageFile.DecodeMask("x", Pictures.Png(2, 1, 8, 6, 0, uniform)).Opacity, Is.EqualTo(opacity), $"opaque {level}");
        }
        byte[] wide = [0, 0x12, 0x34, 0xFF, 0xFF];
        mask = ImageFile.DecodeMask("x", Pictures.Png(2, 1, 16, 0, 0, wide));
        Assert.That((mask.Encoding, mask.Values), Is.EqualTo((MaskEncoding.Gray, new[] { 0x1234, 0xFFFF })));
        ImageWithNotes read = ImageFile.Read(Folder.Write("x.png", Pictures.Png(2, 1, 8, 6, 0, alpha)));
        Assert.That(read.Notes, Is.EqualTo(new[] { "transparency is left out" }));
    }

    /// <summary>Orientation 6: the first row of the file is the right column of the picture.</summary>
    [Test]
    public void A_jpeg_and_its_mask_are_turned_as_the_camera_was_held()
    {
        byte[] exif = [.. "Exif\0\0"u8, .. "II*\0"u8, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0];
        byte[] jpeg = Pictures.Jpeg(Pictures.Smooth(24, 16, 1), 1);
        byte[] turned = [.. jpeg[..2], 0xFF, 0xE1, 0, (byte)(exif.Length + 2), .. exif, .. jpeg[2..]];
        Image upright = ImageFile.Decode("x", jpeg), image = ImageFile.Decode("x", turned);
        RawMask mask = ImageFile.DecodeMask("x", turned);
        Assert.That((image.Width, image.Height, mask.Width, mask.Height), Is.EqualTo((16, 24, 16, 24)));
        for (int y = 0; y < 24; y++)
            for (int x = 0; x < 16; x++)
            {
                Assert.That(image.Pixels[y * 16 + x], Is.EqualTo(upright.Pixels[(15 - x) * 24 + y]));
                Assert.That(mask.Values[y * 16 + x], Is.EqualTo(image.Pixels[y * 16 + x]));
            }
    }

    [Test]
    public void A_jpeg_that_lacks_its_end_is_read_and_one_that_lacks_half_is_refused()
    {
        Image picture = Pictures.Smooth(64, 64, 3);
        byte[] file = Pictures.Jpeg(picture, 1);
        AssertSame(Load("tail.jpg", file[..^2]), ImageFile.Decode("x", file));
        ImageWithNotes few = ImageFile.Read(Folder.Write("few.jpg", file[..^40]));
        Assert.That(few.Notes, Has.Count.EqualTo(1).And.One.Contains("cut short"));
        Assert.That(
            () => ImageFile.DecodeMask("few.jpg", file[..^40]),
            Throws.TypeOf<ImageException>().With.Message.StartsWith("few.jpg: cut short; about ").And.Message.Contains("a whole mask"));
        AssertRefused("half.jpg", file[..(file.Length / 2)], "cut short");
    }

    [Test]
    public void Twelve_bits_in_sixteen_keep_their_levels()
    {
        ushort[] samples = [.. Enumerable.Range(0, 4096).Select(i => (ushort)i)];
        string path = Folder.Write("x.png", new Image(64, 64, 1, samples));
        ImageWithNotes read = ImageFile.Read(path);
        Assert.That(read.Notes, Is.EqualTo(new[] { "values up to 4095: 12 bits in a file of 16" }));
        Assert.That(read.Image.To8Bit().Pixels.Distinct().Count(), Is.EqualTo(256));
        Assert.That(() => read.Image.Pixels, Throws.InvalidOperationException);
    }
}
