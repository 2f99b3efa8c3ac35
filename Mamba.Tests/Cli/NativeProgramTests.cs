using System.Diagnostics;
using Mamba.Core.Simd;
using Mamba.Tests.Support;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats;
using SixLabors.ImageSharp.Formats.Bmp;
using SixLabors.ImageSharp.Formats.Gif;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.Formats.Png;
using SixLabors.ImageSharp.Formats.Tga;
using SixLabors.ImageSharp.Formats.Tiff;
using SixLabors.ImageSharp.Formats.Tiff.Constants;
using SixLabors.ImageSharp.Formats.Webp;
using SixLabors.ImageSharp.PixelFormats;

namespace Mamba.Tests.Cli;

/// <summary>
/// Native programs give what this process gives. MAMBA_NATIVE names them, separated by ';': a file, or an emulator and a file separated by
/// a space. Native code lacks what trimming took away, and decoders are large: every format and every kind of pixel is read.
/// </summary>
internal sealed class NativeProgramTests : CliTest
{
    private static string[] Programs => Environment.GetEnvironmentVariable("MAMBA_NATIVE") is { Length: > 0 } list ? list.Split(';') : [];

    [Test]
    public void Pictures_of_every_format_give_the_same_masks_and_overlays()
    {
        if (Programs.Length == 0) Assert.Ignore("MAMBA_NATIVE names no native program.");
        string pictures = In("pictures"), weights = BestOf("run");
        Directory.CreateDirectory(pictures);
        int count = WritePictures(pictures);
        using IDisposable _ = Isa.Use(VectorWidth.V128);
        Succeeds("train", "--limit", "10", "--size", "32", "--epochs", "1", "--out", In("run"));
        Succeeds("infer", "--weights", weights, pictures, "--out", In("managed"));
        string[] expected = [.. Directory.GetFiles(In("managed"), "*.png")];
        Assert.That(expected, Has.Length.EqualTo(2 * count), "a mask and an overlay for each picture");
        foreach (string program in Programs)
        {
            string output = In("native" + Array.IndexOf(Programs, program));
            Run(program, "infer", "--weights", weights, pictures, "--out", output);
            foreach (string file in expected)
                Assert.That(
                    File.ReadAllBytes(Path.Combine(output, Path.GetFileName(file))), Is.EqualTo(File.ReadAllBytes(file)),
                    $"{program}: {Path.GetFileName(file)}");
        }
    }

    [Test]
    public void Plots_and_weights_of_a_training_are_the_same()
    {
        if (Programs.Length == 0) Assert.Ignore("MAMBA_NATIVE names no native program.");
        string[] train = ["train", "--limit", "10", "--size", "32", "--epochs", "2", "--threads", "2", "--out"];
        using IDisposable _ = Isa.Use(VectorWidth.V128);
        Succeeds([.. train, In("managed")]);
        foreach (string program in Programs)
        {
            string name = "native" + Array.IndexOf(Programs, program);
            Run(program, [.. train, In(name)]);
            Assert.That(Last(name), Is.EqualTo(Last("managed")), program);
            Assert.That(File.ReadAllText(In(name, "curves.svg")), Is.EqualTo(File.ReadAllText(In("managed", "curves.svg"))), program);
        }
    }

    [TestCase("study", "run", "quick")]
    [TestCase("explain", "--weights", "w", "slice.png")]
    public void Verbs_that_are_left_out_say_so(params string[] words)
    {
        if (Programs.Length == 0) Assert.Ignore("MAMBA_NATIVE names no native program.");
        foreach (string program in Programs)
        {
            (int code, string error) = Start(program, words);
            Assert.That(code, Is.EqualTo(2), program);
            Assert.That(error, Does.StartWith($"mamba: {words[0]} is not part of native programs").And.Contain("dotnet run"), program);
        }
    }

    private static void Run(string program, params string[] arguments)
    {
        (int code, string error) = Start(program, arguments);
        Assert.That(code, Is.Zero, $"{program}: {error}");
    }

    private static (int Code, string Error) Start(string program, params string[] arguments)
    {
        string[] words = [.. program.Split(' '), .. arguments];
        ProcessStartInfo start = new(words[0], words[1..]) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["MAMBA_ISA"] = "v128"; // what x64 and ARM64 have in common
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, error.Result);
    }

    /// <summary>Writes pictures with <see cref="SixLabors.ImageSharp"/>'s encoders, and returns how many.</summary>
    private static int WritePictures(string folder)
    {
        (string Name, IImageEncoder Encoder)[] kinds =
        [
            .. from color in new[] { PngColorType.Grayscale, PngColorType.GrayscaleWithAlpha, PngColorType.Rgb, PngColorType.RgbWithAlpha }
               from depth in new[] { PngBitDepth.Bit8, PngBitDepth.Bit16 }
               select ($"png-{color}-{depth}.png", (IImageEncoder)new PngEncoder { ColorType = color, BitDepth = depth }),
            ("palette.png", new PngEncoder { ColorType = PngColorType.Palette, BitDepth = PngBitDepth.Bit8 }),
            ("color.jpg", new JpegEncoder { ColorType = JpegColorType.YCbCrRatio420 }),
            ("gray.jpg", new JpegEncoder { ColorType = JpegColorType.Luminance }),
            .. from packing in new[] { TiffCompression.None, TiffCompression.Lzw, TiffCompression.Deflate, TiffCompression.PackBits }
               from bits in new[] { TiffBitsPerPixel.Bit24, TiffBitsPerPixel.Bit8 }
               select ($"{packing}-{bits}.tif", (IImageEncoder)new TiffEncoder { Compression = packing, BitsPerPixel = bits }),
            ("fax.tif", new TiffEncoder { Compression = TiffCompression.CcittGroup4Fax, BitsPerPixel = TiffBitsPerPixel.Bit1 }),
            ("jpeg.tif", new TiffEncoder { Compression = TiffCompression.Jpeg, BitsPerPixel = TiffBitsPerPixel.Bit24 }),
            ("bmp-24.bmp", new BmpEncoder { BitsPerPixel = BmpBitsPerPixel.Pixel24 }),
            ("bmp-8.bmp", new BmpEncoder { BitsPerPixel = BmpBitsPerPixel.Pixel8 }),
            ("gif.gif", new GifEncoder()),
            ("tga-24.tga", new TgaEncoder { BitsPerPixel = TgaBitsPerPixel.Pixel24 }),
            ("tga-32.tga", new TgaEncoder { BitsPerPixel = TgaBitsPerPixel.Pixel32, Compression = TgaCompression.RunLength }),
            ("tga-gray.tga", new TgaEncoder { BitsPerPixel = TgaBitsPerPixel.Pixel8 }),
            ("lossless.webp", new WebpEncoder { FileFormat = WebpFileFormatType.Lossless }),
            ("lossy.webp", new WebpEncoder { FileFormat = WebpFileFormatType.Lossy }),
        ];
        using Image<Rgba64> picture = new(40, 32);
        picture.ProcessPixelRows(rows =>
        {
            for (int y = 0; y < rows.Height; y++)
                for (int x = 0; x < rows.Width; x++)
                    rows.GetRowSpan(y)[x] = new Rgba64(
                        (ushort)(1600 * x), (ushort)(2000 * y), (ushort)(37 * x * y), (ushort)(65535 - 20 * x));
        });
        foreach ((string name, IImageEncoder encoder) in kinds) picture.Save(Path.Combine(folder, name), encoder);
        return kinds.Length;
    }
}
