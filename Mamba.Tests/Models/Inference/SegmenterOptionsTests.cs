using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Several classes, thresholds, mirror images, letterbox and tiles, against the model run by hand.</summary>
internal sealed class SegmenterOptionsTests
{
    private const int Side = 32;

    [Test]
    public void Several_classes_are_the_most_probable_ones()
    {
        using Segmenter segmenter = Segmenter(classes: 4);
        Image image = Pictures.Smooth(45, 29, 3);
        float[] probabilities = Probabilities(segmenter, image);
        Assert.That(probabilities.Chunk(4).Select(p => p.Sum()), Is.All.EqualTo(1f).Within(1e-5f));
        byte[] expected = [.. probabilities.Chunk(4).Select(p => (byte)Array.IndexOf(p, p.Max()))];
        Segmentation result = segmenter.Segment(image);
        Assert.That(result.Classes.Classes, Is.EqualTo(expected));
        Assert.That(expected.Distinct().Count(), Is.GreaterThan(2), "a test of several classes");
        Assert.That(result.Areas, Is.EqualTo(Enumerable.Range(0, 4).Select(c => expected.Count(e => e == c))));
        Assert.That(result.Area, Is.EqualTo(expected.Count(e => e != 0)));
        Assert.That(result.Mask.Pixels, Is.EqualTo(expected.Select(e => e == 0 ? 0 : 255)));
        Assert.That(result.Confidence, Is.EqualTo(probabilities.Chunk(4).Average(p => p.Max())).Within(1e-6));
        for (int c = 0; c < 4; c++)
            Assert.That(result.LargestComponent(c), Is.EqualTo(ConnectedComponents.Largest(expected, 45, (byte)c)));
        byte[] pixels = new byte[45 * 29];
        Assert.That(segmenter.Segment(image, pixels), Is.EqualTo(result.Area));
        Assert.That(pixels, Is.EqualTo(expected));
    }

