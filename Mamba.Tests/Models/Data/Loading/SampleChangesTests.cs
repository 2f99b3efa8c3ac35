using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Loading;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Crops and augmentations of samples that do not have the model's size.</summary>
internal sealed class SampleChangesTests
{
    [Test]
    public void A_crop_takes_picture_and_mask_from_one_place_at_their_own_size()
    {
        // Each pixel tells where it comes from; so does the mask.
        const int Width = 40, Height = 30, Side = 16;
        byte[] places = [.. Enumerable.Range(0, Width * Height).SelectMany(i => new[] { (byte)(i % Width), (byte)(i / Width), (byte)9 })];
        byte[] numbers = [.. Enumerable.Range(0, Width * Height).Select(i => (byte)(i % 200))];
        SegmentationSample sample = new(new Image(Width, Height, 3, places), new LabelMap(Width, Height, numbers));
        BatchOptions options = new() { BatchSize = 1, Height = Side, Width = Side, Crop = Side, Seed = 4 };
        HashSet<(int, int)> seen = [];
        using BatchLoader loader = new(new One(sample), [0], options);
        for (int epoch = 0; epoch < 30; epoch++)
        {
            using MemoryScope memory = new();
            Batch batch = loader.Epoch(epoch).Single();
            int left = (int)Math.Round(batch.Images.Span[0] * 255), top = (int)Math.Round(batch.Images.Span[1] * 255);
            seen.Add((left, top));
            for (int i = 0; i < Side * Side; i++)
            {
                int x = left + i % Side, y = top + i / Side;
                Assert.That(batch.Images.Span[3 * i], Is.EqualTo(x / 255f).Within(1e-6));
                Assert.That(batch.Images.Span[3 * i + 1], Is.EqualTo(y / 255f).Within(1e-6));
                Assert.That(batch.Targets.Span[i], Is.EqualTo((y * Width + x) % 200));
            }
        }
        Assert.That(seen, Has.Count.GreaterThan(20));
    }

    [Test]
    public void A_picture_smaller_than_the_crop_is_black_around()
    {
        SegmentationSample sample = new(
            new Image(10, 20, 1, [.. Enumerable.Repeat((byte)255, 200)]), new LabelMap(10, 20, [.. Enumerable.Repeat((byte)1, 200)]));
        using BatchLoader loader = new(
            new One(sample), [0], new BatchOptions { BatchSize = 1, Height = 16, Width = 16, Channels = 1, Crop = 16 });
        using MemoryScope memory = new();
        Batch batch = loader.Epoch(0).Single();
        Assert.That(batch.Images.Span.ToArray(), Is.EqualTo(batch.Targets.Span.ToArray()).And.Property("Length").EqualTo(256));
        Assert.That(batch.Targets.Span.ToArray().Sum(), Is.EqualTo(160), "10 columns of 16 rows");
        Assert.That(() => new BatchLoader(new One(sample), [0], new BatchOptions { Crop = 0 }), Throws.ArgumentException);
    }

    [Test]
    public void Augmentation_acts_at_the_models_size([Values] bool wide, [Values] Resampling resampling)
    {
        Image small = Pictures.Smooth(20, 12, 3);
        Image image = wide ? new Image(20, 12, 3, Array.ConvertAll(small.Pixels, v => (ushort)(v * 257))) : small;
        BatchOptions options = new() { BatchSize = 1, Height = 32, Width = 28, Resampling = resampling };
        BatchWriter writer = new(options);
        Sample fitted = writer.Fit(new ClassificationSample(image, 1));
        Assert.That((fitted.Image.Width, fitted.Image.Height, fitted.Image.Is16Bit), Is.EqualTo((28, 32, wide)));
        float[] direct = new float[28 * 32 * 3], twice = new float[28 * 32 * 3];
        writer.Image(image, direct);
        writer.Image(fitted.Image, twice);
        Assert.That(twice, Is.EqualTo(direct).Within(wide ? 1e-5 : 0.51 / 255), "resized as without an augmentation, and rounded");

        ClassificationAugment augment = new() { RandAugment = new RandAugment() };
        using BatchLoader loader = new(new One(new ClassificationSample(image, 1)), [0], options with { Augment = augment });
        for (int epoch = 0; epoch < 10; epoch++)
        {
            using MemoryScope memory = new();
            writer.Image(augment.Apply(fitted, 0, epoch, 0).Image, twice);
            Assert.That(loader.Epoch(epoch).Single().Images.Span.ToArray(), Is.EqualTo(twice), $"epoch {epoch}");
        }
    }

    [Test]
    public void A_sample_of_the_models_size_stays_itself_and_basic_acts_at_the_samples_own()
    {
        SegmentationSample sample = new(Pictures.Smooth(20, 20, 3), new LabelMap(20, 20, Pictures.Disc(20, 20, 1).Pixels));
        Assert.That(new BatchWriter(new BatchOptions { Height = 20, Width = 20 }).Fit(sample), Is.SameAs(sample));
        SegmentationAugment own = new() { Flips = true, Contrast = 0.5f };
        BatchOptions options = new() { Height = 32, Width = 32, Seed = 1, Augment = own };
        SampleChanges changes = new(options, new BatchWriter(options));
        Assert.That(changes.Apply(sample, 0, 0, 0).Image.Width, Is.EqualTo(20));
        options = options with { Augment = SegmentationAugment.Parse("flips,rotate") };
        var changed = (SegmentationSample)new SampleChanges(options, new BatchWriter(options)).Apply(sample, 0, 0, 0);
        Assert.That((changed.Image.Width, changed.Mask.Width), Is.EqualTo((32, 32)));
    }

    [Test]
    public void A_sample_that_a_balanced_epoch_draws_again_is_changed_anew()
    {
        Image image = Pictures.Smooth(40, 40, 3);
        BatchOptions options = new() { BatchSize = 10, Height = 16, Width = 16, Crop = 16, Seed = 3 };
        float[] Drawn(bool balance, int[] samples)
        {
            using MemoryScope memory = new();
            using BatchLoader loader = new(new Rare(new ClassificationSample(image, 1)), samples, options with { Balance = balance });
            return loader.Epoch(0).Single().Images.Span.ToArray();
        }

        // Sample 9 is alone in its stratum, so that every second draw is it.
        float[][] drawn = [.. Drawn(balance: true, [.. Enumerable.Range(0, 10)]).Chunk(16 * 16 * 3).Where((_, i) => i % 2 == 1)];
        Assert.That(drawn.Select(crop => string.Join(' ', crop)).Distinct().Count(), Is.EqualTo(5), "each draw is a crop of its own");
        Assert.That(drawn[0], Is.EqualTo(Drawn(balance: false, [9])), "the first draw is that of an epoch without balance");
    }

    /// <summary>The same picture ten times; the last one is of another stratum.</summary>
    private sealed class Rare(Sample sample) : IImageData
    {
        public ModelTask Task => ModelTask.Classification;

        public IReadOnlyList<string> Labels => ["a", "b"];

        public int Count => 10;

        public string Name(int index) => $"{index}";

        public int? Stratum(int index) => index == 9 ? 1 : 0;

        public Sample Load(int index) => sample;
    }

    private sealed class One(Sample sample) : IImageData
    {
        public ModelTask Task => sample is SegmentationSample ? ModelTask.Segmentation : ModelTask.Classification;

        public IReadOnlyList<string> Labels => sample is SegmentationSample ? ["lesion"] : ["a", "b"];

        public int Count => 1;

        public string Name(int index) => "one";

        public Sample Load(int index) => sample;
    }
}
