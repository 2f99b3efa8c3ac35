using System.Diagnostics;
using CommunityToolkit.HighPerformance.Buffers;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Inference;

/// <summary>Sees some rows of a picture's probabilities.</summary>
/// <param name="y">The first row.</param>
/// <param name="probabilities">(rows, Width, classes); valid until the call returns.</param>
public delegate void ProbabilityBand(int y, ReadOnlySpan<float> probabilities);

/// <summary>
/// A trained segmentation model to embed in other programs: a picture in, a mask or a map of classes out. It is thread-safe: the model is
/// frozen, and each call has its own memory.
/// </summary>
/// <example><code>
/// using Segmenter segmenter = Segmenter.Load("best.safetensors");
/// Segmentation result = segmenter.Segment(ImageFile.Load("slice.tif"));
/// </code></example>
public sealed class Segmenter : IDisposable
{
    private readonly VisionModel _model;
    private readonly BatchWriter _writer;
    private readonly FrameReader _frames = new();
    private LetterboxFrame? _letterbox;
    private readonly float _threshold = 0.5f;

    /// <summary>Takes ownership of a model as <see cref="ModelFile.Load(string, CancellationToken)"/> returns it, and freezes it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="info">Its description.</param>
    /// <exception cref="ArgumentException">It is no segmentation model, or has more classes than a byte can tell.</exception>
    public Segmenter(VisionModel model, ModelInfo info)
    {
        if (info.Entry.Task != ModelTask.Segmentation)
            throw new ArgumentException($"Segmenter: {info.Model} is a model for {info.Entry.Task}; expected one for segmentation.");
        if (info.Config.Classes is < 1 or > LabelMap.MaxClasses)
            throw new ArgumentException(
                $"Segmenter: {info.Model} of {info.Config.Classes} classes; expected 1 to {LabelMap.MaxClasses}.");
        (_model, Info) = (model, info);
        model.Parameters.Freeze();
        _writer = new BatchWriter(info.Input);
    }

    /// <summary>
    /// Whether to check the result of every operator. The first NaN or infinity is then a <see cref="NonFiniteException"/> that names the
    /// operator and its place. It takes more time and memory.
    /// </summary>
    public bool CheckNumerics { get; init; }

