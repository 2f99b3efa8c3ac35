using System.Runtime.InteropServices;
using JpegLibrary;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The reader of JPEG against JpegLibrary, and against files that were made to do harm.</summary>
internal sealed class JpegTests : FormatTest
{
    private static readonly byte[] s_whole = JpegSamples.ProgressiveFull;

    public static IEnumerable<TestCaseData> Samples =>
    [
        .. new (string Name, byte[] File)[]
        {
            (nameof(JpegSamples.Progressive), JpegSamples.Progressive), (nameof(JpegSamples.ProgressiveFull), JpegSamples.ProgressiveFull),
            (nameof(JpegSamples.ProgressiveGray), JpegSamples.ProgressiveGray),
            (nameof(JpegSamples.Restarts), JpegSamples.Restarts), (nameof(JpegSamples.Quarter), JpegSamples.Quarter),
            ("baseline", Pictures.Jpeg(Pictures.Smooth(45, 35, 3), 2)),
        }.Select(sample => new TestCaseData(sample.File).SetArgDisplayNames(sample.Name)),
    ];

    public static IEnumerable<TestCaseData> Hostile =>
    [
        Bad("nothing else", [0xFF, 0xD8], "ends at byte 2 without"),
        Bad("no marker", [0xFF, 0xD8, 0x00, 0x01], "without a frame"),
        Bad("no frame", [0xFF, 0xD8, 0xFF, 0xD9], "without a frame"),
        Bad("a segment without a length", [0xFF, 0xD8, 0xFF, 0xE0, 0], "segment of 0 bytes"),
        Bad("a segment that is shorter than its length", [0xFF, 0xD8, 0xFF, 0xE0, 0, 1], "segment of 1 bytes"),
        Bad("a segment beyond the file", [0xFF, 0xD8, 0xFF, 0xE0, 0xFF, 0xFF], "segment of 65535 bytes"),
        Bad("arithmetic codes", [0xFF, 0xD8, 0xFF, 0xC9, 0, 2], "arithmetic codes"),
        Bad("no lossless picture", [0xFF, 0xD8, 0xFF, 0xC3, 0, 2], "lossless"),
        Bad("lines that are counted later", [0xFF, 0xD8, 0xFF, 0xDC, 0, 2], "after its pixels"),
        Bad("cut short in a scan", s_whole[..(Segments(s_whole, 0xDA)[0].End + 2)], "cut short"),
        Bad("two frames", Twice(0xC2), "two frames"),
        Bad("a scan before its frame", Without(0xC2), "which the frame before it lacks"),
        Bad("no Huffman table", Without(0xC4), "Huffman table"),
        Bad("no quantization table", Without(0xDB), "quantization table"),
        Bad("no restart markers", WithoutRestarts(), "restart marker"),
        Bad("a Huffman table of too many codes", With(0xC4, body => body[1] = 3), "Huffman table"),
        Bad(
            "a Huffman table that is no tree", With(0xC4, body => (body[1], body[3]) = (3, (byte)Math.Max(0, body[3] - 3))),
            "uffman table"),
        Bad("a Huffman table of another number", With(0xC4, body => body[0] = 0x04), "tables 0 to 3"),
        Bad("a quantization table of another number", With(0xDB, body => body[0] = 0x24), "tables 0 to 3"),
        Bad("12 bits", With(0xC2, body => body[0] = 12), "12 bits"),
        Bad("no rows", With(0xC2, body => body[1] = body[2] = 0), "at least 1 x 1"),
        Bad("4 components", [0xFF, 0xD8, 0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4, 1, 17, 0, 2, 17, 0, 3, 17, 0, 4, 17, 0], "4 channels (CMYK)"),
        Bad("5 samples across", With(0xC2, body => body[7] = 0x51), "sampled 5 x 1"),
        Bad("no samples", With(0xC2, body => body[7] = 0), "sampled 0 x 0"),
        Bad("a large picture in a small file", With(0xC2, body => body[1] = body[3] = 0x1F), "expected more image data"),
        Bad(
            "a wide picture, padded to four rows of blocks", With(0xC2, body => (body[2], body[3], body[7]) = (1, 0xFF, 0x44)),
            "expected more image data"),
        Bad("more than the most pixels", With(0xC2, body => body[1] = body[3] = 0xFF), "at most 67108864"),
        Bad("coefficients of several components", Scan([3, 1, 0, 2, 0, 3, 0, 1, 5, 0]), "Huffman table"),
        Bad("coefficients beyond the block", Scan([1, 1, 0, 1, 64, 0]), "Huffman table"),
        Bad("coefficients and means", Scan([1, 1, 0, 0, 5, 0]), "progressive parameters"),
        Bad("coefficients backwards", Scan([1, 1, 0, 5, 1, 0]), "Huffman table"),
        Bad("bits beyond the number", Scan([1, 1, 0, 0, 0, 14]), "progressive parameters"),
        Bad("two bits refined at once", Scan([1, 1, 0, 0, 0, 0x31]), "progressive parameters"),
        Bad("a component that is not there", Scan([1, 9, 0, 0, 0, 0]), "component 9"),
        Bad("a component twice", Scan([2, 1, 0, 1, 0, 0, 0, 0]), "JPEG"),
        Bad("a Huffman table beyond all", Scan([1, 1, 0xF0, 0, 0, 0]), "Huffman table"),
        Bad("scans without end", Scans(60), "at most 256 blocks for a byte"),
    ];

