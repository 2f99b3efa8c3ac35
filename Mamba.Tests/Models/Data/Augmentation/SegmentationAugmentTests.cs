using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class SegmentationAugmentTests
{
    [Test]
    public void Augmentation_moves_picture_and_mask_together()
    {
        SegmentationAugment everything = new() { Flips = true, QuarterTurns = true };
        Image mask = Pictures.Random(9, 9, 1);
        Image image = new(9, 9, 3, [.. mask.Pixels.SelectMany(v => new[] { v, (byte)(255 - v), v })]);
        HashSet<string> seen = [];
        for (int epoch = 0; epoch < 80; epoch++)
        {
            var moved = (SegmentationSample)everything.Apply(new SegmentationSample(image, new LabelMap(9, 9, mask.Pixels)), 1, epoch, 2);
            for (int i = 0; i < 81; i++) Assert.That(moved.Image.Pixels[3 * i], Is.EqualTo(moved.Mask.Classes[i]));
            Assert.That(moved.Mask.Classes.Order(), Is.EqualTo(mask.Pixels.Order()));
            seen.Add(Convert.ToHexString(moved.Mask.Classes));
        }
        Assert.That(seen, Has.Count.EqualTo(8), "the symmetries of a square");
    }

    [Test]
    public void Quarter_turn_by_hand()
    {
        // Turns alone give exactly these four.
        Image image = new(2, 2, 1, [1, 2, 3, 4]);
        string[] turns =
        [
            .. Enumerable.Range(0, 60).Select(
                e => string.Concat(
                    new SegmentationAugment { QuarterTurns = true }.Apply(
                        new SegmentationSample(image, new LabelMap(2, 2, image.Pixels)), 1, e, 0).Image.Pixels))
                        .Distinct().Order(),
        ];
        Assert.That(turns, Is.EqualTo(new[] { "1234", "2413", "3142", "4321" }));
    }

    [Test]
    public void Brightness_and_contrast_stay_in_their_range_and_spare_the_mask()
    {
        Image image = new(2, 1, 1, [100, 140]);
        LabelMap mask = new(2, 1, [0, 1]);
        List<double> means = [], spreads = [];
        for (int epoch = 0; epoch < 200; epoch++)
        {
            var changed = (SegmentationSample)new SegmentationAugment { Brightness = 0.2f, Contrast = 0.5f }.Apply(
                new SegmentationSample(image, mask), 1, epoch, 0);
            Assert.That(changed.Mask.Classes, Is.EqualTo(mask.Classes));
            means.Add((changed.Image.Pixels[0] + changed.Image.Pixels[1]) / 2.0);
            spreads.Add((changed.Image.Pixels[1] - changed.Image.Pixels[0]) / means[^1]);
        }
        Assert.That(means, Is.All.InRange(95.0, 145.0));
        Assert.That((means.Min() < 100, means.Max() > 140), Is.EqualTo((true, true)));
        Assert.That(spreads, Is.All.InRange(40 / 120.0 * 0.5 - 0.02, 40 / 120.0 * 1.5 + 0.02));
        Assert.That(image.Pixels, Is.EqualTo(new byte[] { 100, 140 }), "the original stays");
    }

    [Test]
    public void Sixteen_bits_are_kept()
    {
        ushort[] samples = [.. Enumerable.Range(0, 64 * 64).Select(i => (ushort)(3000 + 7 * i))];
        SegmentationSample sample = new(new Image(64, 64, 1, samples), new LabelMap(64, 64));
        SegmentationAugment moves = new() { Flips = true, QuarterTurns = true }, light = new() { Brightness = 0.2f, Contrast = 0.2f };
        for (int epoch = 0; epoch < 8; epoch++)
        {
            Assert.That(moves.Apply(sample, 1, epoch, 0).Image.Samples16, Is.EquivalentTo(samples));
            Assert.That(light.Apply(sample, 1, epoch, 0).Image.Samples16.Distinct().Count(), Is.GreaterThan(4000));
        }
        Image crushed = new RandAugment().Apply(sample.Image, new Mamba.Core.RandomStream(1, "x"));
        Assert.That(crushed.Is16Bit);
        Assert.That(new RandAugment { Operations = 0 }.Apply(sample.Image, new Mamba.Core.RandomStream(1, "x")), Is.SameAs(sample.Image));
    }
}
