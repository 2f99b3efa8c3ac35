using System.Security.Cryptography;
using System.Text.Json;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ClassificationAugmentTests
{
    /// <summary>What torchvision's RandAugment makes of pictures of ours, operation by operation.</summary>
    private static readonly JsonElement s_reference =
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Fixtures", "augment", "randaugment.json")))
            .RootElement;

    private static IEnumerable<RandAugmentOperation> Operations => Enum.GetValues<RandAugmentOperation>();

    [TestCaseSource(nameof(Operations))]
    public void An_operation_is_torchvisions(RandAugmentOperation operation)
    {
        Image image = Reference(s_reference);
        JsonElement[] cases =
        [
            .. s_reference.GetProperty("operations").EnumerateArray().Where(e => e.GetProperty("op").GetString() == operation.ToString()),
        ];
        double[] strengths = Strengths(operation, 9, image);
        Assert.That(strengths, Is.EqualTo(cases.Select(e => e.GetProperty("magnitude").GetDouble())).Within(1e-6));
        for (int i = 0; i < cases.Length; i++)
            Assert.That(
                RandAugment.Apply(image, operation, strengths[i]).Pixels, Is.EqualTo(cases[i].GetProperty("pixels").GetBytesFromBase64()),
                $"strength {strengths[i]}");
    }

    [TestCaseSource(nameof(Operations))]
    public void And_so_it_is_at_every_magnitude_and_size(RandAugmentOperation operation)
    {
        foreach (JsonElement picture in s_reference.GetProperty("all_magnitudes").EnumerateArray())
        {
            Image image = Reference(picture);
            byte[] before = [.. image.Pixels];
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            for (int magnitude = 0; magnitude < RandAugment.Magnitudes; magnitude++)
                foreach (double strength in Strengths(operation, magnitude, image))
                    hash.AppendData(RandAugment.Apply(image, operation, strength).Pixels);
            Assert.That(
                Convert.ToHexStringLower(hash.GetCurrentHash())[..32],
                Is.EqualTo(picture.GetProperty("sha256").GetProperty(operation.ToString()).GetString()),
                $"{image.Width} x {image.Height} x {image.Channels}");
            Assert.That(image.Pixels, Is.EqualTo(before), "the original stays");
        }
    }

    [Test]
    public void RandAugment_draws_all_operations_and_both_signs()
    {
        Image image = Pictures.Smooth(32, 32, 3);
        string[] expected =
        [
            .. Operations.SelectMany(o => Strengths(o, 9, image).Select(s => Convert.ToHexString(RandAugment.Apply(image, o, s).Pixels))),
        ];
        Dictionary<string, int> counts = [];
        for (int i = 0; i < 2800; i++)
        {
            RandomStream random = new(3, $"{i}");
            string drawn = Convert.ToHexString(new RandAugment { Operations = 1 }.Apply(image, random).Pixels);
            counts[drawn] = counts.GetValueOrDefault(drawn) + 1;
        }
        Assert.That(counts.Keys, Is.EquivalentTo(expected.Distinct()));
        foreach (RandAugmentOperation operation in new[] { RandAugmentOperation.Rotate, RandAugmentOperation.Color })
            foreach (double strength in Strengths(operation, 9, image))
                Assert.That(
                    counts[Convert.ToHexString(RandAugment.Apply(image, operation, strength).Pixels)], Is.InRange(60, 145),
                    "a half of a fourteenth");
        Assert.That(counts[Convert.ToHexString(RandAugment.Apply(image, RandAugmentOperation.Equalize, 0).Pixels)], Is.InRange(140, 260));
    }

    [Test]
    public void Operations_follow_one_another()
    {
        Image image = Pictures.Smooth(16, 16, 3);
        RandomStream two = new(5, "x"), one = new(5, "x");
        Image expected = new RandAugment { Operations = 1, Magnitude = 20 }.Apply(image, one);
        expected = new RandAugment { Operations = 1, Magnitude = 20 }.Apply(expected, one);
        Assert.That(new RandAugment { Operations = 2, Magnitude = 20 }.Apply(image, two).Pixels, Is.EqualTo(expected.Pixels));
        Assert.That(new RandAugment { Operations = 0 }.Apply(image, two), Is.SameAs(image));
    }

    [TestCase(-32768, 31_744), TestCase(0, 31_744)]
    public void Levels_of_signed_values_and_of_those_with_an_offset_remain(int origin, int first)
    {
        ushort[] samples = [.. Enumerable.Range(0, 4096).Select(i => (ushort)(first + i))];
        Image image = new(64, 64, 1, samples) { Origin = origin };
        for (int i = 0; i < 40; i++)
        {
            Image changed = new RandAugment { Operations = 1 }.Apply(image, new RandomStream(3, $"{i}"));
            Assert.That(changed.Origin, Is.EqualTo(origin));
            Assert.That(changed.Samples16.Distinct().Count(), Is.GreaterThan(100), "a posterized picture has 128");
            Assert.That(changed.Samples16.Min(), Is.GreaterThanOrEqualTo(first), "outside is the smallest value");
            Assert.That(changed.Samples16.Max(), Is.LessThanOrEqualTo(first + 4095));
        }
    }

    [TestCase(4095), TestCase(65535), TestCase(20)]
    public void Unsigned_values_from_0_keep_the_highest_8_of_their_bits(int largest)
    {
        ushort[] samples = [.. Enumerable.Range(0, 4096).Select(i => (ushort)(i * largest / 4095))];
        Image image = new(64, 64, 1, samples);
        for (int i = 0; i < 20; i++)
        {
            Image high = new RandAugment().Apply(image.HighBits(image.UsedBits), new RandomStream(3, $"{i}"));
            Image changed = new RandAugment().Apply(image, new RandomStream(3, $"{i}"));
            Assert.That(changed.Samples16, Is.EqualTo(high.FromHighBits(image.UsedBits, 0).Samples16));
        }
    }

    [Test]
    public void Crops_and_flips_are_all_those_that_there_are([Values(1, 3)] int channels)
    {
        const int Width = 5, Height = 4, Padding = 2;
        Image image = Pictures.Random(Width, Height, channels);
        HashSet<string> expected = [], seen = [];
        for (int down = 0; down <= 2 * Padding; down++)
            for (int right = 0; right <= 2 * Padding; right++)
                foreach (bool mirror in new[] { false, true })
                {
                    Image moved = new(Width, Height, channels);
                    for (int y = 0; y < Height; y++)
                        for (int x = 0; x < Width; x++)
                            for (int c = 0; c < channels; c++)
                            {
                                int row = y + down - Padding, column = x + right - Padding;
                                if (row is >= 0 and < Height && column is >= 0 and < Width)
                                    moved.Pixels[(y * Width + (mirror ? Width - 1 - x : x)) * channels + c] =
                                        image.Pixels[(row * Width + column) * channels + c];
                            }
                    expected.Add(Convert.ToHexString(moved.Pixels));
                }
        ClassificationAugment augment = new() { CropPadding = Padding };
        for (int epoch = 0; epoch < 700; epoch++)
        {
            var changed = (ClassificationSample)augment.Apply(new ClassificationSample(image, 7), 1, epoch, 2);
            Assert.That(changed.Label, Is.EqualTo(7));
            seen.Add(Convert.ToHexString(changed.Image.Pixels));
        }
        Assert.That(seen, Is.EquivalentTo(expected));
    }

    [Test]
    public void A_function_of_seed_epoch_and_index_whose_options_do_not_interfere()
    {
        ClassificationSample sample = new(Pictures.Smooth(32, 32, 3), 1);
        ClassificationAugment crop = new() { Flip = false },
            both = new() { RandAugment = new RandAugment() },
            none = new() { CropPadding = 0, Flip = false };
        byte[] first = both.Apply(sample, 1, 2, 3).Image.Pixels;
        both.Apply(sample, 1, 2, 4);
        Assert.That(both.Apply(sample, 1, 2, 3).Image.Pixels, Is.EqualTo(first));
        foreach ((ulong seed, int epoch, int index) in new[] { (2UL, 2, 3), (1UL, 3, 3), (1UL, 2, 4) })
            Assert.That(both.Apply(sample, seed, epoch, index).Image.Pixels, Is.Not.EqualTo(first));
        Assert.That(none.Apply(sample, 1, 2, 3).Image, Is.SameAs(sample.Image));
        for (int epoch = 0; epoch < 20; epoch++)
        {
            // The crop is the same with the flip and without it.
            Image cropped = crop.Apply(sample, 1, epoch, 0).Image, flipped = new ClassificationAugment().Apply(sample, 1, epoch, 0).Image;
            Assert.That(flipped.Pixels, Is.EqualTo(cropped.Pixels).Or.EqualTo(Mirror(cropped).Pixels));
        }
    }

    [Test]
    public void A_padding_wider_than_the_picture_may_leave_nothing()
    {
        ClassificationSample sample = new(new Image(3, 2, 3, [.. Enumerable.Repeat((byte)9, 18)]), 0);
        byte[][] seen =
        [
            .. Enumerable.Range(0, 200).Select(epoch =>
                new ClassificationAugment { CropPadding = 6 }.Apply(sample, 1, epoch, 0).Image.Pixels),
        ];
        Assert.That(seen, Has.Some.All.EqualTo(0).And.Some.Some.EqualTo(9));
    }

    [Test]
    public void Options_that_make_no_sense_are_refused()
    {
        Assert.That(() => new ClassificationAugment { CropPadding = -1 }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new RandAugment { Magnitude = 31 }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new RandAugment { Operations = -1 }, Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    private static double[] Strengths(RandAugmentOperation operation, int magnitude, Image image)
    {
        double strength = RandAugment.Strength(operation, magnitude, image);
        return operation is >= RandAugmentOperation.ShearX and <= RandAugmentOperation.Sharpness ? [strength, -strength] : [strength];
    }

    private static Image Mirror(Image image)
    {
        Image mirrored = new(image.Width, image.Height, image.Channels);
        for (int i = 0; i < image.Pixels.Length; i++)
        {
            int c = i % image.Channels, x = i / image.Channels % image.Width, y = i / image.Channels / image.Width;
            mirrored.Pixels[i] = image.Pixels[(y * image.Width + image.Width - 1 - x) * image.Channels + c];
        }
        return mirrored;
    }

    /// <summary>
    /// The picture that the outputs were made from: SplitMix64's upper bytes; every third as it is, of low contrast, or half flat.
    /// </summary>
    private static Image Reference(JsonElement described)
    {
        int width = described.GetProperty("width").GetInt32(),
            height = described.GetProperty("height").GetInt32(),
            channels = described.GetProperty("channels").GetInt32();
        int seed = described.GetProperty("seed").GetInt32();
        Image image = new(width, height, channels);
        ulong state = (ulong)seed;
        for (int i = 0; i < image.Pixels.Length; i++)
        {
            ulong z = state += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            int value = (int)((z ^ (z >> 31)) >> 56);
            image.Pixels[i] = (byte)((seed % 3) switch
            {
                1 => 40 + value / 3 + i / (width * channels) * 60 / height,
                2 => i / channels % width < width / 2 ? value * value / 255 : 17,
                _ => value,
            });
        }
        return image;
    }
}
