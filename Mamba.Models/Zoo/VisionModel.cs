using System.Buffers;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Zoo;

/// <summary>The kind of a model's output.</summary>
public enum ModelOutput
{
    /// <summary>Logits: a sigmoid (for masks) or a softmax (over classes) turns them into probabilities.</summary>
    Logits,

    /// <summary>Probabilities of a mask: the model ends in a sigmoid.</summary>
    Probabilities,
}

/// <summary>A model of the zoo: parameters with PyTorch's names, and a forward pass.</summary>
/// <remarks>Disposing releases the memory of its parameters at once; otherwise the garbage collector does so later.</remarks>
/// <param name="parameters">The store of its parameters.</param>
/// <param name="config">Its configuration.</param>
public abstract class VisionModel(ParameterStore parameters, ModelConfig config) : IModule, IDisposable
{
    // Weights that fit in L3: with larger ones, images run together to share each read of the weights.
    private const long LargestSmall = 4 << 20;

    private bool _disposed;

    /// <summary>The model's configuration.</summary>
    public ModelConfig Config { get; } = config;

    /// <summary>The parameters and buffers, by their names in PyTorch.</summary>
    public ParameterStore Parameters { get; } = WithWidths(parameters, config);

    /// <summary>The kind of the output of <see cref="Forward"/>.</summary>
    public abstract ModelOutput Output { get; }

    /// <summary>Height and width of the input must be multiples of this.</summary>
    public abstract int SizeMultiple { get; }

    /// <summary>Required height and width of the input; null if any multiple of <see cref="SizeMultiple"/> is accepted.</summary>
    public virtual int? InputSize => null;

    /// <summary>The smallest height and width of the input.</summary>
    public virtual int SmallestSide => SizeMultiple;

    /// <summary>Runs the model as its authors wrote it; an open tape records it.</summary>
    /// <param name="images">
    /// (B, H, W, input channels), H and W multiples of <see cref="SizeMultiple"/> from <see cref="SmallestSide"/> on, or equal to
    /// <see cref="InputSize"/>.
    /// </param>
    /// <returns>(B, H', W', classes), or (B, classes) of a classifier: logits or probabilities, see <see cref="Output"/>.</returns>
    /// <exception cref="ShapeException">The rank, number of channels or size is wrong.</exception>
    /// <exception cref="CheckpointException">The weights are memory-mapped, and their file was truncated.</exception>
    public Tensor Forward(Tensor images)
    {
        Parameters.ThrowIfCut();
        bool fits = images.Shape.Rank == 4 && images.Shape[3] == Config.InputChannels && images.Count > 0
            && FitsSide(images.Shape[1]) && FitsSide(images.Shape[2]);
        if (!fits)
        {
            string sides = InputSize is { } size ? $"equal to {size}"
                : SmallestSide > SizeMultiple ? $"at least {SmallestSide}" : $"multiples of {SizeMultiple}";
            throw new ShapeException(
                GetType().Name, $"images {images.Shape}; expected (B, H, W, {Config.InputChannels}) with H and W {sides}");
        }
        bool watched = Tape.IsRecording || MultiplyAdds.IsCounting; // these see only the operators of their own thread
        return images.Shape[0] > 1 && Parameters.IsFrozen && !watched && Parameters.ParameterCount <= LargestSmall
            ? RunEach(images)
            : Run(images);
    }

    /// <summary>
    /// Runs the model on images of any size. They are zero-padded at the bottom and on the right to the next <see cref="SizeMultiple"/>,
    /// and the result is cropped. If output and input sizes differ, the output is first resized, bilinearly without aligned corners.
    /// </summary>
    /// <param name="images">(B, H, W, input channels).</param>
    /// <returns>(B, H, W, classes).</returns>
    /// <exception cref="ShapeException">The rank or number of channels is wrong.</exception>
    public Tensor Segment(Tensor images)
    {
        if (images.Shape.Rank != 4)
            throw new ShapeException(GetType().Name, $"images {images.Shape}; expected (B, H, W, {Config.InputChannels})");
        int height = images.Shape[1], width = images.Shape[2], paddedHeight = RoundUp(height), paddedWidth = RoundUp(width);
        Tensor y = Forward(Pad(Pad(images, 1, paddedHeight - height), 2, paddedWidth - width));
        if (y.Shape[1] != paddedHeight || y.Shape[2] != paddedWidth) y = Ops.ResizeBilinear(y, (paddedHeight, paddedWidth),
            alignCorners: false);
        if (paddedHeight != height) y = Ops.Slice(y, 1, 0, height);
        return paddedWidth == width ? y : Ops.Slice(y, 2, 0, width);
    }

