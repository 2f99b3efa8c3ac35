using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Optim;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>A frozen model keeps packed and folded weights. It must not keep them longer than the weights stay as they are.</summary>
internal sealed class FrozenModelTests
{
    private static readonly string[] s_models =
    [
        "unet", "resnet18", "resnet20", "vim", "ul-vm-unet", "performer", "googlenet", "mobilenet-v2", "efficientnet-b0", "regnet-y-400mf",
    ];

    [TestCaseSource(nameof(s_models))]
    public void A_frozen_model_gives_what_it_gave_before(string name)
    {
        (VisionModel model, Tensor images) = Create(name);
        float[] before = Run(model, images);
        model.Parameters.Freeze();
        float[] first = Run(model, images), second = Run(model, images);
        Assert.That(second, Is.EqualTo(first));
        GradCheck.Close(Array.ConvertAll(before, x => (double)x), first, 1e-5, "frozen output");
    }

    [TestCaseSource(nameof(s_models))]
    public void What_was_kept_is_dropped_when_the_model_trains(string name)
    {
        (VisionModel model, Tensor images) = Create(name);
        model.Parameters.Freeze();
        float[] frozen = Run(model, images);

        model.Parameters.Training = true;
        Assert.That(model.Parameters.IsFrozen, Is.False);
        Adam optimizer = new(model.Parameters.Parameters, learningRate: 0.1);
        using (Tape tape = new())
        {
            Tensor y = model.Forward(images);
            tape.Backward(y, Tensor.Full(1f, y.Shape.ToArray()));
            optimizer.Step();
        }
        model.Parameters.Training = false;
        float[] trained = Run(model, images);
        Assert.That(trained, Is.Not.EqualTo(frozen));
        model.Parameters.Freeze();
        GradCheck.Close(Array.ConvertAll(trained, x => (double)x), Run(model, images), 1e-5, "frozen output after training");
        Assert.That(optimizer.Step, Throws.InvalidOperationException.With.Message.Contains("frozen"));
    }

    /// <summary>
    /// Images of small models go side by side, one a thread: what an image gives depends neither on its batch nor on the threads.
    /// </summary>
    [NonParallelizable] // the number of threads is everybody's
    [TestCase("ul-vm-unet"), TestCase("vim"), TestCase("resnet20")]
    public void An_image_gives_alone_what_it_gives_in_a_batch(string name)
    {
        const int Batch = 5;
        (VisionModel model, Tensor images) = Create(name, Batch);
        model.Parameters.Freeze();
        float[] alone = [.. Enumerable.Range(0, Batch).SelectMany(i => Run(model, images.Rows(i, 1)))];
        foreach (int threads in new[] { 1, 2, 3, 8 })
        {
            using ThreadCount _ = new(threads);
            Assert.That(Run(model, images), Is.EqualTo(alone), $"{threads} threads");
        }
    }

    [Test]
    public void A_frozen_model_runs_on_several_threads_at_once()
    {
        (VisionModel model, Tensor images) = Create("resnet20");
        model.Parameters.Freeze();
        float[][] results = new float[8][];
        Thread[] threads = [.. Enumerable.Range(0, results.Length).Select(i => new Thread(() => results[i] = Run(model, images)))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        float[] expected = Run(model, images);
        foreach (float[] result in results) Assert.That(result, Is.EqualTo(expected));
    }

    [Test]
    public void Gradients_flow_through_a_frozen_model()
    {
        (VisionModel model, Tensor images) = Create("resnet20");
        float[] expected = Gradient();
        model.Parameters.Freeze();
        Assert.That(Gradient(), Is.EqualTo(expected));

        float[] Gradient()
        {
            model.Parameters.ZeroGrad();
            using Tape tape = new();
            Tensor y = model.Forward(images);
            tape.Backward(y, Tensor.Full(1f, y.Shape.ToArray()));
            return model.Parameters["conv1.weight"].Grad!.Value.Span.ToArray();
        }
    }

    private static (VisionModel Model, Tensor Images) Create(string name, int batch = 2)
    {
        ModelEntry entry = Registry.Find(name);
        VisionModel model = entry.Create(entry.Config, seed: 3);
        // Statistics as after training, so that folding them changes weights and biases.
        foreach ((string key, Tensor tensor) in model.Parameters.All)
            if (key.EndsWith("running_mean", StringComparison.Ordinal)) Numbers.Uniform(tensor.Count, seed: 5).CopyTo(tensor.Span);
            else if (key.EndsWith("running_var", StringComparison.Ordinal))
                Array.ConvertAll(Numbers.Uniform(tensor.Count, seed: 6), x => 1f + 0.5f * x).CopyTo(tensor.Span);
        return (model, Numbers.Uniform(1, 0f, 1f, batch, 32, 32, 3));
    }

    private static float[] Run(VisionModel model, Tensor images)
    {
        using MemoryScope scope = new();
        return model.Forward(images).Span.ToArray();
    }
}
