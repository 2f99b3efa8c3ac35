using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Frames of cameras: their colors against double precision, and their results against the same region as a picture.</summary>
internal sealed class FrameTests
{
    private const int Side = 32;

    private static IEnumerable<PixelFormat> Formats => Enum.GetValues<PixelFormat>();

    /// <summary>Values of Y, Cb and Cr in steps, with the ends of the ranges: each color is the nearest byte of the exact one.</summary>
    [Test]
    public void Colors_are_those_of_the_recommendations([Values] YuvMatrix matrix, [Values] bool fullRange)
    {
        byte[] steps = [.. Enumerable.Range(0, 52).Select(i => (byte)(5 * i)), 1, 15, 16, 17, 127, 128, 129, 234, 236, 239, 241, 254];
        FrameFormat format = new(2, 1, PixelFormat.Yuyv) { Matrix = matrix, FullRange = fullRange };
        FrameReader reader = new();
        double worst = 0;
        foreach (byte y in steps)
            foreach (byte cb in steps)
                foreach (byte cr in steps)
                {
                    Image image = reader.Read([y, cb, (byte)(255 - y), cr], format);
                    worst = Math.Max(worst, Distance(Exact(y, cb, cr, matrix, fullRange), image.Pixels.AsSpan(0, 3)));
                    worst = Math.Max(worst, Distance(Exact(255 - y, cb, cr, matrix, fullRange), image.Pixels.AsSpan(3, 3)));
                    reader.Return(image);
                }
        Assert.That(worst, Is.InRange(0.49, 0.501), "rounding to a byte is half a step, and the fixed point adds 0.001");

        static double Distance(double[] exact, ReadOnlySpan<byte> found)
        {
            double worst = 0;
            for (int c = 0; c < 3; c++) worst = Math.Max(worst, Math.Abs(exact[c] - found[c]));
            return worst;
        }
    }

    /// <summary>Known colors, by the tables of the recommendations: white, black, and the reds of both at limited range.</summary>
    [TestCase(YuvMatrix.Bt601, false, 235, 128, 128, 255, 255, 255)]
    [TestCase(YuvMatrix.Bt601, false, 16, 128, 128, 0, 0, 0)]
    [TestCase(YuvMatrix.Bt601, false, 81, 90, 240, 254, 0, 0)]
    [TestCase(YuvMatrix.Bt709, false, 63, 102, 240, 255, 1, 0)]
    [TestCase(YuvMatrix.Bt601, true, 76, 85, 255, 254, 0, 0)]
    public void Known_colors(YuvMatrix matrix, bool fullRange, int y, int cb, int cr, int red, int green, int blue)
    {
        Image image = new FrameReader().Read(
            [(byte)y, (byte)cb, (byte)y, (byte)cr], new FrameFormat(2, 1, PixelFormat.Yuyv) { Matrix = matrix, FullRange = fullRange });
        Assert.That(image.Pixels.Select(v => (int)v), Is.EqualTo(new[] { red, green, blue, red, green, blue }));
    }