    /// <summary>The probability from which a pixel is in the mask of a model of one class. Several classes have no threshold.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not more than 0 and less than 1.</exception>
    public float Threshold
    {
        get => _threshold;
        init => _threshold = value is > 0f and < 1f ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "Segmenter: a threshold is more than 0 and less than 1.");
    }

    /// <summary>
    /// Whether probabilities are the mean over the picture and its mirror images: horizontal, vertical, both. It takes four times as long.
    /// </summary>
    public bool FlipAugmentation { get; init; }

    /// <summary>Whether a picture keeps its aspect ratio: it is centered on the model's input, with zeros beside it.</summary>
    public bool Letterbox { get; init; }

    /// <summary>
    /// How pictures are cut into tiles; null to resize them to the model's input. Memory then grows with the width of a picture, not with
    /// its area; only the mask has its size.
    /// </summary>
    public TileOptions? Tiles { get; init; }

    /// <summary>What the weight file says about the model.</summary>
    public ModelInfo Info { get; }

    private int Classes => Info.Config.Classes;

    /// <summary>Reads a weight file.</summary>
    /// <param name="path">A file that training wrote.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The segmenter.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or is malformed.</exception>
    /// <exception cref="ArgumentException">It is no segmentation model.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Segmenter Load(string path, CancellationToken cancellation = default)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(path, cancellation);
        return new Segmenter(model, info);
    }

    /// <summary>Reads weights from a stream: an embedded resource, a part of a firmware image, a download.</summary>
    /// <param name="weights">What training wrote, from the stream's position on; the stream is read to its end and stays open.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The segmenter.</returns>
    /// <exception cref="CheckpointException">The weights cannot be read, or are malformed.</exception>
    /// <exception cref="ArgumentException">It is no segmentation model.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Segmenter Load(Stream weights, string name = "weights", CancellationToken cancellation = default)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(weights, name, cancellation);
        return new Segmenter(model, info);
    }

    /// <summary>
    /// Segments a picture. A picture of another size is resized to the model's, as in training, and the probabilities are resized back.
    /// </summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <returns>The classes of its pixels.</returns>
    public Segmentation Segment(Image image) => Segment(image, observe: null);

    /// <summary>As <see cref="Segment(Image)"/>, and shows the probabilities on the way.</summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="observe">Sees the probabilities of all rows from the top, in one band or, with tiles, in several.</param>
    /// <returns>The classes of its pixels.</returns>
    public Segmentation Segment(Image image, ProbabilityBand? observe)
    {
        ArgumentNullException.ThrowIfNull(image);
        byte[] pixels = new byte[checked(image.Width * image.Height)];
        double confidence = 0, milliseconds;
        if (Tiles is null)
        {
            using MemoryScope scope = new();
            using Tape? tape = Watch();
            Decide(0, Whole(image, out milliseconds).Span);
        }
        else
        {
            TileBands bands = Bands(image);
            while (bands.Next()) Decide(bands.Y, bands.Rows);
            milliseconds = bands.Milliseconds;
        }
        return new Segmentation(image, pixels, Classes) { Confidence = confidence / pixels.Length, Milliseconds = milliseconds };

        void Decide(int y, ReadOnlySpan<float> probabilities)
        {
            Span<byte> to = pixels.AsSpan(y * image.Width, probabilities.Length / Classes);
            Choose(probabilities, to);
            confidence += Confidence(probabilities, to);
            observe?.Invoke(y, probabilities);
        }
    }

    /// <summary>
    /// As <see cref="Segment(Image)"/>, into the caller's memory. After the first pictures of a size it allocates nothing, unless pictures
    /// are cut into tiles. Reuse the image by writing to its <see cref="Image.Pixels"/>.
    /// </summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="pixels">
    /// One byte per pixel of the picture. One class: 255 where the probability is at least <see cref="Threshold"/>, 0 elsewhere. Several
    /// classes: the index of the most probable one, the first of equals.
    /// </param>
    /// <returns>Pixels that are not background.</returns>
    /// <exception cref="ArgumentException">There is another number of pixels than in the picture.</exception>
    public int Segment(Image image, Span<byte> pixels)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (pixels.Length != image.Width * image.Height)
            throw new ArgumentException(
                $"Segmenter: a mask of {pixels.Length} pixels for a picture of {image.Width} x {image.Height}; expected "
                    + $"{image.Width * image.Height}.");
        Write(image, pixels, default);
        return pixels.Length - pixels.Count((byte)0);
    }

    /// <summary>The probabilities of a picture's pixels, at its own size.</summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="probabilities">(Height, Width, classes) of the picture; one class has one value per pixel.</param>
    /// <exception cref="ArgumentException">There is room for another number of values.</exception>
    public void Probabilities(Image image, Span<float> probabilities)
    {
        long expected = (long)image.Width * image.Height * Classes;
        if (probabilities.Length != expected)
            throw new ArgumentException(
                $"Segmenter: room for {probabilities.Length} probabilities of a picture of {image.Width} x {image.Height} and {Classes} "
                    + $"classes; expected {expected}.");
        Write(image, default, probabilities);
    }

    /// <summary>
    /// Segments a frame as a camera delivers it, into the caller's memory. Equal to <see cref="Segment(Image, Span{byte})"/> of the region
    /// as a picture. After the first frames of a size it allocates nothing, unless frames are cut into tiles.
    /// </summary>
    /// <param name="frame">The buffer.</param>
    /// <param name="format">What it holds, and which region of it counts.</param>
    /// <param name="mask">
    /// One byte per pixel of the region, as in <see cref="Segment(Image, Span{byte})"/>; empty if not wanted.
    /// </param>
    /// <param name="probabilities">(Height, Width, classes) of the region; empty if not wanted.</param>
    /// <param name="budget">
    /// The time for this call; null for no limit. It is checked before each operator, so a call returns at most one operator late. A frame
    /// that runs out of time writes nothing and says so in <see cref="SegmentedFrame.Status"/>.
    /// </param>
    /// <returns>Whether the frame was finished, its area and its time.</returns>
    /// <exception cref="ArgumentException">
    /// The format contradicts itself or the buffer, or there is room for another number of pixels or probabilities.
    /// </exception>
    public SegmentedFrame Segment(
        ReadOnlySpan<byte> frame, FrameFormat format, Span<byte> mask, Span<float> probabilities = default, TimeSpan? budget = null)
    {
        ArgumentNullException.ThrowIfNull(format);
        format.ThrowIfUnfit(frame.Length);
        long pixels = (long)format.Area.Width * format.Area.Height, start = Stopwatch.GetTimestamp();
        bool fits = (mask.IsEmpty || mask.Length == pixels) && (probabilities.IsEmpty || probabilities.Length == pixels * Classes);
        if (!fits || (mask.IsEmpty && probabilities.IsEmpty))
            throw new ArgumentException(
                $"Segmenter: room for {mask.Length} pixels and {probabilities.Length} probabilities of a region of {format.Area.Width} x "
                    + $"{format.Area.Height}; expected {pixels} and {pixels * Classes}, or none of one of them.");
        using TimeLimit limit = budget is { } time ? new TimeLimit(time) : default;
        try
        {
            Segment(frame, format, mask, probabilities, mayStop: budget is not null);
        }
        catch (TimeLimitException) when (limit.HasPassed)
        {
            return new SegmentedFrame(FrameStatus.OutOfTime, 0, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        int area = mask.Length - mask.Count((byte)0);
        return new SegmentedFrame(FrameStatus.Complete, area, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
    }

    /// <summary>Returns the memory of the model to the pool. No call may be running.</summary>
    public void Dispose() => _model.Dispose();

    private void Segment(ReadOnlySpan<byte> frame, FrameFormat format, Span<byte> mask, Span<float> probabilities, bool mayStop)
    {
        Image image = _frames.Read(frame, format);
        try
        {
            if (Tiles is null || !mayStop)
            {
                Write(image, mask, probabilities);
                return;
            }
            // Tiles are written band by band; the caller is to see all of them or none.
            using SpanOwner<byte> pixels = SpanOwner<byte>.Allocate(mask.Length);
            using SpanOwner<float> values = SpanOwner<float>.Allocate(probabilities.Length);
            Write(image, pixels.Span, values.Span);
            pixels.Span.CopyTo(mask);
            values.Span.CopyTo(probabilities);
        }
        finally
        {
            _frames.Return(image);
        }
    }

    /// <summary>The mask and the probabilities of a picture; empty ones are not wanted.</summary>
    private void Write(Image image, Span<byte> mask, Span<float> probabilities)
    {
        if (Tiles is null)
        {
            using MemoryScope scope = new();
            using Tape? tape = Watch();
            ReadOnlySpan<float> whole = Whole(image, out _).Span;
            if (!mask.IsEmpty) Choose(whole, mask);
            if (!probabilities.IsEmpty) whole.CopyTo(probabilities);
            return;
        }
        TileBands bands = Bands(image);
        while (bands.Next())
        {
            int first = bands.Y * image.Width;
            if (!mask.IsEmpty) Choose(bands.Rows, mask.Slice(first, bands.Rows.Length / Classes));
            if (!probabilities.IsEmpty) bands.Rows.CopyTo(probabilities[(first * Classes)..]);
        }
    }

    /// <summary>The probabilities of a picture that the model sees as a whole: (1, Height, Width, classes) of the picture.</summary>
    private Tensor Whole(Image image, out double milliseconds)
    {
        RunData size = Info.Data;
        Tensor x;
        LetterboxFrame? frame = Letterbox ? LetterboxOf(image) : null;
        if (frame is not null) x = frame.Write(image);
        else _writer.Image(image, (x = Tensor.Empty(1, size.Height, size.Width, Info.Config.InputChannels)).Span);
        long start = Stopwatch.GetTimestamp();
        Tensor y = Predict(x);
        milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (frame is not null) y = frame.Cut(y);
        bool same = y.Shape[1] == image.Height && y.Shape[2] == image.Width;
        return same ? y : Ops.ResizeBilinear(y, (image.Height, image.Width), alignCorners: false);
    }

    /// <summary>Frames of a stream share their size, so the last one is kept.</summary>
    private LetterboxFrame LetterboxOf(Image image)
    {
        LetterboxFrame? last = Volatile.Read(ref _letterbox);
        if (last is null || !last.IsFor(image)) Volatile.Write(ref _letterbox, last = new LetterboxFrame(image, Info.Input));
        return last;
    }

    private TileBands Bands(Image image) => Letterbox
        ? throw new ArgumentException("Segmenter: tiles are not resized, so that they have no letterbox; expected one of both.")
        : new TileBands(Predict, Watch, Info.Input, image, Tiles!, Classes);

    /// <summary>From (N, H, W, channels) to probabilities, (N, H, W, classes).</summary>
    private Tensor Predict(Tensor x)
    {
        Tensor y = Once(x);
        if (!FlipAugmentation) return y;
        Tensor across = Ops.Flip(x, 2);
        y = Ops.Add(y, Ops.Flip(Once(across), 2));
        y = Ops.Add(y, Ops.Flip(Once(Ops.Flip(x, 1)), 1));
        y = Ops.Add(y, Ops.Flip(Ops.Flip(Once(Ops.Flip(across, 1)), 1), 2));
        return Ops.Scale(y, 0.25f);
    }

    private Tensor Once(Tensor x) => _model.Probabilities(_model.Segment(x));

    /// <summary>A tape with NumericsCheck, which checks each step that it records; null where nobody asks for it.</summary>
    private Tape? Watch() => CheckNumerics ? new Tape { Numerics = new NumericsCheck(_model.Parameters.All) } : null;

    private void Choose(ReadOnlySpan<float> probabilities, Span<byte> to)
    {
        if (Classes == 1) PixelClasses.AtLeast(probabilities, Threshold, byte.MaxValue, to);
        else PixelClasses.MostProbable(probabilities, Classes, to);
    }

    /// <summary>The sum over pixels of the probability of what was chosen.</summary>
    private double Confidence(ReadOnlySpan<float> probabilities, ReadOnlySpan<byte> chosen)
    {
        double sum = 0;
        for (int i = 0; i < chosen.Length; i++)
            sum += Classes > 1 ? probabilities[i * Classes + chosen[i]] : chosen[i] != 0 ? probabilities[i] : 1f - probabilities[i];
        return sum;
    }
}
