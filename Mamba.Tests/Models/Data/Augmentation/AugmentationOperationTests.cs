using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Each operation of a list against a plain formula or an exact property.</summary>
internal sealed class AugmentationOperationTests
{
    private static IEnumerable<string> Words => SegmentationAugment.Words;

    [Test]
    public void A_warp_is_bilinear_for_the_picture_and_nearest_for_the_mask(
        [Values(1, 3)] int channels, [Values] bool wide, [Values(0, 33.3, -170)] double degrees, [Values(0.6, 1, 1.7)] double zoom)
    {
        const int Width = 23, Height = 17;
        Image bytes = Pictures.Random(Width, Height, channels);
        Image image = wide ? new Image(Width, Height, channels, Array.ConvertAll(bytes.Pixels, v => (ushort)(v * 200))) : bytes;
        LabelMap mask = new(Width, Height, Pictures.Random(Width, Height, 1).Pixels);
        Warp warp = new(Width, Height, new Placement(degrees, zoom, 0.11, -0.07), 0, new RandomStream(1, "x"));
        Image moved = warp.Apply(image);
        LabelMap movedMask = warp.Apply(mask);
        double angle = degrees * Math.PI / 180;
        for (int y = 0; y < Height; y++)
            for (int x = 0; x < Width; x++)
            {
                double right = (x + 0.5 - 0.11 * Width - Width / 2.0) / zoom, down = (y + 0.5 + 0.07 * Height - Height / 2.0) / zoom;
                double column = Width / 2.0 + Math.Cos(angle) * right - Math.Sin(angle) * down;
                double row = Height / 2.0 + Math.Sin(angle) * right + Math.Cos(angle) * down;
                for (int c = 0; c < channels; c++)
                {
                    double expected = 0;
                    for (int v = (int)Math.Floor(row - 0.5); v <= (int)Math.Floor(row + 0.5); v++)
                        for (int u = (int)Math.Floor(column - 0.5); u <= (int)Math.Floor(column + 0.5); u++)
                            if (u is >= 0 and < Width && v is >= 0 and < Height)
                                expected += Math.Max(0, 1 - Math.Abs(u + 0.5 - column)) * Math.Max(0, 1 - Math.Abs(v + 0.5 - row))
                                    * Sample(image, (v * Width + u) * channels + c);
                    Assert.That(Sample(moved, (y * Width + x) * channels + c), Is.EqualTo(expected).Within(wide ? 0.8 : 0.51), $"{x}, {y}");
                }
                bool certain = Math.Abs(column - Math.Round(column)) > 1e-4 && Math.Abs(row - Math.Round(row)) > 1e-4;
                int nearest = column < 0 || row < 0 || column >= Width || row >= Height ? 0 : mask.Classes[(int)row * Width + (int)column];
                if (certain) Assert.That(movedMask.Classes[y * Width + x], Is.EqualTo(nearest), $"mask at {x}, {y}");
            }
    }

    [Test]
    public void Whole_pixels_and_quarter_turns_are_exact()
    {
        Image image = Pictures.Random(16, 16, 3);
        LabelMap mask = new(16, 16, Pictures.Random(16, 16, 1).Pixels);
        Check(new Placement(90, 1, 0, 0), new Symmetry(Transpose: true, Mirror: false, Upend: true));
        Check(new Placement(180, 1, 0, 0), new Symmetry(Transpose: false, Mirror: true, Upend: true));
        Check(new Placement(0, 1, 0, 0), default);
        Warp shift = new(16, 16, new Placement(0, 1, 3 / 16.0, -2 / 16.0), 0, new RandomStream(1, "x"));
        Assert.That(shift.Apply(image).Pixels, Is.EqualTo(new CropWindow(-3, 2, 16, 16).Apply(image).Pixels));

        void Check(Placement placement, Symmetry same)
        {
            Warp warp = new(16, 16, placement, 0, new RandomStream(1, "x"));
            Assert.That(warp.Apply(image).Pixels, Is.EqualTo(same.Apply(image).Pixels), $"{placement}");
            Assert.That(warp.Apply(mask).Classes, Is.EqualTo(same.Apply(mask).Classes), $"{placement}");
        }
    }