    [TestCaseSource(nameof(Samples))]
    public void Pictures_are_those_of_another_decoder(byte[] file)
    {
        Image image = ImageFile.Decode("x", file);
        JpegDecoder decoder = new();
        decoder.SetInput(file);
        decoder.Identify();
        Planes planes = new(image.Width, image.Height, image.Channels);
        decoder.SetOutputWriter(planes);
        decoder.Decode();
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((decoder.Width, decoder.Height, decoder.NumberOfComponents)));
        double[] errors = [.. image.Pixels.Zip(planes.Rgb(), (p, q) => Math.Abs(p - q))];
        Assert.That(errors.Max(), Is.LessThanOrEqualTo(3), "a sample may be rounded otherwise, which red and blue nearly double");
        Assert.That(errors.Average(), Is.LessThan(0.1));
    }

    [Test]
    public void Red_green_and_blue_need_no_conversion()
    {
        Image rgb = ImageFile.Decode("rgb", JpegSamples.Rgb), ycc = ImageFile.Decode("ycc", JpegSamples.ProgressiveFull);
        Assert.That(
            rgb.Pixels.Zip(ycc.Pixels, (p, q) => Math.Abs(p - q)).Average(), Is.LessThan(6), "the same picture at the same quality");
    }

    [Test]
    public void A_few_scans_that_add_nothing_do_no_harm() =>
        Assert.That(ImageFile.Decode("x", Scans(10)).Pixels, Has.Length.EqualTo(1_000_000).And.All.EqualTo(128));

    [TestCaseSource(nameof(Hostile))]
    public void Hostile_files_are_refused(byte[] file, string problem)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(
            () => ImageFile.Decode("x.jpg", file),
            Throws.TypeOf<ImageException>().With.Message.StartsWith("x.jpg: ").And.Message.Contains(problem));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(4 << 20));
    }

    private static TestCaseData Bad(string name, byte[] file, string problem) => new TestCaseData(file, problem).SetArgDisplayNames(name);

    /// <summary>The places of the segments of a kind: marker, length and body.</summary>
    private static List<(int Begin, int End)> Segments(byte[] file, int marker)
    {
        List<(int, int)> found = [];
        for (int at = 2; at + 3 < file.Length; at++)
            if (file[at] == 0xFF && file[at + 1] == marker) found.Add((at, at + 2 + (file[at + 2] << 8 | file[at + 3])));
        return found;
    }

    private static byte[] Without(int marker)
    {
        byte[] file = s_whole;
        foreach ((int begin, int end) in Enumerable.Reverse(Segments(file, marker))) file = [.. file[..begin], .. file[end..]];
        return file;
    }

    private static byte[] Twice(int marker)
    {
        (int begin, int end) = Segments(s_whole, marker)[0];
        return [.. s_whole[..end], .. s_whole[begin..]];
    }

    private static byte[] With(int marker, Action<Span<byte>> edit)
    {
        byte[] file = [.. s_whole];
        (int begin, int end) = Segments(file, marker)[0];
        edit(file.AsSpan((begin + 4)..end));
        return file;
    }

    private static byte[] WithoutRestarts()
    {
        List<byte> file = [.. s_whole];
        for (int at = file.Count - 2; at >= 0; at--)
            if (file[at] == 0xFF && file[at + 1] is >= 0xD0 and <= 0xD7) file.RemoveRange(at, 2);
        return [.. file];
    }

    /// <summary>The file with another header of its first scan, and nothing behind it.</summary>
    private static byte[] Scan(byte[] body) =>
        [.. s_whole[..Segments(s_whole, 0xDA)[0].Begin], 0xFF, 0xDA, 0, (byte)(2 + body.Length), .. body];

    /// <summary>
    /// A gray picture of 1000 x 1000, black and white at one bit per block. Then come scans that add nothing to it in one run of blocks,
    /// two bytes each.
    /// </summary>
    private static byte[] Scans(int count)
    {
        byte[] nothing = [0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 63, 0, 0, 0];
        return
        [
            0xFF, 0xD8, 0xFF, 0xC2, 0, 11, 8, 3, 0xE8, 3, 0xE8, 1, 1, 0x11, 0, 0xFF, 0xC4, 0, 38, 0, 1, .. new byte[15], 0, 0x10, 1,
            .. new byte[15], 0xE0,
            0xFF, 0xDB, 0, 67, 0, .. new byte[64], 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0, .. new byte[125 * 125 / 8 + 1],
            .. Enumerable.Repeat(nothing, count).SelectMany(scan => scan), 0xFF, 0xD9,
        ];
    }

    /// <summary>What JpegLibrary gives, to RGB by the formula of JFIF.</summary>
    private sealed class Planes(int width, int height, int channels) : JpegBlockOutputWriter
    {
        private readonly double[] _samples = new double[width * height * channels];

        public override void WriteBlock(ref short blockRef, int componentIndex, int x, int y)
        {
            ReadOnlySpan<short> block = MemoryMarshal.CreateReadOnlySpan(ref blockRef, 64);
            for (int j = 0; j < Math.Min(height - y, 8); j++)
                for (int i = 0; i < Math.Min(width - x, 8); i++)
                    _samples[((y + j) * width + x + i) * channels + componentIndex] = Math.Clamp((int)block[8 * j + i], 0, 255);
        }

        public IEnumerable<double> Rgb()
        {
            for (int i = 0; i < _samples.Length; i += channels)
            {
                double luma = _samples[i],
                    blue = channels == 3 ? _samples[i + 1] - 128 : 0,
                    red = channels == 3 ? _samples[i + 2] - 128 : 0;
                yield return Math.Clamp(Math.Round(luma + 1.402 * red), 0, 255);
                if (channels == 1) continue;
                yield return Math.Clamp(Math.Round(luma - 0.344136 * blue - 0.714136 * red), 0, 255);
                yield return Math.Clamp(Math.Round(luma + 1.772 * blue), 0, 255);
            }
        }
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
}
