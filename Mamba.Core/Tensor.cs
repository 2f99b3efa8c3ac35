using Mamba.Core.Kernels;
using Mamba.Core.Memory;
using Buffer = Mamba.Core.Memory.Buffer;

namespace Mamba.Core;

/// <summary>
/// Float32 numbers in row-major order, always contiguous. Images are (B, H, W, C) and token sequences (B, L, C), channels last. So an image
/// becomes a sequence by a free <see cref="Reshape(ReadOnlySpan{int})"/>. Several threads may read a tensor; while one writes, no other may
/// use it.
/// </summary>
/// <remarks>
/// A handle: copies of it are the same tensor. A tensor made inside a <see cref="MemoryScope"/> is given back when the scope closes; any
/// later use throws an <see cref="ObjectDisposedException"/>. A tensor made outside belongs to the caller, who disposes it or leaves it to
/// the garbage collector.
/// </remarks>
public readonly unsafe struct Tensor : IDisposable, IEquatable<Tensor>
{
    private readonly TensorBody? _body;
    private readonly int _lease;

    private Tensor(TensorBody body) => (_body, _lease) = (body, body.Lease);

    /// <summary>The extents, outermost first.</summary>
    /// <exception cref="ObjectDisposedException">The tensor was given back.</exception>
    public Shape Shape => Body.Shape;

    /// <summary>The number of elements.</summary>
    public int Count => Body.Shape.Count;

    /// <summary>The elements in row-major order.</summary>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public Span<float> Span => Body.Buffer.Span.Slice(Body.Offset, Count);

    /// <summary>
    /// Whether this is a leaf whose gradient a <see cref="Tape"/> computes and keeps: a parameter, or an input of which the gradient is
    /// wanted. It is false for the result of a recorded operator, whose <see cref="NeedsGrad"/> is true (PyTorch's <c>requires_grad</c>).
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// It is set on the result of a recorded operator. <see cref="Tape.Gradients"/> gives the gradient of a result, and
    /// <see cref="Detach"/> a tensor into which none flows.
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
    /// The gradient of a leaf after <see cref="Tape.Backward(Tensor)"/>, in the shape of the leaf. It is null before, and after
    /// <see cref="ZeroGrad"/>. That of a result is there for its backward step alone.
    /// </summary>
    public Tensor? Grad => Body.Gradient is { HasValue: true } cell ? cell.Value : null;

    /// <summary>The address of the first element. It stays valid while the tensor is reachable and not released.</summary>
    internal float* Pointer => Body.Buffer.Pointer + Body.Offset;

    /// <summary>
    /// Whether gradients flow into this tensor: a leaf that asked for them, or the result of a recorded operator. A backward step asks
    /// before <see cref="OpenGrad"/>.
    /// </summary>
    public bool NeedsGrad => Body.Gradient is not null;

    internal GradientCell? GradientCell => Body.Gradient;

    /// <summary>The packed forms of this weight and of its views; null unless it is frozen.</summary>
    internal PackedForms? Forms => Body.Buffer.Forms;

    /// <summary>The rows of this weight, or of the one that this views, where they are stored for products of few rows.</summary>
    internal StoredWeight? Stored => Body.Stored;

    /// <summary>The row of <see cref="Stored"/> that is the first of this tensor.</summary>
    internal int FirstStoredRow => Body.Offset / Math.Max(1, Body.Stored!.Columns);

    private TensorBody Body => _body is { } body && body.Lease == _lease
        ? body
        : throw new ObjectDisposedException(nameof(Tensor), "This tensor was given back.");

    /// <summary>A tensor whose elements are undefined: the caller writes them all.</summary>
    /// <param name="shape">The extents.</param>
    /// <returns>A new tensor.</returns>
    /// <exception cref="TimeLimitException">The <see cref="TimeLimit"/> of this thread has passed.</exception>
    public static Tensor Empty(Shape shape)
    {
        TimeLimit.Check();
        return Make(shape, BufferPool.Rent(shape.Count), 0);
    }

    /// <summary>As <see cref="Empty(Shape)"/>, for a tensor that outlasts passes: it takes no more memory than it has elements.</summary>
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
    /// The same memory in another shape. Gradients flow through it, as if it were the tensor itself. One extent may be -1: it follows from
    /// the others.
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
    /// Elements [start, start + count) of dimension 0, in the same memory. It cuts the gradient, as <see cref="Detach"/> does;
    /// <see cref="Ops.Slice"/> gives the same view with its gradient.
    /// </summary>
    /// <param name="start">The first index.</param>
    /// <param name="count">How many.</param>
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

    /// <summary>
    /// The same tensor as a constant: no gradient flows back through it. The memory is the same, so a write to one shows in the other.
    /// </summary>
    /// <returns>A view of the same shape.</returns>
    public Tensor Detach() => View(Shape, 0, null);

    /// <summary>A copy in memory of its own. It cuts the gradient, as <see cref="Detach"/> does.</summary>
    /// <returns>A new tensor of the same shape.</returns>
    public Tensor Clone()
    {
        Tensor copy = Empty(Shape);
        Span.CopyTo(copy.Span);
        return copy;
    }

    /// <summary>Forgets the gradient of a leaf; its memory is kept for the next one.</summary>
    public void ZeroGrad()
    {
        Body.Gradient?.Clear();
    }

    /// <summary>Gives the memory back. A tensor that a scope owns need not be disposed.</summary>
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

    /// <summary>The place to which a backward pass writes its contribution to this tensor's gradient.</summary>
    /// <returns>The memory, and whether to add to it or to overwrite it.</returns>
    /// <exception cref="InvalidOperationException">
    /// No gradient flows into this tensor, or the step that made it was walked and released already.
    /// </exception>
    public GradSlot OpenGrad() =>
        (Body.Gradient ?? throw new InvalidOperationException(
            $"Tensor.OpenGrad: no gradient flows into this tensor {Shape}; ask Tensor.NeedsGrad first.")).Open();

    /// <summary>
    /// Makes <paramref name="gradient"/> itself the first contribution to this tensor, without a copy. Only for the incoming gradient of
    /// the running step, which nobody reads afterwards, and only once.
    /// </summary>
    /// <returns>
    /// False if there is a contribution already, or a leaf needs memory of its own: then add it through <see cref="OpenGrad"/>.
    /// </returns>
    internal bool TryTakeGrad(Tensor gradient) => Body.Gradient is { } cell && cell.TryTake(gradient);

    /// <summary>
    /// Takes its values from another buffer from now on; false if others view the memory that it has, and would not follow.
    /// </summary>
    internal bool TryMove(Buffer buffer) => Body.TryMove(buffer);

    /// <summary>The file in which the values are, if they are mapped.</summary>
    internal MappedFile? MappedFile => Body.Buffer.File;

    /// <summary>From now on the values do not change, so kernels may cache them, and parts of them, in packed form.</summary>
    /// <param name="inputs">How what is multiplied by this weight is rounded; null to multiply in float32.</param>
    internal void Freeze(InputQuantization? inputs = null) => Body.Buffer.Forms = new PackedForms(inputs);

    /// <summary>From now on the values may change again. Cached packed forms of this memory are dropped.</summary>
    internal void Thaw() => (Body.Buffer.Forms, Body.Stored) = (null, null);

    /// <summary>Where a format has the rows of this matrix: in place, or room for their codes.</summary>
    internal StoredWeight InRows(WeightFormat format) => format == WeightFormat.Float32
        ? new StoredWeight(Body.Buffer, Body.Offset, Shape[0], Shape[1])
        : new StoredWeight(format, Shape[0], Shape[1]);

    /// <summary>From now on this frozen weight is read as rows; false if others view its memory, and would lose it.</summary>
    internal bool TryStore(StoredWeight weight) => Body.TryStore(weight);

    /// <summary>Marks this as the result of a step.</summary>
    internal void ExpectGrad(Recording recording) => Body.Gradient = GradientCell.OfResult(Shape, recording);

    /// <summary>Takes the mark away.</summary>
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

    /// <summary>Retains the memory. If it was given back, the <see cref="Source"/> recomputes the values.</summary>
    internal void Recompute() => Body.Recompute(this);

    private Tensor View(Shape shape, int offset, GradientCell? gradient)
    {
        TensorBody body = Body;
        bool ofRows = shape.Rank == 2 && shape[1] == body.Stored?.Columns; // a view of another kind is one of floats
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

/// <summary>What kernels need of tensors that may be absent.</summary>
internal static unsafe class OptionalTensor
{
    extension(Tensor? tensor)
    {
        /// <summary>The address of the first element; null for an absent tensor.</summary>
        public float* Pointer => tensor is { } present ? present.Pointer : null;
    }

    extension(GradSlot? slot)
    {
        /// <summary>Where a kernel writes; nowhere for a gradient that is not wanted.</summary>
        public GradientTarget Target => slot is { } wanted ? wanted.Target : default;
    }
}

/// <summary>Where a backward pass writes: the first contribution overwrites, later ones add.</summary>
public readonly unsafe struct GradSlot
{
    internal GradSlot(Tensor tensor, bool accumulate)
    {
        Tensor = tensor;
        Accumulate = accumulate;
    }

    /// <summary>The gradient, elements in the order of the tensor it belongs to.</summary>
    public Tensor Tensor { get; }

    /// <summary>True: add to what is there. False: overwrite; what is there is undefined.</summary>
    public bool Accumulate { get; }

    /// <summary>The elements of the gradient.</summary>
    public Span<float> Span => Tensor.Span;

    internal float* Pointer => Tensor.Pointer;

    /// <summary>The same for a kernel.</summary>
    internal GradientTarget Target => new(Pointer, Accumulate);
}