    [Test]
    public void An_elastic_field_is_smooth_and_as_strong_as_it_says()
    {
        const int Height = 48, Width = 64;
        double squares = 0, cross = 0, steepest = 0;
        for (int i = 0; i < 200; i++)
        {
            float[] field = new float[Height * Width];
            ElasticField.Add(2, new RandomStream(1, $"{i}"), (Height, Width), field);
            for (int at = 0; at < field.Length; at++) squares += field[at] * field[at] / (double)field.Length;
            for (int at = 1; at < field.Length; at++)
                if (at % Width != 0) steepest = Math.Max(steepest, Math.Abs(field[at] - field[at - 1]));
            cross += field[10 * Width + 10] * field[40 * Width + 50];
        }
        Assert.That(Math.Sqrt(squares / 200), Is.EqualTo(2).Within(0.1), "the standard deviation");
        Assert.That(steepest, Is.LessThan(3.5), "a cell has 6 pixels");
        Assert.That(cross / 200, Is.EqualTo(0).Within(1), "far pixels are independent");
    }

    [Test]
    public void An_elastic_field_is_a_cubic_spline_of_its_nodes()
    {
        // Five cells of 8 pixels fit across: eight nodes. The basis function by its definition, without regard to cells.
        float[] field = new float[64 * 40];
        ElasticField.Add(3, new RandomStream(5, "x"), (64, 40), field);
        RandomStream random = new(5, "x");
        const double Cell = 5;
        int across = 11, down = (int)(63.5 / Cell) + 4;
        double[] nodes = [.. Enumerable.Range(0, across * down).Select(_ => 3 / (151.0 / 315) * random.NextNormal())];
        for (int i = 0; i < field.Length; i += 7)
        {
            double x = (i % 40 + 0.5) / Cell, y = (i / 40 + 0.5) / Cell, expected = 0;
            for (int n = 0; n < nodes.Length; n++) expected += nodes[n] * Spline(x + 1 - n % across) * Spline(y + 1 - n / across);
            Assert.That(field[i], Is.EqualTo(expected).Within(1e-4), $"pixel {i}");
        }

        static double Spline(double t) => Math.Abs(t) switch
        {
            < 1 and var a => 2 / 3.0 - a * a + a * a * a / 2,
            < 2 and var a => Math.Pow(2 - a, 3) / 6,
            _ => 0,
        };
    }

    [TestCase("flips,turns"), TestCase("rotate:40"), TestCase("scale:0.7-1.4"), TestCase("shift:0.2"), TestCase("elastic:2")]
    [TestCase("flips,turns,rotate:180,scale,shift,elastic")]
    public void Picture_and_mask_move_together(string list)
    {
        // A picture of its own mask: where it is more than half white, the mask is set.
        byte[] disc = new byte[64 * 64];
        for (int i = 0; i < disc.Length; i++) disc[i] = (byte)(Math.Pow(i % 64 - 24, 2) + Math.Pow(i / 64 - 35, 2) < 150 ? 1 : 0);
        SegmentationSample sample = new(new Image(64, 64, 1, Array.ConvertAll(disc, v => (byte)(v * 255))), new LabelMap(64, 64, disc));
        SegmentationAugment augment = SegmentationAugment.Parse(list);
        int unmoved = 0;
        for (int epoch = 0; epoch < 40; epoch++)
        {
            var moved = (SegmentationSample)augment.Apply(sample, 3, epoch, 0);
            int both = 0, either = 0;
            for (int i = 0; i < disc.Length; i++)
            {
                bool white = moved.Image.Pixels[i] >= 128, set = moved.Mask.Classes[i] == 1;
                if (white && set) both++;
                if (white || set) either++;
                Assert.That(moved.Mask.Classes[i], Is.LessThanOrEqualTo(1), "no class between two");
            }
            Assert.That(both, Is.GreaterThanOrEqualTo(0.9 * either), $"epoch {epoch}");
            if (moved.Mask.Classes.AsSpan().SequenceEqual(disc)) unmoved++;
        }
        Assert.That(unmoved, Is.LessThan(10));
    }

