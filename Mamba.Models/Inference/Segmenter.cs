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
/// A trained segmentation model to embed in other programs: a picture in, a mask out. It is thread-safe: the model is frozen, and each call
/// has its own memory.
/// </summary>
/// <example><code>
/// using Segmenter segmenter = Segmenter.Load("best.safetensors");
/// Segmentation result = segmenter.Segment(ImageFile.Load("slice.tif"));
/// </code></example>
public sealed class Segmenter : IDisposable
{
    private readonly VisionModel _model;
    private readonly BatchWriter _writer;

    /// <summary>Takes ownership of a model as <see cref="ModelFile.Load(string, CancellationToken)"/> returns it, and freezes it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="info">Its description.</param>
    /// <exception cref="ArgumentException">It is no segmentation model, or one of several classes.</exception>
    public Segmenter(VisionModel model, ModelInfo info)
    {
        if (info.Entry.Task != ModelTask.Segmentation)
            throw new ArgumentException($"Segmenter: {info.Model} is a model for {info.Entry.Task}; expected one for segmentation.");
        if (info.Config.Classes != 1)
            throw new ArgumentException($"Segmenter: {info.Model} of {info.Config.Classes} classes; expected 1, which is there or is not.");
        (_model, Info) = (model, info);
        model.Parameters.Freeze();
        _writer = new BatchWriter(info.Input);
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
    /// <returns>The segmenter.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or is malformed.</exception>
    /// <exception cref="ArgumentException">It is no segmentation model, or one of several classes.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Segmenter Load(string path, CancellationToken cancellation = default)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(path, cancellation);
        return new Segmenter(model, info);
    }

    /// <summary>
    /// Segments a picture. A picture of another size is resized to the model's, as in training, and the probabilities are resized back.
    /// </summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <returns>The mask, of the picture's size.</returns>
    public Segmentation Segment(Image image)
    {
        Image mask = new(image.Width, image.Height, channels: 1);
        int area = Segment(image, mask.Pixels, out double milliseconds);
        return new Segmentation(mask, area, milliseconds);
    }

    /// <summary>
    /// As <see cref="Segment(Image)"/>, into the caller's memory. After the first pictures of a size it allocates nothing. Reuse the image
    /// by writing to its <see cref="Image.Pixels"/>.
    /// </summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="mask">One byte per pixel of the picture: 255 where the probability is at least one half, 0 elsewhere.</param>
    /// <returns>Pixels of the mask that are 255.</returns>
    /// <exception cref="ArgumentException">The mask has another number of pixels than the picture.</exception>
    public int Segment(Image image, Span<byte> mask) => Segment(image, mask, out _);

    private int Segment(Image image, Span<byte> mask, out double milliseconds)
    {
        if (mask.Length != image.Width * image.Height)
            throw new ArgumentException(
                $"Segmenter: a mask of {mask.Length} pixels for a picture of {image.Width} x {image.Height}; expected "
                    + $"{image.Width * image.Height}.");
        RunData size = Info.Data;
        using MemoryScope scope = new();
        // A tape with NumericsCheck checks each step that it records.
        using Tape? tape = CheckNumerics ? new Tape { Numerics = new NumericsCheck(_model.Parameters.All) } : null;
        Tensor x = Tensor.Empty(1, size.Height, size.Width, Info.Config.InputChannels);
        _writer.Image(image, x.Span);
        long start = Stopwatch.GetTimestamp();
        Tensor y = _model.Probabilities(_model.Segment(x));
        milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (image.Height != size.Height || image.Width != size.Width)
            y = Ops.ResizeBilinear(y, (image.Height, image.Width), alignCorners: false);
        Overlays.Mask(y.Span, mask);
        return mask.Count((byte)255);
    }

    /// <summary>Returns the memory of the model to the pool. No call may be running.</summary>
    public void Dispose() => _model.Dispose();
}
