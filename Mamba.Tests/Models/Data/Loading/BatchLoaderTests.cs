using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class BatchLoaderTests
{
    private static readonly int[] s_ten = [.. Enumerable.Range(0, 10)];

    [Test]
    public void Batches_hold_scaled_pictures_and_masks_in_order()
    {
        SyntheticLesions data = new(2, 10, 32, 40);
        Normalization scaling = new([0.5f, 0.25f, 0], [0.5f, 2, 1]);
        using BatchLoader loader = new(
            data, [3, 1, 7], new BatchOptions { BatchSize = 2, Height = 32, Width = 40, Normalization = scaling });
        Batch[] batches = [.. loader.Epoch(0)];
        Assert.That((loader.Samples, loader.Batches), Is.EqualTo((3, 2)));
        Assert.That(batches.Select(b => b.Indices), Is.EqualTo(new[] { new[] { 3, 1 }, [7] }));
        Assert.That(batches[0].Images.Shape.ToArray(), Is.EqualTo(new[] { 2, 32, 40, 3 }));
        Assert.That(batches[1].Targets.Shape.ToArray(), Is.EqualTo(new[] { 1, 32, 40, 1 }));
        SegmentationSample second = data.Load(1);
        for (int i = 0; i < 32 * 40; i++)
        {
            Assert.That(batches[0].Targets.Span[32 * 40 + i], Is.EqualTo(second.Mask.Classes[i]));
            for (int c = 0; c < 3; c++)
                Assert.That(
                    batches[0].Images.Span[(32 * 40 + i) * 3 + c],
                    Is.EqualTo((second.Image.Pixels[3 * i + c] / 255f - scaling.Mean[c]) / scaling.Std[c]).Within(1e-5));
        }
    }

    [Test]
    public void A_batch_of_more_numbers_than_an_array_holds_is_refused() => Assert.That(
        () => new BatchLoader(
            new SyntheticLesions(2, 100, 32, 32), [.. Enumerable.Range(0, 100)],
            new BatchOptions { BatchSize = 64, Height = 4096, Width = 4096 }),
        Throws.ArgumentException.With.Message.Contains("64 samples of 4096 x 4096 x 3"));

    [TestCase(20, 31), TestCase(9, 7), TestCase(13, 11)]
    public void Resizing_is_bilinear_as_the_operator_has_it(int height, int width)
    {
        Image image = Pictures.Random(11, 13, 3);
        float[] written = new float[height * width * 3];
        new BatchWriter(new BatchOptions { Height = height, Width = width }).Image(image, written);
        Tensor expected = Ops.ResizeBilinear(Tensor.From(Array.ConvertAll(image.Pixels, v => v / 255f), 1, 13, 11, 3), (height, width),
            alignCorners: false);
        Assert.That(written, Is.EqualTo(expected.Span.ToArray()).Within(1e-5));
    }

    [Test]
    public void Masks_take_the_nearest_pixel()
    {
        float[] written = new float[16];
        new BatchWriter(new BatchOptions { Height = 4, Width = 4 }).Mask(new LabelMap(2, 2, [1, 0, 0, 1]), written);
        Assert.That(written, Is.EqualTo(new float[] { 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1 }));
        written = new float[1];
        new BatchWriter(new BatchOptions { Height = 1, Width = 1 }).Mask(new LabelMap(3, 3, [0, 0, 0, 0, 1, 0, 0, 0, 0]), written);
        Assert.That(written, Is.EqualTo(new[] { 1f }));
    }

    [Test]
    public void Channels_are_repeated_or_averaged([Values(1, 2)] int size)
    {
        float[] one = new float[1], three = new float[3];
        Image Of(params byte[] pixel) => new(size, size, pixel.Length, [.. Enumerable.Repeat(pixel, size * size).SelectMany(p => p)]);
        new BatchWriter(new BatchOptions { Height = 1, Width = 1, Channels = 3 }).Image(Of(51), three);
        new BatchWriter(new BatchOptions { Height = 1, Width = 1, Channels = 1 }).Image(Of(51, 102, 0), one);
        Assert.That(three, Is.EqualTo(new[] { 0.2f, 0.2f, 0.2f }).Within(1e-6));
        Assert.That(one, Is.EqualTo(new[] { 0.2f }).Within(1e-6));
    }

    [Test]
    public void The_same_whatever_timing_and_cache([Values(0, 5000, 1 << 20)] int cacheBytes, [Values(1, 5)] int ahead)
    {
        SyntheticLesions data = new(2, 10, 32, 32);
        BatchOptions options = new()
        {
            BatchSize = 3,
            Height = 32,
            Width = 32,
            Seed = 9,
            Shuffle = true,
            Augment = new SegmentationAugment { Flips = true, Brightness = 0.3f },
        };
        using BatchLoader reference = new(data, s_ten, options),
            other = new(new CachedData(data, cacheBytes), s_ten, options with { Prefetch = ahead });
        for (int epoch = 0; epoch < 3; epoch++)
        {
            Batch[] expected = [.. reference.Epoch(epoch)], batches = [.. other.Epoch(epoch)];
            Assert.That(batches.SelectMany(b => b.Indices).Order(), Is.EqualTo(s_ten));
            Assert.That(batches, Has.Length.EqualTo(3), "the last batch would have one image, and joins the one before");
            for (int i = 0; i < 3; i++)
            {
                Assert.That(batches[i].Indices, Is.EqualTo(expected[i].Indices));
                Assert.That(batches[i].Images.Span.SequenceEqual(expected[i].Images.Span), $"epoch {epoch}, batch {i}");
                Assert.That(batches[i].Targets.Span.SequenceEqual(expected[i].Targets.Span));
            }
        }
    }

    [Test]
    public void Epochs_have_orders_of_their_own()
    {
        using BatchLoader loader = new(
            new SyntheticLesions(2, 10, 16, 16), s_ten, new BatchOptions { Height = 16, Width = 16, Shuffle = true });
        int[] first = Order(loader, 0), second = Order(loader, 1);
        Assert.That(first, Is.Not.EqualTo(second));
        Assert.That(Order(loader, 0), Is.EqualTo(first));
    }

    [Test]
    public void Samples_are_decoded_once_while_they_fit()
    {
        Counting data = new(10);
        long two = 2 * 4 * 16 * 16;
        BatchOptions options = new() { Height = 16, Width = 16 };
        using BatchLoader all = new(new CachedData(data, long.MaxValue), s_ten, options),
            some = new(new CachedData(data, two), s_ten, options);
        Order(all, 0);
        Order(all, 1);
        Assert.That(data.Loads, Is.EqualTo(10));
        Order(some, 0);
        Order(some, 1);
        Assert.That(data.Loads, Is.EqualTo(10 + 10 + 8));
    }

    [Test]
    public void A_damaged_sample_throws_where_its_batch_would_come_and_the_loader_lives_on()
    {
        Counting data = new(10) { Damaged = 5 };
        using BatchLoader loader = new(data, s_ten, new BatchOptions { BatchSize = 2, Height = 16, Width = 16 });
        List<int> seen = [];
        Assert.That(
            () => seen.AddRange(loader.Epoch(0).SelectMany(b => b.Indices)),
            Throws.TypeOf<ImageException>().With.Message.EqualTo("sample 5"));
        Assert.That(loader.Epoch(0).Take(2).SelectMany(b => b.Indices), Is.EqualTo(new[] { 0, 1, 2, 3 }));
        data.Damaged = -1;
        Assert.That(Order(loader, 0), Is.EqualTo(s_ten));
    }

    [Test, CancelAfter(120_000)]
    public void Stops_in_the_middle_without_leaving_a_thread()
    {
        Counting data = new(10);
        using (BatchLoader loader = new(data, s_ten, new BatchOptions { BatchSize = 1, Height = 16, Width = 16, Prefetch = 1 }))
        {
            foreach (Batch batch in loader.Epoch(0)) break;
            Assert.That(data.LastThread!.IsAlive, Is.False);
            IEnumerator<Batch> abandoned = loader.Epoch(1).GetEnumerator();
            Assert.That(abandoned.MoveNext());
            Assert.That(() => loader.Epoch(2).First(), Throws.TypeOf<InvalidOperationException>());
            loader.Dispose();
            Assert.That(data.LastThread!.IsAlive, Is.False);
            Assert.That(abandoned.MoveNext, Throws.TypeOf<ObjectDisposedException>());
        }
        Assert.That(data.Loads, Is.LessThan(10));
    }

    [Test]
    public void Tensors_belong_to_the_scope_of_the_consumer()
    {
        using BatchLoader loader = new(new SyntheticLesions(2, 10, 16, 16), s_ten, new BatchOptions { Height = 16, Width = 16 });
        Tensor images;
        using (MemoryScope scope = new()) images = loader.Epoch(0).First().Images;
        Assert.That(() => images.Span.Length, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Options_that_make_no_sense_are_refused()
    {
        foreach (BatchOptions options in new[]
        {
            new BatchOptions { BatchSize = 0 }, new() { Height = 0 }, new() { Channels = 2 }, new() { Prefetch = 0 },
            new() { MixUp = 0.2 }, new() { Normalization = Normalization.None(1) }, new() { Normalization = new([0, 0, 0], [1, 0, 1]) },
        })
            Assert.That(() => new BatchLoader(new Counting(1), [0], options), Throws.ArgumentException, options.ToString());
    }

    [TestCase(4), TestCase(5), TestCase(1)]
    public void MixUp_mixes_with_the_mirrored_place(int batchSize)
    {
        SyntheticShapes data = new(2, 10, 16, 16);
        BatchOptions options = new() { BatchSize = batchSize, Height = 16, Width = 16, Seed = 3 };
        using BatchLoader plain = new(data, s_ten, options),
            mixed = new(data, s_ten, options with { MixUp = 0.8 }),
            again = new(data, s_ten, options with { MixUp = 0.8 });
        List<float> shares = [];
        foreach ((Batch expected, Batch actual) in plain.Epoch(1).Zip(mixed.Epoch(1)))
        {
            int n = expected.Indices.Length;
            float share = n == 1 ? 1 : actual.Targets.Span[actual.Indices[0] % 10];
            shares.Add(share);
            foreach ((Tensor from, Tensor to) in new[] { (expected.Images, actual.Images), (expected.Targets, actual.Targets) })
            {
                int size = from.Shape.Count / n;
                for (int i = 0; i < from.Shape.Count; i++)
                {
                    float other = from.Span[(n - 1 - i / size) * size + i % size];
                    Assert.That(to.Span[i], Is.EqualTo(share * from.Span[i] + (1 - share) * other).Within(1e-6), $"number {i}");
                }
            }
        }
        if (batchSize > 1) Assert.That(shares, Is.Unique.And.All.InRange(0f, 1f));
        Assert.That(again.Epoch(1).Select(b => b.Targets.Span.ToArray()), Is.EqualTo(mixed.Epoch(1).Select(b => b.Targets.Span.ToArray())));
        Assert.That(
            again.Epoch(2).Select(b => b.Targets.Span.ToArray()),
            batchSize == 1
                ? Is.EqualTo(mixed.Epoch(1).Select(b => b.Targets.Span.ToArray()))
                : Is.Not.EqualTo(mixed.Epoch(1).Select(b => b.Targets.Span.ToArray())));
        foreach (double alpha in new[] { 0, -1, double.NaN })
            Assert.That(() => new BatchLoader(data, s_ten, options with { MixUp = alpha }), Throws.ArgumentException);
    }

    [Test]
    public void An_epoch_can_begin_at_any_batch_without_the_work_before_it([Values(0, 1, 2, 3)] int first, [Values] bool classes)
    {
        BatchOptions options = new()
        {
            BatchSize = 3,
            Height = 16,
            Width = 16,
            Seed = 3,
            Shuffle = true,
            MixUp = classes ? 0.8 : null,
            Augment = classes ? new ClassificationAugment() : null,
        };
        Counting counting = new(10);
        IImageData data = classes ? new SyntheticShapes(2, 10, 16, 16) : counting;
        using BatchLoader loader = new(data, s_ten, options), other = new(data, s_ten, options);
        Batch[] rest = [.. other.Epoch(5, first)];
        Assert.That(classes ? 0 : counting.Loads, Is.EqualTo(classes ? 0 : first == 3 ? 0 : 10 - 3 * first));
        Batch[] expected = [.. loader.Epoch(5).Skip(first)];
        Assert.That(rest.Select(b => b.Indices), Is.EqualTo(expected.Select(b => b.Indices)));
        Assert.That(rest.Select(b => b.Images.Span.ToArray()), Is.EqualTo(expected.Select(b => b.Images.Span.ToArray())));
        Assert.That(rest.Select(b => b.Targets.Span.ToArray()), Is.EqualTo(expected.Select(b => b.Targets.Span.ToArray())));
    }

    private static int[] Order(BatchLoader loader, int epoch) => [.. loader.Epoch(epoch).SelectMany(b => b.Indices)];

    /// <summary>Counts how often samples are loaded, and fails at one.</summary>
    private sealed class Counting(int count) : IImageData
    {
        private readonly SyntheticLesions _data = new(1, count, 16, 16);

        private int _loads;

        public int Loads => _loads;

        public int Damaged { get; set; } = -1;

        public Thread? LastThread { get; private set; }

        public ModelTask Task => _data.Task;

        public IReadOnlyList<string> Labels => _data.Labels;

        public int Count => _data.Count;

        public string Name(int index) => _data.Name(index);

        public string Patient(int index) => _data.Patient(index);

        public Sample Load(int index)
        {
            LastThread = Thread.CurrentThread;
            if (index == Damaged) throw new ImageException($"sample {index}");
            Interlocked.Increment(ref _loads);
            return _data.Load(index);
        }
    }
}