    [TestCaseSource(nameof(Words))]
    public void A_function_of_its_key_that_leaves_the_original_alone(string word)
    {
        Image image = Pictures.Smooth(24, 24, 3);
        SegmentationSample sample = new(image, new LabelMap(24, 24, Pictures.Disc(24, 24, 1).Pixels));
        byte[] before = [.. image.Pixels], mask = [.. sample.Mask.Classes];
        SegmentationAugment augment = SegmentationAugment.Parse(word);
        byte[] first = Changed(1, 2, 3);
        Assert.That(Changed(1, 2, 3), Is.EqualTo(first));
        Assert.That(Distinct(i => Changed(1, i, 3)), Is.GreaterThan(2), "epochs");
        Assert.That(Distinct(i => Changed(1, 2, i)), Is.GreaterThan(2), "samples");
        Assert.That(Distinct(i => Changed((ulong)i, 2, 3)), Is.GreaterThan(2), "seeds");
        Assert.That((image.Pixels, sample.Mask.Classes), Is.EqualTo((before, mask)));
        var classified = (ClassificationSample)augment.Apply(new ClassificationSample(image, 4), 1, 2, 3);
        Assert.That((classified.Label, classified.Image.Pixels), Is.EqualTo((4, first)));

        byte[] Changed(ulong seed, int epoch, int index) => augment.Apply(sample, seed, epoch, index).Image.Pixels;

        static int Distinct(Func<int, byte[]> pixels) =>
            Enumerable.Range(0, 12).Select(i => Convert.ToHexString(pixels(i))).Distinct().Count();
    }

    [Test]
    public void One_option_does_not_change_the_effect_of_another()
    {
        SegmentationSample sample = new SyntheticLesions(4, 2, 48, 48).Load(0);
        for (int epoch = 0; epoch < 10; epoch++) Check(epoch);

        void Check(int epoch)
        {
            foreach (string moves in new[] { "rotate", "scale", "shift", "elastic", "flips,turns,rotate,scale,shift,elastic" })
                Assert.That(
                    Changed($"{moves},brightness,contrast,gamma,noise,blur").Mask.Classes, Is.EqualTo(Changed(moves).Mask.Classes), moves);
            // A curve is the same wherever the pixels have moved.
            foreach (string curve in new[] { "brightness", "gamma", "brightness,gamma" })
                Assert.That(
                    Changed($"{curve},flips,turns").Image.Pixels.Order(), Is.EqualTo(Changed(curve).Image.Pixels.Order()), curve);
            Assert.That(Changed("noise,gamma:1-1").Image.Pixels, Is.EqualTo(Changed("noise").Image.Pixels));

            SegmentationSample Changed(string list) =>
                (SegmentationSample)SegmentationAugment.Parse(list).Apply(sample, 1, epoch, 0);
        }
    }

    [Test]
    public void A_blur_is_a_weighted_mean_with_the_border_repeated([Values(1, 3)] int channels, [Values(0.3, 1.0, 2.4)] double sigma)
    {
        const int Width = 19, Height = 5;
        Image image = Pictures.Random(Width, Height, channels), blurred = new GaussianBlur(sigma).Apply(image);
        int reach = (int)Math.Ceiling(3 * sigma);
        for (int i = 0; i < image.Pixels.Length; i++)
        {
            int c = i % channels, x = i / channels % Width, y = i / channels / Width;
            double sum = 0, weights = 0;
            for (int v = -reach; v <= reach; v++)
                for (int u = -reach; u <= reach; u++)
                {
                    double weight = Math.Exp(-(u * u + v * v) / (2 * sigma * sigma));
                    weights += weight;
                    sum += weight
                        * image.Pixels[(Math.Clamp(y + v, 0, Height - 1) * Width + Math.Clamp(x + u, 0, Width - 1)) * channels + c];
                }
            Assert.That(blurred.Pixels[i], Is.EqualTo(sum / weights).Within(0.51), $"{x}, {y}");
        }
        Assert.That(new GaussianBlur(0).Apply(image), Is.SameAs(image));
        Assert.That(new GaussianBlur(1e-9).Apply(image).Pixels, Is.EqualTo(image.Pixels));
    }

