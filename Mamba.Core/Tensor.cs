using Mamba.Core.Kernels;
using Mamba.Core.Memory;
using Buffer = Mamba.Core.Memory.Buffer;

namespace Mamba.Core;

/// <summary>
/// Float32 values in row-major order, always contiguous. Images are (B, H, W, C) and token sequences (B, L, C), channels last, so an image
/// becomes a sequence by a free <see cref="Reshape(ReadOnlySpan{int})"/>. Several threads may read a tensor; while one writes, no other may
/// use it.
/// </summary>
/// <remarks>
/// A handle: copies of it refer to the same tensor. A tensor created inside a <see cref="MemoryScope"/> is released when the scope closes;
/// any later use throws an <see cref="ObjectDisposedException"/>. A tensor created outside belongs to the caller, who disposes it or leaves
/// it to the garbage collector.
/// </remarks>
public readonly unsafe struct Tensor : IDisposable, IEquatable<Tensor>
{
    private readonly TensorBody? _body;
    private readonly int _lease;

    private Tensor(TensorBody body) => (_body, _lease) = (body, body.Lease);

    /// <summary>
    /// The extents, outermost first. While a tape is open on the thread that released the tensor, they can still be read.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The tensor was released, and no tape is open.</exception>
    public Shape Shape => Body.Shape;

    /// <summary>The number of elements.</summary>
    public int Count => Body.Shape.Count;

    /// <summary>The elements in row-major order.</summary>
    /// <exception cref="ObjectDisposedException">The memory was released.</exception>
    public Span<float> Span => Body.Buffer.Span.Slice(Body.Offset, Count);

    /// <summary>
    /// Whether this is a leaf whose gradient a <see cref="Tape"/> computes and keeps: a parameter, or an input to differentiate by. False
    /// for the result of a recorded operator, whose <see cref="NeedsGrad"/> is true (compare PyTorch's <c>requires_grad</c>).
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// It is set on the result of a recorded operator. Use <see cref="Tape.Gradients"/> for the gradient of a result, or
    /// <see cref="Detach"/> for a tensor without one.
    /// </exception>
    public bool RequiresGrad
    {
        get => Body.Gradient is { IsLeaf: true };
        set
        {
            if (Body.Gradient is { IsLeaf: false })
                throw new InvalidOperationException(
                    $"Tensor.RequiresGrad: this tensor {Shape} is the result of a recorded operator. Tape.Gradients gives its gradient; "
                    + "Tensor.Detach cuts it off.");
            Body.Gradient = value ? Body.Gradient ?? GradientCell.OfLeaf(Shape) : null;
        }
    }

    /// <summary>
    /// The gradient of a leaf after <see cref="Tape.Backward(Tensor)"/>, in the shape of the leaf. Null before, and after
    /// <see cref="ZeroGrad"/>. The gradient of a result exists only for its backward step.
    /// </summary>
    public Tensor? Grad => Body.Gradient is { HasValue: true } cell ? cell.Value : null;

    /// <summary>The address of the first element. It stays valid while the tensor is reachable and not released.</summary>
    internal float* Pointer => Body.Buffer.Pointer + Body.Offset;

    /// <summary>
    /// Whether gradients flow into this tensor: a leaf that requires them, or the result of a recorded operator. A backward step checks it
    /// before <see cref="OpenGrad"/>.
    /// </summary>
    public bool NeedsGrad => Body.Gradient is not null;

    internal GradientCell? GradientCell => Body.Gradient;

    /// <summary>The packed forms of this weight and of its views; null unless it is frozen.</summary>
    internal PackedForms? Forms => Body.Buffer.Forms;

    /// <summary>The rows of this weight, or of the weight that it views, stored for products of few rows; null otherwise.</summary>
    internal StoredWeight? Stored => Body.Stored;

    /// <summary>The row of <see cref="Stored"/> at which this tensor starts.</summary>
    internal int FirstStoredRow => Body.Offset / Math.Max(1, Body.Stored!.Columns);

    private TensorBody Body => _body is { } body && body.Lease == _lease
        ? body
        : throw new ObjectDisposedException(nameof(Tensor), "This tensor was given back.");

    /// <summary>A tensor with undefined elements: the caller writes all of them.</summary>
    /// <param name="shape">The extents.</param>
    /// <returns>A new tensor.</returns>
    /// <exception cref="TimeLimitException">The <see cref="TimeLimit"/> of this thread has passed.</exception>
    public static Tensor Empty(Shape shape)
    {
        TimeLimit.Check();
        return Make(shape, BufferPool.Rent(shape.Count), 0);
    }

    /// <summary>As <see cref="Empty(Shape)"/>, for a long-lived tensor: it takes no more memory than its elements.</summary>
    internal static Tensor Lasting(Shape shape) => Make(shape, BufferPool.Rent(shape.Count, lasting: true), 0);

    /// <inheritdoc cref="Empty(Shape)"/>
    public static Tensor Empty(params ReadOnlySpan<int> shape) => Empty(new Shape(shape));

    /// <summary>A tensor of zeros.</summary>
    /// <param name="shape">The extents.</param>
    /// <returns>A new tensor.</returns>
    public static Tensor Zeros(Shape shape) => Full(0f, shape);

    /// <inheritdoc cref="Zeros(Shape)"/>
    public static Tensor Zeros(params ReadOnlySpan<int> shape) => Full(0f, new Shape(shape));

    /// <summary>A tensor with the same value everywhere.</summary>
    /// <param name="value">The value.</param>
    /// <param name="shape">The extents; none for a scalar.</param>
    /// <returns>A new tensor.</returns>
    public static Tensor Full(float value, params ReadOnlySpan<int> shape) => Full(value, new Shape(shape));

    /// <inheritdoc cref="Full(float, ReadOnlySpan{int})"/>
    public static Tensor Full(float value, Shape shape)
    {
        Tensor tensor = Empty(shape);
        tensor.Span.Fill(value);
        return tensor;
    }

    /// <summary>A tensor with a copy of the given values.</summary>
    /// <param name="values">As many as the shape has elements, in row-major order.</param>
    /// <param name="shape">The extents.</param>
    /// <returns>A new tensor.</returns>
    /// <exception cref="ShapeException">The number of values differs.</exception>
    public static Tensor From(ReadOnlySpan<float> values, params ReadOnlySpan<int> shape)
    {
        Shape extents = new(shape);
        Check.That(values.Length == extents.Count, "Tensor.From", $"{values.Length} values for shape {extents}");
        Tensor tensor = Empty(extents);
        values.CopyTo(tensor.Span);
        return tensor;
    }

    /// <summary>The value of a tensor that has one element.</summary>
    /// <returns>The value.</returns>
    /// <exception cref="ShapeException">There is not exactly one element.</exception>
    public float Item()
    {
        Check.That(Count == 1, "Tensor.Item", $"shape {Shape} has {Count} elements, expected 1");
        return Span[0];
    }

    /// <summary>
    /// The same memory in another shape. Gradients flow through the view. One extent may be -1: it follows from the others.
    /// </summary>
    /// <param name="shape">The new extents.</param>
    /// <returns>A view.</returns>
    /// <exception cref="ShapeException">The numbers of elements differ.</exception>
    public Tensor Reshape(params ReadOnlySpan<int> shape)
    {
        Check.That(
            shape.Length <= Core.Shape.MaxRank, "Tensor.Reshape",
            $"{shape.Length} dimensions; at most {Core.Shape.MaxRank} are supported");
        Span<int> extents = stackalloc int[Core.Shape.MaxRank];
        shape.CopyTo(extents);
        extents = extents[..shape.Length];
        int unknown = shape.IndexOf(-1);
        if (unknown >= 0)
        {
            extents[unknown] = 1;
            int known = new Shape(extents).Count;
            extents[unknown] = known == 0 ? 0 : Count / known;
        }
        return Reshape(new Shape(extents));
    }

    /// <inheritdoc cref="Reshape(ReadOnlySpan{int})"/>
    public Tensor Reshape(Shape shape)
    {
        Check.That(shape.Count == Count, "Tensor.Reshape", $"{Shape} has {Count} elements, {shape} has {shape.Count}");
        return View(shape, 0, Body.Gradient);
    }

    /// <summary>
    /// Elements [start, start + count) of dimension 0, in the same memory. No gradient flows through it, as with <see cref="Detach"/>;
    /// <see cref="Ops.Slice"/> returns the same view with gradients.
    /// </summary>
    /// <param name="start">The first index.</param>
    /// <param name="count">The number of elements.</param>
    /// <returns>A view of shape (count, ...).</returns>
    /// <exception cref="ShapeException">The range is not inside dimension 0.</exception>
    public Tensor Rows(int start, int count)
    {
        Check.That(
            Shape.Rank > 0 && start >= 0 && count >= 0 && start <= Shape[0] - count, "Tensor.Rows",
            $"[{start}, {(long)start + count}) of {Shape}");
        int row = Shape[0] == 0 ? 0 : Count / Shape[0];
        return View(Shape.With(0, count), start * row, null);
    }

    /// <summary>The same tensor as a constant: no gradient flows back through it. It shares the memory.</summary>
    /// <returns>A view of the same shape.</returns>
    public Tensor Detach() => View(Shape, 0, null);

    /// <summary>A copy. No gradient flows through it, as with <see cref="Detach"/>.</summary>
    /// <returns>A new tensor of the same shape.</returns>
    public Tensor Clone()
    {
        Tensor copy = Empty(Shape);
        Span.CopyTo(copy.Span);
        return copy;
    }

    /// <summary>Clears the gradient of a leaf; its memory is kept for the next one.</summary>
    public void ZeroGrad()
    {
        Body.Gradient?.Clear();
    }

    /// <summary>Releases the memory. A tensor that a scope owns need not be disposed.</summary>
    public void Dispose()
    {
        if (_body is { } body && body.Lease == _lease) body.Dispose();
    }

    /// <summary>Whether both are handles of the same tensor.</summary>
    /// <param name="other">The other handle.</param>
    /// <returns>True if they are.</returns>
    public bool Equals(Tensor other) => _body == other._body && _lease == other._lease;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Tensor other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_body, _lease);

    /// <summary>Whether both are handles of the same tensor.</summary>
    public static bool operator ==(Tensor left, Tensor right) => left.Equals(right);

    /// <summary>Whether the handles are of different tensors.</summary>
    public static bool operator !=(Tensor left, Tensor right) => !left.Equals(right);

    /// <summary>The destination of a backward pass's contribution to this tensor's gradient.</summary>
    /// <returns>The memory, and whether to add to it or to overwrite it.</returns>
    /// <exception cref="InvalidOperationException">
    /// No gradient flows into this tensor, or the step that computed it was already walked and released.
    /// </exception>
    public GradSlot OpenGrad() =>
        (Body.Gradient ?? throw new InvalidOperationException(
            $"Tensor.OpenGrad: no gradient flows into this tensor {Shape}; ask Tensor.NeedsGrad first.")).Open();

    /// <summary>
    /// Uses <paramref name="gradient"/> itself as the first contribution to this tensor, without a copy. Only for the incoming gradient of
    /// the running step, which is not read afterwards, and only once.
    /// </summary>
    /// <returns>
    /// False if there is a contribution already, or a leaf needs its own memory: then add it through <see cref="OpenGrad"/>.
    /// </returns>
    internal bool TryTakeGrad(Tensor gradient) => Body.Gradient is { } cell && cell.TryTake(gradient);

    /// <summary>Moves the values to another buffer; false if the memory has views, which would not follow.</summary>
    internal bool TryMove(Buffer buffer) => Body.TryMove(buffer);

    /// <summary>The file that holds the values, if they are mapped.</summary>
    internal MappedFile? MappedFile => Body.Buffer.File;

    /// <summary>Freezes the values: kernels may cache packed forms of them.</summary>
    /// <param name="inputs">The quantization of this weight's inputs; null to multiply in float32.</param>
    internal void Freeze(InputQuantization? inputs = null) => Body.Buffer.Forms = new PackedForms(inputs);

    /// <summary>The values may change again; cached packed forms are dropped.</summary>
    internal void Thaw() => (Body.Buffer.Forms, Body.Stored) = (null, null);

    /// <summary>The rows of this matrix in a format: in place, or memory for their codes.</summary>
    internal StoredWeight InRows(WeightFormat format) => format == WeightFormat.Float32
        ? new StoredWeight(Body.Buffer, Body.Offset, Shape[0], Shape[1])
        : new StoredWeight(format, Shape[0], Shape[1]);

    /// <summary>Stores this frozen weight as rows; false if its memory has views, which would lose it.</summary>
    internal bool TryStore(StoredWeight weight) => Body.TryStore(weight);

    /// <summary>Marks this tensor as the result of a step.</summary>
    internal void ExpectGrad(Recording recording) => Body.Gradient = GradientCell.OfResult(Shape, recording);

    /// <summary>Removes the mark.</summary>
    internal void ForgetGrad() => Body.Gradient = null;

    internal Tensor Retain()
    {
        Body.Retain();
        return this;
    }

    internal void Release() => Body.Release();

    /// <summary>
    /// The recorded step that can recompute the values, so that later steps need not keep their memory; null for most tensors.
    /// </summary>
    internal BackwardStep? Source
    {
        get => Body.Source;
        set => Body.Source = value;
    }

    /// <summary>Retains the memory. If it was returned, <see cref="Source"/> recomputes the values.</summary>
    internal void Recompute() => Body.Recompute(this);

    private Tensor View(Shape shape, int offset, GradientCell? gradient)
    {
        TensorBody body = Body;
        bool ofRows = shape.Rank == 2 && shape[1] == body.Stored?.Columns; // views of other kinds need float32 values
        bool coded = ofRows && body.Stored!.Format != WeightFormat.Float32;
        Tensor view = Make(shape, coded ? null : body.Buffer.Share(), body.Offset + offset);
        if (ofRows) view.Body.Stored = body.Stored;
        view.Body.Gradient = gradient;
        return view;
    }

    private static Tensor Make(Shape shape, Buffer? buffer, int offset)
    {
        Tensor tensor = new(TensorBody.Rent(shape, buffer, offset));
        MemoryScope.Own(tensor);
        return tensor;
    }
}