    /// <summary>Every format, with and without a stride, whole and in regions that begin at odd and even places.</summary>
    [Test]
    public void A_region_becomes_the_picture_of_its_pixels(
        [ValueSource(nameof(Formats))] PixelFormat pixels, [Values(0, 13)] int gap,
        [Values("0,0,14,10", "1,0,5,3", "2,1,6,4", "3,3,11,7", "13,9,1,1", "4,2,1,5")] string region)
    {
        const int width = 14, height = 10;
        int[] r = [.. region.Split(',').Select(int.Parse)];
        (byte[] frame, int stride) = Frame(width, height, pixels, gap);
        FrameFormat format = new(width, height, pixels) { Stride = stride, Region = new PixelRegion(r[0], r[1], r[2], r[3]) };
        Image image = new FrameReader().Read(frame, format);
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((r[2], r[3], pixels == PixelFormat.Gray8 ? 1 : 3)));
        for (int y = 0; y < r[3]; y++)
            for (int x = 0; x < r[2]; x++)
            {
                double[] expected = Pixel(frame, stride, height, pixels, r[0] + x, r[1] + y);
                for (int c = 0; c < image.Channels; c++)
                    Assert.That(
                        image.Pixels[(y * r[2] + x) * image.Channels + c], Is.EqualTo(expected[c]).Within(0.501), $"({x}, {y}) {c}");
            }
    }

    [Test]
    public void A_frame_is_segmented_as_its_picture(
        [ValueSource(nameof(Formats))] PixelFormat pixels, [Values(1, 3)] int classes, [Values(0, 1, 2)] int kind)
    {
        using Segmenter segmenter = Segmenter(classes, kind);
        (byte[] frame, int stride) = Frame(80, 60, pixels, 4);
        FrameFormat format = new(80, 60, pixels) { Stride = stride, Region = new PixelRegion(3, 5, 71, 50) };
        Image image = new FrameReader().Read(frame, format);
        byte[] mask = new byte[71 * 50], expected = new byte[mask.Length];
        float[] probabilities = new float[mask.Length * classes], expectedProbabilities = new float[probabilities.Length];
        SegmentedFrame result = segmenter.Segment(frame, format, mask, probabilities);
        Assert.That(segmenter.Segment(image, expected), Is.EqualTo(result.Area));
        segmenter.Probabilities(image, expectedProbabilities);
        Assert.That(mask, Is.EqualTo(expected));
        Assert.That(probabilities, Is.EqualTo(expectedProbabilities));
        Assert.That((result.Status, result.Milliseconds > 0), Is.EqualTo((FrameStatus.Complete, true)));
        // A generous budget, and results of which one is not wanted.
        Array.Clear(mask);
        Array.Clear(probabilities);
        TimeSpan budget = TimeSpan.FromMinutes(5);
        Assert.That(segmenter.Segment(frame, format, mask, budget: budget).Status, Is.EqualTo(FrameStatus.Complete));
        Assert.That(segmenter.Segment(frame, format, default, probabilities, budget).Area, Is.Zero);
        Assert.That(mask, Is.EqualTo(expected));
        Assert.That(probabilities, Is.EqualTo(expectedProbabilities));
    }

    [Test]
    public void A_frame_is_classified_as_its_picture([ValueSource(nameof(Formats))] PixelFormat pixels)
    {
        using Classifier classifier = Classifier();
        (byte[] frame, int stride) = Frame(40, 36, pixels, 0);
        FrameFormat format = new(40, 36, pixels) { Stride = stride, Region = new PixelRegion(2, 1, 33, 35) };
        float[] found = new float[10], expected = new float[10];
        ClassifiedFrame result = classifier.Classify(frame, format, found);
        classifier.Classify(new FrameReader().Read(frame, format), expected);
        Assert.That(found, Is.EqualTo(expected));
        Assert.That(result.Best, Is.EqualTo(Array.IndexOf(expected, expected.Max())));
        Assert.That(classifier.Classify(frame, format, found, TimeSpan.FromMinutes(5)).Status, Is.EqualTo(FrameStatus.Complete));
        Assert.That(found, Is.EqualTo(expected));
    }

    /// <summary>A frame that runs out of time at any operator leaves the caller's memory as it was, and says so.</summary>
    [Test]
    public void A_frame_out_of_time_writes_nothing([Values(0, 1, 2)] int kind)
    {
        using Segmenter segmenter = Segmenter(1, kind);
        (byte[] frame, int stride) = Frame(80, 60, PixelFormat.Rgb24, 0);
        FrameFormat format = new(80, 60, PixelFormat.Rgb24) { Stride = stride };
        byte[] mask = new byte[80 * 60], right = new byte[mask.Length];
        float[] probabilities = new float[mask.Length];
        SegmentedFrame result = segmenter.Segment(frame, format, right);
        int late = 0;
        foreach (double share in new[] { -1, 0, 1e-4, 0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8 })
        {
            Array.Fill(mask, (byte)77);
            Array.Fill(probabilities, 77f);
            TimeSpan budget = TimeSpan.FromMilliseconds(share * result.Milliseconds);
            SegmentedFrame cut = segmenter.Segment(frame, format, mask, probabilities, budget);
            if (cut.Status == FrameStatus.OutOfTime)
            {
                late++;
                Assert.That(mask, Is.All.EqualTo((byte)77));
                Assert.That(probabilities, Is.All.EqualTo(77f));
                Assert.That(() => cut.Area, Throws.InvalidOperationException.With.Message.Contains("Status"));
            }
            else Assert.That(mask, Is.EqualTo(right));
        }
        Assert.That(late, Is.GreaterThanOrEqualTo(3), "budgets of nothing are exceeded");
        Assert.That(segmenter.Segment(frame, format, mask).Status, Is.EqualTo(FrameStatus.Complete), "no limit is left behind");
        Assert.That(mask, Is.EqualTo(right));
    }

    [Test]
    public void A_classifier_out_of_time_writes_nothing_and_an_outer_limit_is_the_callers_own()
    {
        using Classifier classifier = Classifier();
        byte[] frame = new byte[Side * Side];
        FrameFormat format = new(Side, Side, PixelFormat.Gray8);
        float[] probabilities = [.. Enumerable.Repeat(7f, 10)];
        ClassifiedFrame cut = classifier.Classify(frame, format, probabilities, TimeSpan.Zero);
        Assert.That(cut.Status, Is.EqualTo(FrameStatus.OutOfTime));
        Assert.That(() => cut.Best, Throws.InvalidOperationException);
        Assert.That(probabilities, Is.All.EqualTo(7f));
        using (TimeLimit outer = new(TimeSpan.Zero))
        {
            Assert.That(outer.HasPassed);
            Assert.That(
                () => classifier.Classify(frame, format, probabilities, TimeSpan.FromMinutes(5)), Throws.TypeOf<TimeLimitException>());
            Assert.That(() => classifier.Classify(frame, format, probabilities), Throws.TypeOf<TimeLimitException>());
        }
        Assert.That(classifier.Classify(frame, format, probabilities).Status, Is.EqualTo(FrameStatus.Complete));
    }

    [Test]
    public void A_stream_of_frames_allocates_nothing([ValueSource(nameof(Formats))] PixelFormat pixels, [Values(0, 1)] int kind)
    {
        using Segmenter segmenter = Segmenter(1, kind);
        using Classifier classifier = Classifier();
        (byte[] frame, int stride) = Frame(80, 60, pixels, 0);
        FrameFormat format = new(80, 60, pixels) { Stride = stride, Region = new PixelRegion(3, 5, 71, 50) };
        byte[] mask = new byte[71 * 50];
        float[] probabilities = new float[mask.Length], classes = new float[10];
        long last = -1;
        for (int i = 0; i < 50 && last != 0; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            segmenter.Segment(frame, format, mask, probabilities, TimeSpan.FromMinutes(5));
            classifier.Classify(frame, format, classes, TimeSpan.FromMinutes(5));
            last = GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Assert.That(last, Is.Zero);
    }

    [Test]
    public void What_does_not_fit_is_refused_at_the_door()
    {
        using Segmenter segmenter = Segmenter(1, 0);
        using Classifier classifier = Classifier();
        FrameFormat gray = new(8, 6, PixelFormat.Gray8);
        Refuse(gray, 47, 48, "48 for 8 x 6 Gray8");
        Refuse(gray with { Stride = 7 }, 100, 48, "at least 8");
        Refuse(gray with { Stride = 10 }, 57, 48, "58");
        Refuse(gray with { Stride = int.MaxValue }, 100, 48, "expected");
        Refuse(gray with { Width = 0 }, 100, 48, "0 x 6");
        Refuse(gray with { Height = -1 }, 100, 48, "8 x -1");
        Refuse(gray with { Width = int.MaxValue, Height = int.MaxValue }, 100, 48, "Image.MaxPixels");
        Refuse(gray with { Pixels = (PixelFormat)9 }, 100, 48, "listed");
        Refuse(gray with { Matrix = (YuvMatrix)9 }, 100, 48, "listed");
        Refuse(new FrameFormat(7, 6, PixelFormat.Yuyv), 100, 42, "even width");
        Refuse(new FrameFormat(8, 5, PixelFormat.Nv12), 100, 40, "even width and height");
        Refuse(new FrameFormat(8, 6, PixelFormat.Nv12), 71, 48, "72");
        Refuse(new FrameFormat(8, 6, PixelFormat.Yuyv), 95, 48, "96");
        Refuse(new FrameFormat(8, 6, PixelFormat.Bgr24), 143, 48, "144");
        foreach (PixelRegion region in new PixelRegion[]
            { new(-1, 0, 2, 2), new(0, -1, 2, 2), new(0, 0, 0, 2), new(0, 0, 2, 0), new(7, 0, 2, 2), new(0, 5, 2, 2),
            new(1, 0, int.MaxValue, 2) })
            Refuse(gray with { Region = region }, 48, 4, "region");
        Assert.That(() => segmenter.Segment(new byte[48], gray, new byte[47]), Throws.ArgumentException.With.Message.Contains("48"));
        Assert.That(
            () => segmenter.Segment(new byte[48], gray, new byte[48], new float[47]), Throws.ArgumentException.With.Message.Contains("48"));
        Assert.That(() => segmenter.Segment(new byte[48], gray, default), Throws.ArgumentException);
        Assert.That(() => segmenter.Segment(new byte[48], null!, new byte[48]), Throws.ArgumentNullException);
        Assert.That(
            () => classifier.Classify(new byte[48], gray, new float[9]), Throws.ArgumentException.With.Message.Contains("10 classes"));

        void Refuse(FrameFormat format, int bytes, int pixels, string message)
        {
            Assert.That(
                () => segmenter.Segment(new byte[bytes], format, new byte[pixels]),
                Throws.ArgumentException.With.Message.Contains(message));
            Assert.That(
                () => classifier.Classify(new byte[bytes], format, new float[10]), Throws.ArgumentException.With.Message.Contains(message));
        }
    }

    /// <summary>Weights from a stream, of one that cannot be sought, too, and after what precedes them in it.</summary>
    [Test]
    public void Weights_come_from_a_stream()
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "weights.safetensors");
        (VisionModel model, ModelInfo info) = Model(1);
        ModelFile.Save(path, model, info);
        using Segmenter saved = new(model, info);
        byte[] file = File.ReadAllBytes(path), frame = Frame(Side, Side, PixelFormat.Rgb24, 0).Bytes;
        FrameFormat format = new(Side, Side, PixelFormat.Rgb24);
        byte[] mask = new byte[Side * Side], expected = new byte[mask.Length];
        saved.Segment(frame, format, expected);
        using MemoryStream after = new([1, 2, 3, .. file]) { Position = 3 };
        using (Segmenter loaded = Mamba.Models.Inference.Segmenter.Load(after)) loaded.Segment(frame, format, mask);
        Assert.That(mask, Is.EqualTo(expected));
        Assert.That(after.CanRead, "the stream is the caller's");
        using Stream forward = new System.IO.Compression.BrotliStream(
            new MemoryStream(Packed(file)), System.IO.Compression.CompressionMode.Decompress);
        using (Segmenter loaded = Mamba.Models.Inference.Segmenter.Load(forward)) loaded.Segment(frame, format, mask);
        Assert.That(mask, Is.EqualTo(expected));
        Assert.That(
            () => Mamba.Models.Inference.Segmenter.Load(new MemoryStream(file[..^1]), "firmware"),
            Throws.TypeOf<CheckpointException>().With.Message.StartsWith("firmware: "));
        Assert.That(
            () => Mamba.Models.Inference.Classifier.Load(new MemoryStream(file)), Throws.ArgumentException.With.Message.Contains("unet"));
        Assert.That(() => Mamba.Models.Inference.Segmenter.Load((Stream)null!), Throws.ArgumentNullException);
        MemoryStream closed = new(file);
        closed.Dispose();
        Assert.That(() => Mamba.Models.Inference.Segmenter.Load(closed), Throws.TypeOf<CheckpointException>());

        static byte[] Packed(byte[] bytes)
        {
            using MemoryStream to = new();
            using (System.IO.Compression.BrotliStream brotli = new(to, System.IO.Compression.CompressionLevel.Fastest)) brotli.Write(bytes);
            return to.ToArray();
        }
    }

    /// <summary>Bytes of a smooth frame in a format, its rows a gap apart, whose bytes are not zero.</summary>
    private static (byte[] Bytes, int Stride) Frame(int width, int height, PixelFormat pixels, int gap)
    {
        int bytes = pixels switch { PixelFormat.Gray8 or PixelFormat.Nv12 => width, PixelFormat.Yuyv => 2 * width, _ => 3 * width };
        int stride = bytes + gap, rows = pixels == PixelFormat.Nv12 ? height * 3 / 2 : height;
        byte[] frame = new byte[stride * (rows - 1) + bytes];
        for (int i = 0; i < frame.Length; i++)
            frame[i] = (byte)(128 + 90 * Math.Sin(0.23 * (i % stride) + 0.4 * (i / stride)) + 30 * Math.Sin(1.7 * i));
        return (frame, stride);
    }

    /// <summary>The exact colors of a pixel, from the formats' definitions.</summary>
    private static double[] Pixel(byte[] frame, int stride, int height, PixelFormat pixels, int x, int y)
    {
        int row = y * stride;
        switch (pixels)
        {
            case PixelFormat.Gray8: return [frame[row + x]];
            case PixelFormat.Rgb24: return [frame[row + 3 * x], frame[row + 3 * x + 1], frame[row + 3 * x + 2]];
            case PixelFormat.Bgr24: return [frame[row + 3 * x + 2], frame[row + 3 * x + 1], frame[row + 3 * x]];
            case PixelFormat.Nv12:
                int pair = (height + y / 2) * stride + x / 2 * 2;
                return Exact(frame[row + x], frame[pair], frame[pair + 1], YuvMatrix.Bt601, false);
            default: return Exact(frame[row + 2 * x], frame[row + x / 2 * 4 + 1], frame[row + x / 2 * 4 + 3], YuvMatrix.Bt601, false);
        }
    }

    /// <summary>
    /// BT.601 and BT.709 by their definition: Y is the weighted sum of the colors, and Cb and Cr are what blue and red exceed it by, so the
    /// colors solve three equations.
    /// </summary>
    private static double[] Exact(int y, int cb, int cr, YuvMatrix matrix, bool fullRange)
    {
        (double kr, double kg, double kb) = matrix == YuvMatrix.Bt601 ? (0.299, 0.587, 0.114) : (0.2126, 0.7152, 0.0722);
        double range = fullRange ? 255.0 : 224, luma = fullRange ? y / 255.0 : (y - 16) / 219.0;
        double pb = (cb - 128) / range, pr = (cr - 128) / range;
        double red = luma + pr * 2 * (1 - kr), blue = luma + pb * 2 * (1 - kb), green = (luma - kr * red - kb * blue) / kg;
        return [.. new[] { red, green, blue }.Select(v => Math.Clamp(255 * v, 0, 255))];
    }

    private static (VisionModel Model, ModelInfo Info) Model(int classes)
    {
        ModelConfig config = Registry.Find("unet").Config with { Width = 4, Depth = 2, Classes = classes };
        string[] labels = classes == 1 ? ["lesion"] : [.. Enumerable.Range(0, classes).Select(c => $"class {c}")];
        return (Registry.Find("unet").Create(config, seed: 2), new ModelInfo(
            "unet", config, labels, new Normalization([0.4f, 0.5f, 0.6f], [0.2f, 0.25f, 0.3f]),
            new RunData(SplitProtocol.Image, 0, null, Side, Side)));
    }

    /// <summary>0: the frame is resized, 1: it keeps its aspect ratio, 2: it is cut into tiles.</summary>
    private static Segmenter Segmenter(int classes, int kind)
    {
        (VisionModel model, ModelInfo info) = Model(classes);
        return new Segmenter(model, info) { Letterbox = kind == 1, Tiles = kind == 2 ? new TileOptions(Side, 8) : null, Threshold = 0.45f };
    }

    private static Classifier Classifier()
    {
        ModelEntry entry = Registry.Find("vim");
        return new Classifier(entry.Create(entry.Config), new ModelInfo(
            "vim", entry.Config, [.. Enumerable.Range(0, 10).Select(i => $"class {i}")], Normalization.None(3),
            new RunData(SplitProtocol.Image, 0, null, Side, Side)));
    }
}