    [Test]
    public void Noise_has_mean_zero_and_its_share_of_the_range([Values] bool wide)
    {
        int least = wide ? 1000 : 60, most = wide ? 5000 : 180;
        Image image = wide
            ? new Image(100, 100, 1, [.. Enumerable.Range(0, 10000).Select(i => (ushort)(i % 2 == 0 ? least : most))])
            : new Image(100, 100, 1, [.. Enumerable.Range(0, 10000).Select(i => (byte)(i % 2 == 0 ? least : most))]);
        Image noisy = new GaussianNoise(0.05, new RandomStream(2, "x")).Apply(image);
        double[] differences = [.. Enumerable.Range(0, 10000).Select(i => (Sample(noisy, i) - Sample(image, i)) / (most - least))];
        Assert.That(differences.Average(), Is.EqualTo(0).Within(0.002));
        Assert.That(Math.Sqrt(differences.Average(d => d * d)), Is.EqualTo(0.05).Within(0.002));
        Assert.That(differences.Count(d => Math.Abs(d) > 0.1) / 10000.0, Is.EqualTo(0.0455).Within(0.01), "beyond two standard deviations");
    }

    [Test]
    public void Gamma_keeps_the_ends_and_raises_what_lies_between_to_a_power()
    {
        Image image = new(5, 1, 1, [20, 70, 120, 170, 220]);
        Assert.That(new Tones(1, 1, 2).Apply(image).Pixels, Is.EqualTo(new byte[] { 20, 32, 70, 132, 220 }), "20 + 200 (v - 20)² / 200²");
        Assert.That(new Tones(1, 1, 0.5).Apply(image).Pixels, Is.EqualTo(new byte[] { 20, 120, 161, 193, 220 }));
        Image signed = new(3, 1, 1, (ushort[])[31768, 32768, 33768]) { Origin = -32768 };
        Assert.That(new Tones(1, 1, 2).Apply(signed).Samples16, Is.EqualTo(new ushort[] { 31768, 32268, 33768 }), "-1000, -500, 1000");
        Assert.That(new Tones(1.1, 1, 1).Apply(signed).Samples16, Is.EqualTo(new ushort[] { 31668, 32768, 33868 }), "-1100, 0, 1100");
        Image flat = new(2, 1, 1, [9, 9]);
        Assert.That(new Tones(1, 1, 2).Apply(flat), Is.SameAs(flat));
    }

    [Test]
    public void Strengths_span_their_range()
    {
        // Two bright pixels tell the angle, the factor and the shift of a picture.
        const int Side = 101;
        LabelMap mask = new(Side, Side);
        for (int i = 0; i < Side * Side; i++)
            mask.Classes[i] = Near(i, 50, 50) ? (byte)1 : Near(i, 70, 50) ? (byte)2 : (byte)0;
        SegmentationSample sample = new(new Image(Side, Side, 1), mask);
        List<double> angles = [], lengths = [], shifts = [];
        for (int epoch = 0; epoch < 120; epoch++)
        {
            angles.Add(Measure("rotate:30", epoch).Angle);
            lengths.Add(Measure("scale:0.5-2", epoch).Length / 20);
            shifts.Add(Measure("shift:0.2", epoch).X / Side);
        }
        Assert.That(angles.Min(), Is.EqualTo(-30).Within(3));
        Assert.That(angles.Max(), Is.EqualTo(30).Within(3));
        Assert.That(lengths.Min(), Is.EqualTo(0.5).Within(0.1));
        Assert.That(lengths.Max(), Is.EqualTo(2).Within(0.1));
        Assert.That(lengths.Count(l => l < 1), Is.InRange(40, 80), "halving is as likely as doubling");
        Assert.That(shifts.Min(), Is.EqualTo(-0.2).Within(0.02));
        Assert.That(shifts.Max(), Is.EqualTo(0.2).Within(0.02));

        static bool Near(int i, int x, int y) => Math.Abs(i % Side - x) <= 2 && Math.Abs(i / Side - y) <= 2;

        (double Angle, double Length, double X) Measure(string list, int epoch)
        {
            var moved = (SegmentationSample)SegmentationAugment.Parse(list).Apply(sample, 1, epoch, 0);
            ((double x, double y), (double u, double v)) = (Center(moved.Mask, 1), Center(moved.Mask, 2));
            return (Math.Atan2(y - v, u - x) * 180 / Math.PI, Math.Sqrt((u - x) * (u - x) + (v - y) * (v - y)), x - 50);
        }

        static (double X, double Y) Center(LabelMap map, int label)
        {
            int[] found = [.. Enumerable.Range(0, Side * Side).Where(i => map.Classes[i] == label)];
            return (found.Average(i => i % Side), found.Average(i => i / Side));
        }
    }