    /// <summary>
    /// The probabilities in a result of <see cref="Forward"/> or <see cref="Segment"/>: softmax over the classes of a classifier, or over
    /// the channels of a segmentation model with several classes; sigmoid for a mask.
    /// </summary>
    /// <param name="result">Logits or probabilities, see <see cref="Output"/>.</param>
    /// <returns>The same shape; the result itself if it is probabilities.</returns>
    public Tensor Probabilities(Tensor result) =>
        Output == ModelOutput.Probabilities ? result
        : result.Shape.Rank == 2 || Config.Classes > 1 ? Ops.Softmax(result)
        : Ops.Sigmoid(result);

    /// <summary>Releases the memory of the parameters; no call may be running.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        foreach ((_, Tensor tensor) in Parameters.All)
        {
            tensor.Grad?.Dispose();
            tensor.Dispose();
        }
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Runs images separately: as many at once as there are threads, one per thread; the remaining ones use all threads. Results depend
    /// neither on the threads nor on the batch.
    /// </summary>
    private Tensor RunEach(Tensor images)
    {
        int batch = images.Shape[0], together = batch - batch % Workers.Count;
        using MemoryScope memory = new();
        Tensor[] results = ArrayPool<Tensor>.Shared.Rent(batch);
        Workers.ForEach(together, (Model: this, images, results), static (s, i) => s.results[i] = s.Model.RunOne(s.images, i));
        for (int i = together; i < batch; i++) results[i] = RunOne(images, i);
        Tensor y = Tensor.Empty(results[0].Shape.With(0, batch));
        int size = y.Count / batch;
        for (int i = 0; i < batch; i++)
        {
            results[i].Span.CopyTo(y.Span.Slice(i * size, size));
            results[i].Dispose(); // results of other threads belong to no scope
        }
        ArrayPool<Tensor>.Shared.Return(results, clearArray: true);
        return memory.Return(y);
    }

    private Tensor RunOne(Tensor images, int i)
    {
        using MemoryScope memory = new();
        return memory.Return(Run(images.Rows(i, 1)));
    }

    /// <summary>The forward pass; sizes have been checked.</summary>
    /// <param name="images">(B, H, W, input channels).</param>
    /// <returns>(B, H', W', classes), or (B, classes).</returns>
    protected abstract Tensor Run(Tensor images);

    /// <summary>The mean of each channel over the image: (B, H, W, C) to (B, C).</summary>
    private protected static Tensor MeanOfImage(Tensor x) => Ops.AdaptiveAvgPool2d(x, 1).Reshape(x.Shape[0], x.Shape[3]);

    /// <summary>(B, H, W, C) as rows of C H W values, in the order in which PyTorch flattens an image.</summary>
    private protected static Tensor ByChannel(Tensor x) => Ops.Permute(x, 0, 3, 1, 2).Reshape(x.Shape[0], -1);

    private static Tensor Pad(Tensor x, int axis, int amount) =>
        amount == 0 ? x : Ops.Concat([x, Tensor.Zeros(x.Shape.With(axis, amount))], axis);

    /// <summary>Sets the widths before the layers of the model are declared: base constructors run first.</summary>
    private static ParameterStore WithWidths(ParameterStore parameters, ModelConfig config)
    {
        if (config.Widths is { } widths) parameters.Widths = widths.Channels;
        return parameters;
    }

    private bool FitsSide(int side) => InputSize is { } only ? side == only : side >= SmallestSide && side % SizeMultiple == 0;

    private int RoundUp(int size) => (size + SizeMultiple - 1) / SizeMultiple * SizeMultiple;
}
