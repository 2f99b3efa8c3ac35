using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>One instance of what other programs embed, called from several threads at once.</summary>
[NonParallelizable] // the number of threads is everybody's
internal sealed class ConcurrentInferenceTests
{
    private const int Threads = 4, Calls = 60;

    // Other sizes than the model's take the way through resizing.
    private static readonly Image[] s_pictures = [.. Enumerable.Range(0, 2 * Threads).Select(i => Striped(32 + i % 3 * 8, 32, i + 2))];

    [Test]
    public void A_segmenter_gives_every_thread_the_mask_of_its_own_picture()
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create(seed: 3);
        // A model that has learned nothing is about as sure of one pixel as of the other: its bias is put where masks differ.
        double typical = model.Forward(Tensor.From(Array.ConvertAll(s_pictures[0].Pixels, p => p / 255f), 1, 32, 32, 3))
            .Span.ToArray().Order().ElementAt(512);
        model.Parameters["final.bias"].Span[0] -= (float)Math.Log(typical / (1 - typical));
        Segmenter segmenter = new(model, Info("ul-vm-unet", model.Config, "lesion"));
        AssertSame(picture => segmenter.Segment(picture).Mask.Pixels);
    }

    [Test]
    public void A_classifier_gives_every_thread_the_classes_of_its_own_picture()
    {
        ModelConfig config = Registry.Find("vim").Config with { Classes = 3, Width = 24, Depth = 2 };
        Classifier classifier = new(Registry.Find("vim").Create(config), Info("vim", config, "a", "b", "c"));
        AssertSame<ClassProbability>(picture => [.. classifier.Classify(picture).Classes]);
    }

    /// <summary>
    /// The results of many threads at once, while kernels run on two threads, too, are to the bit those of one call after another.
    /// </summary>
    private static void AssertSame<T>(Func<Image, T[]> run)
    {
        T[][] expected = Array.ConvertAll(s_pictures, picture => run(picture));
        Assert.That(
            expected.Select(e => string.Join(' ', e)).Distinct().Count(), Is.EqualTo(expected.Length),
            "the pictures have different results");
        using ThreadCount _ = new(2);
        using Barrier start = new(Threads);
        bool[] same = new bool[Threads * Calls];
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
        {
            start.SignalAndWait();
            for (int call = 0; call < Calls; call++)
            {
                int picture = (t + call) % s_pictures.Length;
                same[t * Calls + call] = run(s_pictures[picture]).AsSpan().SequenceEqual(expected[picture]);
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.That(same, Is.All.True);
    }

    private static ModelInfo Info(string name, ModelConfig config, params string[] labels) =>
        new(name, config, labels, Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, 32, 32));

    private static Image Striped(int width, int height, int period)
    {
        Image image = new(width, height, 3);
        for (int i = 0; i < image.Pixels.Length; i++)
            image.Pixels[i] = (byte)(i / 3 % width / period % 2 == 0 ? 40 * (i % 3) : 255 - i / width % 200);
        return image;
    }
}