    [TestCaseSource(nameof(Words))]
    public void Sixteen_bits_and_signs_are_kept(string word)
    {
        // From -1000 to 1047, as a scanner's.
        ushort[] samples = [.. Enumerable.Range(0, 32 * 64).Select(i => (ushort)(31768 + i))];
        SegmentationSample sample = new(new Image(64, 32, 1, samples) { Origin = -32768 }, new LabelMap(64, 32));
        for (int epoch = 0; epoch < 6; epoch++)
        {
            Image changed = SegmentationAugment.Parse(word).Apply(sample, 1, epoch, 0).Image;
            Assert.That((changed.Is16Bit, changed.Origin, changed.Width, changed.Height), Is.EqualTo((true, -32768, 64, 32)));
            Assert.That(changed.Samples16, Is.All.InRange(31000, 34500), "what comes from outside is the smallest sample, not -32768");
            Assert.That(changed.Samples16.Distinct().Count(), Is.GreaterThan(512), "more than 8 bits");
        }
    }

    [Test]
    public void No_strength_gives_the_original_itself()
    {
        SegmentationSample sample = new SyntheticLesions(4, 2, 32, 32).Load(0);
        var same = (SegmentationSample)new SegmentationAugment().Apply(sample, 1, 2, 3);
        Assert.That(same.Image, Is.SameAs(sample.Image));
        Assert.That(same.Mask, Is.SameAs(sample.Mask));
        same = (SegmentationSample)SegmentationAugment.Parse("scale:1-1,gamma:1-1,rotate:0,blur:0").Apply(sample, 1, 2, 3);
        Assert.That(same.Image, Is.SameAs(sample.Image));
    }

    [Test]
    public void Pictures_of_a_pixel_and_of_any_shape_pass()
    {
        SegmentationAugment all =
            SegmentationAugment.Parse("flips,turns,rotate:180,scale:0.1-10,shift:1,elastic:5,noise:1,blur:10,gamma:0.1-10");
        foreach ((int width, int height) in new[] { (1, 1), (1, 9), (50, 2), (3, 40) })
            for (int epoch = 0; epoch < 20; epoch++)
            {
                SegmentationSample sample = new(Pictures.Random(width, height, 3), new LabelMap(width, height));
                var changed = (SegmentationSample)all.Apply(sample, 1, epoch, 0);
                Assert.That((changed.Image.Width, changed.Mask.Height), Is.EqualTo((width, height)));
            }
    }

    [Test]
    public void A_random_crop_lies_anywhere_inside_and_a_small_picture_anywhere_in_it()
    {
        Assert.That(Windows(3, 5, 4), Is.EquivalentTo(Pairs(0, 2, 0, 1)));
        Assert.That(Windows(6, 5, 4), Is.EquivalentTo(Pairs(-1, 0, -2, 0)));
        Assert.That(Windows(4, 4, 4), Is.EqualTo(new[] { (0, 0) }));
        Image image = Pictures.Random(5, 4, 3), cut = new CropWindow(-1, 2, 4, 4).Apply(image);
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < 4; x++)
                for (int c = 0; c < 3; c++)
                    Assert.That(
                        cut.Pixels[(y * 4 + x) * 3 + c], Is.EqualTo(x >= 1 && y < 2 ? image.Pixels[((y + 2) * 5 + x - 1) * 3 + c] : 0));

        static (int, int)[] Windows(int side, int width, int height) =>
        [
            .. Enumerable.Range(0, 300).Select(i => CropWindow.Random(side, width, height, new RandomStream(1, $"{i}")))
                .Select(window => (window.Left, window.Top)).Distinct(),
        ];

        static IEnumerable<(int, int)> Pairs(int left, int right, int top, int bottom) =>
            from x in Enumerable.Range(left, right - left + 1) from y in Enumerable.Range(top, bottom - top + 1) select (x, y);
    }

    private static double Sample(Image image, int i) => image.Is16Bit ? image.Samples16[i] : image.Pixels[i];
}
