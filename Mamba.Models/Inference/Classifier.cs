using System.Diagnostics;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Inference;

/// <summary>
/// A trained classifier to embed in other programs: a picture in, classes out. It is thread-safe: the model is frozen, and each call has
/// its own memory.
/// </summary>
/// <example><code>
/// using Classifier classifier = Classifier.Load("best.safetensors");
/// ClassProbability best = classifier.Classify(ImageFile.Load("frog.png")).Classes[0];
/// </code></example>
public sealed class Classifier : IDisposable
{
    private readonly VisionModel _model;
    private readonly BatchWriter _writer;
    private readonly FrameReader _frames = new();

    /// <summary>Takes ownership of a model as <see cref="ModelFile.Load(string, CancellationToken)"/> returns it, and freezes it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="info">Its description.</param>
    /// <exception cref="ArgumentException">It is no classifier.</exception>
    public Classifier(VisionModel model, ModelInfo info)
    {
        if (info.Entry.Task != ModelTask.Classification)
            throw new ArgumentException($"Classifier: {info.Model} is a model for {info.Entry.Task}; expected one for classification.");
        (_model, Info, _writer) = (model, info, new BatchWriter(info.Input));
        model.Parameters.Freeze();
    }

    /// <summary>
    /// Whether to check the result of every operator. The first NaN or infinity is then a <see cref="NonFiniteException"/> that names the
    /// operator and its place. It takes more time and memory.
    /// </summary>
    public bool CheckNumerics { get; init; }

    /// <summary>What the weight file says about the model.</summary>
    public ModelInfo Info { get; }

    /// <summary>Reads a weight file.</summary>
    /// <param name="path">A file that training wrote.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The classifier.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or is malformed.</exception>
    /// <exception cref="ArgumentException">It is no classifier.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Classifier Load(string path, CancellationToken cancellation = default)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(path, cancellation);
        return new Classifier(model, info);
    }

    /// <summary>Reads weights from a stream: an embedded resource, a part of a firmware image, a download.</summary>
    /// <param name="weights">What training wrote, from the stream's position on; the stream is read to its end and stays open.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The classifier.</returns>
    /// <exception cref="CheckpointException">The weights cannot be read, or are malformed.</exception>
    /// <exception cref="ArgumentException">It is no classifier.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Classifier Load(Stream weights, string name = "weights", CancellationToken cancellation = default)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(weights, name, cancellation);
        return new Classifier(model, info);
    }

    /// <summary>Classifies a picture. A picture of another size is resized to the model's, as in training.</summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <returns>The classes, the most probable first.</returns>
    public Classification Classify(Image image)
    {
        float[] probabilities = new float[Info.Labels.Count];
        Classify(image, probabilities, out double milliseconds);
        IEnumerable<ClassProbability> classes = probabilities.Select((p, i) => new ClassProbability(Info.Labels[i], p));
        return new Classification([.. classes.OrderByDescending(c => c.Probability)], milliseconds);
    }

    /// <summary>
    /// As <see cref="Classify(Image)"/>, into the caller's memory. After the first pictures of a size it allocates nothing. Reuse the image
    /// by writing to its <see cref="Image.Pixels"/>.
    /// </summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="probabilities">One probability per class, in the order of <see cref="ModelInfo.Labels"/>.</param>
    /// <exception cref="ArgumentException">Its length is not the number of classes.</exception>
    public void Classify(Image image, Span<float> probabilities) => Classify(image, probabilities, out _);

    /// <summary>
    /// Classifies a frame as a camera delivers it. Equal to <see cref="Classify(Image, Span{float})"/> of the region as a picture. After
    /// the first frames of a size it allocates nothing.
    /// </summary>
    /// <param name="frame">The buffer.</param>
    /// <param name="format">What it holds, and which region of it counts.</param>
    /// <param name="probabilities">One probability per class, in the order of <see cref="ModelInfo.Labels"/>.</param>
    /// <param name="budget">
    /// The time for this call; null for no limit. It is checked before each operator, so a call returns at most one operator late. A frame
    /// that runs out of time writes nothing and says so in <see cref="ClassifiedFrame.Status"/>.
    /// </param>
    /// <returns>Whether the frame was finished, its most probable class and its time.</returns>
    /// <exception cref="ArgumentException">
    /// The format contradicts itself or the buffer, or there is room for another number of probabilities.
    /// </exception>
    public ClassifiedFrame Classify(
        ReadOnlySpan<byte> frame, FrameFormat format, Span<float> probabilities, TimeSpan? budget = null)
    {
        ArgumentNullException.ThrowIfNull(format);
        ThrowIfUnfit(probabilities);
        long start = Stopwatch.GetTimestamp();
        using TimeLimit limit = budget is { } time ? new TimeLimit(time) : default;
        Image image = _frames.Read(frame, format);
        try
        {
            Classify(image, probabilities, out _);
        }
        catch (TimeLimitException) when (limit.HasPassed)
        {
            return new ClassifiedFrame(FrameStatus.OutOfTime, 0, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        finally
        {
            _frames.Return(image);
        }
        int best = 0;
        for (int i = 1; i < probabilities.Length; i++)
            if (probabilities[i] > probabilities[best]) best = i;
        return new ClassifiedFrame(FrameStatus.Complete, best, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
    }

    private void ThrowIfUnfit(ReadOnlySpan<float> probabilities)
    {
        if (probabilities.Length != Info.Labels.Count)
            throw new ArgumentException(
                $"Classifier: room for {probabilities.Length} probabilities; expected one for each of {Info.Labels.Count} classes.");
    }

    private void Classify(Image image, Span<float> probabilities, out double milliseconds)
    {
        ArgumentNullException.ThrowIfNull(image);
        ThrowIfUnfit(probabilities);
        RunData size = Info.Data;
        using MemoryScope scope = new();
        // A tape with NumericsCheck checks each step that it records.
        using Tape? tape = CheckNumerics ? new Tape { Numerics = new NumericsCheck(_model.Parameters.All) } : null;
        Tensor x = Tensor.Empty(1, size.Height, size.Width, Info.Config.InputChannels);
        _writer.Image(image, x.Span);
        long start = Stopwatch.GetTimestamp();
        Tensor y = _model.Probabilities(_model.Forward(x));
        milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        y.Span.CopyTo(probabilities);
    }

    /// <summary>Returns the memory of the model to the pool. No call may be running.</summary>
    public void Dispose() => _model.Dispose();
}