    [Test]
    public void A_threshold_moves_the_mask()
    {
        Image image = Pictures.Smooth(40, 30, 3);
        float[] probabilities = Probabilities(Segmenter(), image);
        float threshold = probabilities.Order().ElementAt(900);
        using Segmenter segmenter = Segmenter(make: (model, info) => new Segmenter(model, info) { Threshold = threshold });
        Segmentation result = segmenter.Segment(image);
        Assert.That(result.Mask.Pixels, Is.EqualTo(probabilities.Select(p => p >= threshold ? 255 : 0)));
        Assert.That((result.Area, result.Areas), Is.EqualTo((300, new[] { 900, 300 })), "the threshold itself is in");
        Assert.That(result.Classes.Classes, Is.EqualTo(probabilities.Select(p => p >= threshold ? 1 : 0)));
        Assert.That(
            result.Confidence, Is.EqualTo(probabilities.Average(p => (double)(p >= threshold ? p : 1f - p))).Within(1e-6));
        Assert.That(result.LargestComponent(1), Is.EqualTo(ConnectedComponents.Largest(result.Mask.Pixels, 40, 255)).And.Positive);
        foreach (float bad in new[] { 0f, 1f, -1f, float.NaN })
            Assert.That(
                () => Segmenter(make: (m, i) => new Segmenter(m, i) { Threshold = bad }), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Mirror_images_are_averaged([Values(1, 3)] int classes)
    {
        Image image = Pictures.Smooth(Side, Side, 3);
        using Segmenter plain = Segmenter(classes);
        using Segmenter flips = Segmenter(classes, (model, info) => new Segmenter(model, info) { FlipAugmentation = true });
        float[] expected = new float[Side * Side * classes];
        foreach (bool across in new[] { false, true })
            foreach (bool down in new[] { false, true })
            {
                float[] mirrored = Probabilities(plain, Mirror(image, across, down));
                for (int i = 0; i < expected.Length; i++)
                {
                    int y = i / classes / Side, x = i / classes % Side;
                    int from = (down ? Side - 1 - y : y) * Side + (across ? Side - 1 - x : x);
                    expected[i] += mirrored[from * classes + i % classes] / 4;
                }
            }
        Assert.That(Probabilities(flips, image), Is.EqualTo(expected).Within(1e-6f));
        Assert.That(Probabilities(plain, image), Is.Not.EqualTo(expected).Within(1e-3f), "the model is not symmetric");
    }

    [TestCase(64, 20), TestCase(15, 60), TestCase(16, 16), TestCase(200, 1)]
    public void A_letterbox_keeps_the_aspect_ratio(int width, int height)
    {
        Image image = Pictures.Smooth(width, height, 3);
        using Segmenter segmenter = Segmenter(make: (model, info) => new Segmenter(model, info) { Letterbox = true });
        double scale = Math.Min((double)Side / width, (double)Side / height);
        int h = Math.Max(1, (int)Math.Round(height * scale)), w = Math.Max(1, (int)Math.Round(width * scale));
        int top = (Side - h) / 2, left = (Side - w) / 2;
        float[] small = new float[h * w * 3];
        new BatchWriter(segmenter.Info.Input with { Height = h, Width = w }).Image(image, small);
        Tensor x = Tensor.Zeros(1, Side, Side, 3);
        for (int i = 0; i < small.Length; i++) x.Span[((top + i / 3 / w) * Side + left + i / 3 % w) * 3 + i % 3] = small[i];
        VisionModel model = Model(1);
        Tensor y = Ops.Slice(Ops.Slice(model.Probabilities(model.Segment(x)), 1, top, h), 2, left, w);
        if (h != height || w != width) y = Ops.ResizeBilinear(y, (height, width), alignCorners: false);
        Assert.That(Probabilities(segmenter, image), Is.EqualTo(y.Span.ToArray()).Within(1e-6f));
    }

    [Test]
    public void One_tile_is_the_picture_itself()
    {
        Image image = Pictures.Smooth(Side, Side, 3);
        using Segmenter tiled = Segmenter(make: (model, info) => new Segmenter(model, info) { Tiles = new TileOptions(64, 16) });
        Assert.That(Probabilities(tiled, image), Is.EqualTo(Probabilities(Segmenter(), image)).Within(1e-6f));
    }

    /// <summary>
    /// At each pixel the blend lies between the predictions of the tiles over it: a seam is never larger than what the model itself changes
    /// when its window shifts. And across the border of a tile it is smooth.
    /// </summary>
    [TestCase(100, 70, 32, 8, 1), TestCase(33, 97, 32, 16, 3), TestCase(64, 64, 32, 0, 1), TestCase(50, 20, 32, 31, 2)]
    public void Tiles_are_blended_between_their_predictions(int width, int height, int tile, int overlap, int classes)
    {
        Image image = Pictures.Random(width, height, 3);
        using Segmenter segmenter = Segmenter(
            classes, (model, info) => new Segmenter(model, info) { Tiles = new TileOptions(tile, overlap) });
        float[] blended = Probabilities(segmenter, image);
        float[] low = new float[blended.Length], high = new float[blended.Length];
        Array.Fill(low, float.PositiveInfinity);
        Array.Fill(high, float.NegativeInfinity);
        VisionModel model = Model(classes);
        model.Parameters.Freeze();
        BatchWriter writer = new(segmenter.Info.Input with { Height = Math.Min(tile, height), Width = Math.Min(tile, width) });
        foreach (int top in Starts(height))
            foreach (int left in Starts(width))
            {
                Image part = Part(image, left, top, Math.Min(tile, width), Math.Min(tile, height));
                Tensor x = Tensor.Empty(1, part.Height, part.Width, 3);
                writer.Image(part, x.Span);
                ReadOnlySpan<float> p = model.Probabilities(model.Segment(x)).Span;
                for (int i = 0; i < p.Length; i++)
                {
                    int at = ((top + i / classes / part.Width) * width + left + i / classes % part.Width) * classes + i % classes;
                    (low[at], high[at]) = (Math.Min(low[at], p[i]), Math.Max(high[at], p[i]));
                }
            }
        for (int i = 0; i < blended.Length; i++) Assert.That(blended[i], Is.InRange(low[i] - 1e-5f, high[i] + 1e-5f), $"value {i}");
        Assert.That(segmenter.Segment(image).Areas.Sum(), Is.EqualTo(width * height));

        IEnumerable<int> Starts(int size)
        {
            for (int start = 0; ; start += tile - overlap)
            {
                yield return Math.Max(0, Math.Min(start, size - tile));
                if (start + tile >= size) yield break;
            }
        }
    }

    [Test]
    public void The_border_of_a_tile_is_no_seam()
    {
        // The model's probabilities change with the position of the window; where a tile begins, the blend must not.
        const int Width = 96, Tile = 32, Overlap = 16;
        Image image = Pictures.Smooth(Width, Width, 3);
        float[] blended = Probabilities(
            Segmenter(make: (model, info) => new Segmenter(model, info) { Tiles = new TileOptions(Tile, Overlap) }), image);
        float[] cut = Probabilities(
            Segmenter(make: (model, info) => new Segmenter(model, info) { Tiles = new TileOptions(Tile, 0) }), image);
        double atBorders = Steps(blended, column => column % Overlap == 0), elsewhere = Steps(blended, column => column % Overlap != 0);
        double withoutOverlap = Steps(cut, column => column % Tile == 0);
        Assert.That(atBorders, Is.LessThan(1.5 * elsewhere));
        Assert.That(withoutOverlap, Is.GreaterThan(2 * atBorders), "a cut is visible, so that this test can fail");

        double Steps(float[] p, Func<int, bool> which) => Enumerable.Range(1, Width - 1).Where(which)
            .Average(x => Enumerable.Range(0, Width).Average(y => Math.Abs(p[y * Width + x] - p[y * Width + x - 1])));
    }

    [Test]
    public void Bands_show_every_row_once_and_in_order()
    {
        Image image = Pictures.Smooth(70, 90, 3);
        using Segmenter segmenter = Segmenter(
            2, (model, info) => new Segmenter(model, info) { Tiles = new TileOptions(32, 8), CheckNumerics = true });
        float[] seen = new float[70 * 90 * 2];
        int next = 0, bands = 0;
        Segmentation result = segmenter.Segment(image, (y, p) =>
        {
            Assert.That(y * 70 * 2, Is.EqualTo(next));
            p.CopyTo(seen.AsSpan(next));
            (next, bands) = (next + p.Length, bands + 1);
        });
        Assert.That((next, bands), Is.EqualTo((seen.Length, 4)));
        Assert.That(seen, Is.EqualTo(Probabilities(segmenter, image)));
        byte[] pixels = new byte[70 * 90];
        segmenter.Segment(image, pixels);
        Assert.That(result.Classes.Classes, Is.EqualTo(pixels));
        Assert.That(result.Milliseconds, Is.Positive);
    }

    [Test]
    public void Memory_does_not_grow_with_the_height_of_a_picture()
    {
        Segmenter segmenter = Segmenter(make: (model, info) => new Segmenter(model, info) { Tiles = new TileOptions(Side, 8) });
        long low = Allocated(64), high = Allocated(2048);
        Assert.That(high - low, Is.LessThan(2048 * 64), "probabilities of the whole would be four times as many bytes");

        long Allocated(int height)
        {
            Image image = new(64, height, 3);
            byte[] pixels = new byte[64 * height];
            segmenter.Segment(image, pixels); // fills the pools
            long before = GC.GetAllocatedBytesForCurrentThread();
            segmenter.Segment(image, pixels);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Test]
    public void Tiles_do_not_depend_on_threads()
    {
        Image image = Pictures.Smooth(150, 90, 3);
        Segmenter segmenter = Segmenter(make: (model, info) => new Segmenter(model, info) { Tiles = new TileOptions(32, 8) });
        float[] one, three;
        using (new ThreadCount(1)) one = Probabilities(segmenter, image);
        using (new ThreadCount(3)) three = Probabilities(segmenter, image);
        Assert.That(three, Is.EqualTo(one));
    }

    [Test]
    public void Misuse_is_refused()
    {
        Image image = Pictures.Smooth(40, 40, 3);
        foreach ((int tile, int overlap) in new[] { (0, 0), (32, 32), (32, -1) })
            Assert.That(
                () => Segmenter(make: (m, i) => new Segmenter(m, i) { Tiles = new TileOptions(tile, overlap) }).Segment(image),
                Throws.ArgumentException.With.Message.Contains($"tiles of {tile}"));
        Assert.That(
            () => Segmenter(make: (m, i) => new Segmenter(m, i) { Tiles = new TileOptions(32, 8), Letterbox = true }).Segment(image),
            Throws.ArgumentException.With.Message.Contains("letterbox"));
        Assert.That(
            () => Segmenter(3).Probabilities(image, new float[1600]), Throws.ArgumentException.With.Message.Contains("expected 4800"));
    }

    [Test]
    public void Tiles_are_automatic_for_pictures_far_larger_than_the_models()
    {
        ModelInfo info = Segmenter().Info;
        Assert.That(TileOptions.Automatic(info, 4 * Side, 4 * Side), Is.Null);
        Assert.That(TileOptions.Automatic(info, 4 * Side + 1, 10), Is.EqualTo(new TileOptions(Side, Side / 4)));
    }

    private static float[] Probabilities(Segmenter segmenter, Image image)
    {
        float[] probabilities = new float[image.Width * image.Height * segmenter.Info.Config.Classes];
        segmenter.Probabilities(image, probabilities);
        return probabilities;
    }

    private static Segmenter Segmenter(int classes = 1, Func<VisionModel, ModelInfo, Segmenter>? make = null)
    {
        VisionModel model = Model(classes);
        ModelInfo info = new(
            "unet", model.Config, [.. Enumerable.Range(0, classes).Select(c => $"class {c}")], Normalization.Of(NormalizationKind.Half, 3),
            new RunData(SplitProtocol.Image, 0, null, Side, Side));
        return make?.Invoke(model, info) ?? new Segmenter(model, info);
    }

    private static VisionModel Model(int classes)
    {
        ModelEntry entry = Registry.Find("unet");
        VisionModel model = entry.Create(entry.Config with { Width = 4, Depth = 2, Classes = classes }, seed: 2);
        // Biases at the median of each class, so that every class is somewhere the most probable.
        using MemoryScope scope = new();
        Image image = Pictures.Smooth(Side, Side, 3);
        Tensor x = Tensor.From([.. image.Pixels.Select(v => v / 127.5f - 1)], 1, Side, Side, 3);
        model.Parameters.Training = false;
        float[] logits = model.Segment(x).Span.ToArray();
        for (int c = 0; c < classes; c++)
            model.Parameters["conv.bias"].Span[c] -= logits.Where((_, i) => i % classes == c).Order().ElementAt(Side * Side / 2);
        for (int i = 0; i < model.Parameters["conv.weight"].Count; i++) model.Parameters["conv.weight"].Span[i] *= 4;
        for (int c = 0; c < classes; c++) model.Parameters["conv.bias"].Span[c] *= 4;
        return model;
    }

    private static Image Mirror(Image image, bool across, bool down)
    {
        Image result = new(image.Width, image.Height, 3);
        for (int i = 0; i < result.Pixels.Length; i++)
        {
            int y = i / 3 / image.Width, x = i / 3 % image.Width;
            int from = (down ? image.Height - 1 - y : y) * image.Width + (across ? image.Width - 1 - x : x);
            result.Pixels[i] = image.Pixels[3 * from + i % 3];
        }
        return result;
    }

    private static Image Part(Image image, int left, int top, int width, int height)
    {
        Image part = new(width, height, 3);
        for (int y = 0; y < height; y++)
            image.Pixels.AsSpan(((top + y) * image.Width + left) * 3, 3 * width).CopyTo(part.Pixels.AsSpan(3 * y * width));
        return part;
    }
}