/// <summary>Kernel arguments for optional tensors.</summary>
internal static unsafe class OptionalTensor
{
    extension(Tensor? tensor)
    {
        /// <summary>The address of the first element; null for an absent tensor.</summary>
        public float* Pointer => tensor is { } present ? present.Pointer : null;
    }

    extension(GradSlot? slot)
    {
        /// <summary>The destination for a kernel; the default if the gradient is not needed.</summary>
        public GradientTarget Target => slot is { } wanted ? wanted.Target : default;
    }
}

/// <summary>The destination of a gradient: the first contribution overwrites, later ones add.</summary>
public readonly unsafe struct GradSlot
{
    internal GradSlot(Tensor tensor, bool accumulate)
    {
        Tensor = tensor;
        Accumulate = accumulate;
    }

    /// <summary>The gradient, with elements in the order of its tensor.</summary>
    public Tensor Tensor { get; }

    /// <summary>True: add to the previous values. False: overwrite; the previous values are undefined.</summary>
    public bool Accumulate { get; }

    /// <summary>The elements of the gradient.</summary>
    public Span<float> Span => Tensor.Span;

    internal float* Pointer => Tensor.Pointer;

    /// <summary>The same for a kernel.</summary>
    internal GradientTarget Target => new(Pointer, Accumulate);
}
