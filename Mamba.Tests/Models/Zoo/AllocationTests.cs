using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Measurement;
using Mamba.Models.Recipes;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>
/// Once a model has run, running it again allocates nothing, so that the garbage collector has nothing to do and never stops it.
/// </summary>
[NonParallelizable]
internal sealed class AllocationTests
{
    // Two passes fill the pools, and some more do where threads want a buffer of the same size at once more often than before.
    private const int WarmUp = 2, MostPasses = 50;

    private static IEnumerable<TestCaseData> Steps =>
        from entry in Registry.Models
        from training in new[] { false, true }
        select new TestCaseData(entry, training).SetArgDisplayNames(entry.Name, training ? "training" : "inference");

    [TestCaseSource(nameof(Steps))]
    public void A_step_allocates_nothing(ModelEntry entry, bool training)
    {
        AssertAllocatesNothing(Small(entry, training).Run);
    }

    /// <summary>Images of a small model that run side by side.</summary>
    [TestCase("ul-vm-unet"), TestCase("vim")]
    public void A_batch_allocates_nothing(string name)
    {
        ModelEntry entry = Registry.Find(name);
        AssertAllocatesNothing(
            new ModelStep(StepConfig.Of(entry, training: false, entry.Config.ImageSize is { } size ? (size, size) : (32, 32), batch: 9))
                .Run);
    }

    /// <summary>At the paper's batch of 64, that and what a step works with besides fit into 24 GiB.</summary>
    [Test]
    public void A_unet_saves_at_most_100_MB_an_image()
    {
        ModelConfig config = new(InputChannels: 3, Classes: 1);
        VisionModel model = Registry.Find("unet").Create(config);
        long[] held = new long[2];
        for (int i = 0; i < 2; i++)
        {
            using Tensor images = Tensor.Zeros(i + 1, 256, 256, 3);
            model.Parameters.Training = true;
            long before = RentedMemory.OfTheLiving();
            using Tape tape = new();
            using Tensor result = model.Forward(images);
            held[i] = BufferPool.Rented - before;
        }
        Assert.That((held[1] - held[0]) * sizeof(float), Is.InRange(50e6, 100e6));
    }

    /// <summary>
    /// A pass works in little more than two tensors of the first level, its largest: 2 MiB each at 256 x 256. And what waits in the pool
    /// afterwards is not much more.
    /// </summary>
    [Test]
    public void A_pass_needs_little_more_than_its_two_largest_tensors()
    {
        MemoryScope.Trim();
        // What is pooled still are halves whose other half somebody has.
        long before = RentedMemory.OfTheLiving() + BufferPool.Pooled, largest = 256 * 256 * 8;
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        model.Parameters.Freeze();
        using Tensor images = Tensor.Zeros(1, 256, 256, 3);
        for (int i = 0; i < 3; i++)
        {
            long rented = BufferPool.Rented;
            BufferPool.ResetPeak();
            model.Forward(images).Dispose();
            Assert.That(BufferPool.Peak - rented, Is.InRange(largest, 2.6 * largest), $"pass {i}");
        }
        Assert.That(BufferPool.Rented + BufferPool.Pooled - before - images.Count, Is.LessThan(5 * largest));
        model.Dispose();
    }

    [TestCase("ul-vm-unet")]
    [TestCase("vim")]
    public void Training_collects_no_garbage(string model)
    {
        ModelStep step = Small(Registry.Find(model), training: true);
        for (int i = 0; i < WarmUp; i++) step.Run();
        GC.Collect(); // what came before must not be collected on this test's account
        int before = GC.CollectionCount(0);
        for (int i = 0; i < 50; i++) step.Run();
        Assert.That(GC.CollectionCount(0) - before, Is.Zero);
    }

    [Test]
    public void A_segmenter_writes_into_the_callers_memory([Values(32, 45)] int size, [Values(1, 3)] int channels)
    {
        (VisionModel model, ModelInfo info) = Embedded("ul-vm-unet", ["lesion"]);
        Segmenter segmenter = new(model, info);
        Image image = Picture(size, channels);
        byte[] mask = new byte[size * size];
        int area = 0;
        AssertAllocatesNothing(() => area = segmenter.Segment(image, mask));
        Segmentation expected = segmenter.Segment(image);
        Assert.That(mask, Is.EqualTo(expected.Mask.Pixels));
        Assert.That(area, Is.EqualTo(expected.Area).And.EqualTo(mask.Count(m => m == 255)));
        Assert.That(
            () => segmenter.Segment(image, mask.AsSpan(1)), Throws.ArgumentException.With.Message.Contains($"expected {size * size}"));
    }

    [Test]
    public void A_classifier_writes_into_the_callers_memory([Values(32, 45)] int size)
    {
        string[] labels = [.. Enumerable.Range(0, 10).Select(i => $"class {i}")];
        (VisionModel model, ModelInfo info) = Embedded("vim", labels);
        Classifier classifier = new(model, info);
        Image image = Picture(size, channels: 3);
        float[] probabilities = new float[labels.Length];
        AssertAllocatesNothing(() => classifier.Classify(image, probabilities));
        foreach ((string label, float probability) in classifier.Classify(image).Classes)
            Assert.That(probabilities[Array.IndexOf(labels, label)], Is.EqualTo(probability));
        Assert.That(
            () => classifier.Classify(image, probabilities.AsSpan(1)), Throws.ArgumentException.With.Message.Contains("10 classes"));
    }

    private static void AssertAllocatesNothing(Action pass)
    {
        ThreadTeam.CountsAllocations = true;
        List<(long Here, long Helpers)> passes = [];
        do passes.Add(BytesOf(pass)); while (passes[^1] != (0, 0) && passes.Count < MostPasses);
        ThreadTeam.CountsAllocations = false;
        Assert.That(passes[^1], Is.EqualTo((0L, 0L)), $"bytes of each pass: {string.Join(", ", passes)}");
    }

    /// <summary>
    /// What a pass allocates on this thread, and on those that help it. What the process allocates says nothing: the host of the tests has
    /// timers, which on a
    /// busy machine run more often in a pass.
    /// </summary>
    private static (long Here, long Helpers) BytesOf(Action pass)
    {
        long helpers = ThreadTeam.AllocatedByHelpers, here = GC.GetAllocatedBytesForCurrentThread();
        pass();
        here = GC.GetAllocatedBytesForCurrentThread() - here;
        return (here, ThreadTeam.AllocatedByHelpers - helpers);
    }

    private static (VisionModel Model, ModelInfo Info) Embedded(string name, string[] labels)
    {
        ModelEntry entry = Registry.Find(name);
        return (
            entry.Create(entry.Config),
            new ModelInfo(name, entry.Config, labels, Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, 32, 32)));
    }

    private static Image Picture(int size, int channels)
    {
        Image image = new(size, size, channels);
        new Random(1).NextBytes(image.Pixels);
        return image;
    }

    private static ModelStep Small(ModelEntry entry, bool training)
    {
        // Many norms over the two pixels of two small images would amplify rounding without end, and large steps let weights diverge.
        int least = entry.Recipe == TrainingRecipe.NormedConvolutions ? 64 : 32;
        entry = entry with { Recipe = entry.Recipe with { LearningRate = 1e-4 } };
        if (entry.Name is "alexnet" or "vgg11") entry = entry with { Config = entry.Config with { Width = 8 } }; // much is alike in them
        int side = entry.Config.ImageSize ?? Math.Max(least, entry.SmallestSide);
        return new ModelStep(StepConfig.Of(entry, training, (side, side), batch: training ? 2 : 1));
    }
}
