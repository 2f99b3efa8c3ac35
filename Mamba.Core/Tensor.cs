using System.Diagnostics.CodeAnalysis;
using Mamba.Core.Memory;
using Buffer = Mamba.Core.Memory.Buffer;

namespace Mamba.Core;

/// <summary>
/// Float32 numbers in row-major order, always contiguous. Images are (B, H, W, C) and token sequences (B, L, C), channels last, so that an image
/// becomes a sequence by a free <see cref="Reshape(ReadOnlySpan{int})"/>. Not thread-safe while it is written to; reading from several threads is safe.
/// </summary>
/// <remarks>
/// A tensor made inside a <see cref="MemoryScope"/> is given back when the scope closes; one made outside is the caller's, to be disposed or left
/// to the garbage collector.
/// </remarks>
public sealed unsafe class Tensor : IDisposable
{
    private readonly Buffer _buffer;
    private readonly int _offset;
    private int _references = 1;
    private bool _disposed;
    private GradientCell? _gradient;
    private PackedForms? _forms;

    private Tensor(Shape shape, Buffer buffer, int offset)
    {
        Shape = shape;
        _buffer = buffer;
        _offset = offset;
        MemoryScope.Own(this);
    }

    /// <summary>The extents, outermost first.</summary>
    public Shape Shape { get; }

    /// <summary>The number of elements.</summary>
    public int Count => Shape.Count;

    /// <summary>The elements in row-major order.</summary>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public Span<float> Span
    {
        get
        {
            ThrowIfReleased();
            return _buffer.Memory.Span.Slice(_offset, Count);
        }
    }

    /// <summary>
    /// Whether this is a leaf whose gradient a <see cref="Tape"/> computes and keeps: a parameter, or an input of which the gradient is wanted.
    /// </summary>
    public bool RequiresGrad
    {
        get => _gradient is { IsLeaf: true };
        set => _gradient = value ? _gradient ?? new GradientCell(Shape) { IsLeaf = true } : null;
    }

    /// <summary>The gradient of a leaf after <see cref="Tape.Backward(Tensor)"/>, in the shape of the leaf; null before, and after <see cref="ZeroGrad"/>.</summary>
    public Tensor? Grad => _gradient is { HasValue: true } cell ? cell.Value : null;

    /// <summary>The address of the first element. It stays valid while this object is reachable and not released.</summary>
    internal float* Pointer
    {
        get
        {
            ThrowIfReleased();
            return _buffer.Pointer + _offset;
        }
    }

    /// <summary>Whether gradients flow into this tensor: a leaf that asked for them, or the result of a recorded operator. A backward step asks before <see cref="OpenGrad"/>.</summary>
    public bool NeedsGrad => _gradient is not null;

    internal GradientCell? GradientCell => _gradient;

    /// <summary>Where kernels keep this weight, and views of it, in the form they read; null unless it is frozen.</summary>
    internal PackedForms? Forms => _forms;

    /// <summary>A tensor whose elements are undefined: the caller writes them all.</summary>
    /// <param name="shape">The extents.</param>
    /// <returns>A new tensor.</returns>
    public static Tensor Empty(Shape shape) => new(shape, BufferPool.Rent(shape.Count), 0);

    /// <inheritdoc cref="Empty(Shape)"/>
    public static Tensor Empty(params ReadOnlySpan<int> shape) => Empty(new Shape(shape));

    /// <summary>A tensor of zeros.</summary>
    /// <param name="shape">The extents.</param>
    /// <returns>A new tensor.</returns>
    public static Tensor Zeros(params ReadOnlySpan<int> shape) => Full(0f, shape);

    /// <summary>A tensor with the same value everywhere.</summary>
    /// <param name="value">The value.</param>
    /// <param name="shape">The extents; none for a scalar.</param>
    /// <returns>A new tensor.</returns>
    public static Tensor Full(float value, params ReadOnlySpan<int> shape)
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
    /// The same memory in another shape; gradients are shared, too. One extent may be -1: it follows from the others.
    /// </summary>
    /// <param name="shape">The new extents.</param>
    /// <returns>A view.</returns>
    /// <exception cref="ShapeException">The numbers of elements differ.</exception>
    public Tensor Reshape(params ReadOnlySpan<int> shape)
    {
        Span<int> extents = stackalloc int[shape.Length];
        shape.CopyTo(extents);
        int unknown = shape.IndexOf(-1);
        if (unknown >= 0)
        {
            extents[unknown] = 1;
            int known = new Shape(extents).Count;
            extents[unknown] = known == 0 ? 0 : Count / known;
        }
        Shape target = new(extents);
        Check.That(target.Count == Count, "Tensor.Reshape", $"{Shape} has {Count} elements, {target} has {target.Count}");
        return View(target, 0, _gradient);
    }

    /// <inheritdoc cref="Reshape(ReadOnlySpan{int})"/>
    public Tensor Reshape(Shape shape) => Reshape(shape.ToArray());

    /// <summary>Elements [start, start + count) of dimension 0, in the same memory. No gradient flows through it.</summary>
    /// <param name="start">The first index.</param>
    /// <param name="count">How many.</param>
    /// <returns>A view of shape (count, ...).</returns>
    /// <exception cref="ShapeException">The range is not inside dimension 0.</exception>
    public Tensor Rows(int start, int count)
    {
        Check.That(Shape.Rank > 0 && start >= 0 && count >= 0 && start <= Shape[0] - count, "Tensor.Rows", $"[{start}, {start + count}) of {Shape}");
        int row = Shape[0] == 0 ? 0 : Count / Shape[0];
        return View(Shape.With(0, count), start * row, null);
    }

    /// <summary>A copy in memory of its own, outside any tape.</summary>
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
        if (_gradient is not null) _gradient.HasValue = false;
    }

    /// <summary>Gives the memory back. A tensor that a scope owns need not be disposed.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Release();
    }

    /// <summary>The place to which a backward pass writes its contribution to this tensor's gradient.</summary>
    /// <returns>The memory, and whether to add to it or to overwrite it.</returns>
    /// <exception cref="InvalidOperationException">No gradient flows into this tensor.</exception>
    public GradSlot OpenGrad()
    {
        GradientCell cell = _gradient ?? throw new InvalidOperationException($"Tensor {Shape} takes no gradient.");
        if (cell.Value is null)
        {
            using MemoryScope _ = MemoryScope.Suspend();
            cell.Value = Empty(cell.Shape);
        }
        bool accumulate = cell.HasValue;
        cell.HasValue = true;
        return new GradSlot(cell.Value, accumulate);
    }

    /// <summary>
    /// Lets this tensor have <paramref name="gradient"/> itself as its first contribution, without a copy. Only for the incoming gradient of the
    /// step that is running, which nobody reads afterwards, and for one taker.
    /// </summary>
    /// <returns>False if there is a contribution already, or a leaf needs memory of its own: then add it through <see cref="OpenGrad"/>.</returns>
    internal bool TryTakeGrad(Tensor gradient)
    {
        if (_gradient is not { IsLeaf: false, HasValue: false, Value: null } cell) return false;
        cell.Value = gradient.Retain();
        cell.HasValue = true;
        return true;
    }

    /// <summary>From now on the values stay as they are, so that kernels may keep them in the form they read.</summary>
    internal void Freeze() => _forms = new PackedForms();

    /// <summary>From now on the values may change again; what kernels kept is dropped.</summary>
    internal void Thaw() => _forms = null;

    /// <summary>Marks this as the result of a recorded step.</summary>
    internal void ExpectGrad() => _gradient ??= new GradientCell(Shape);

    internal Tensor Retain()
    {
        ThrowIfReleased();
        Interlocked.Increment(ref _references);
        return this;
    }

    internal void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0) _buffer.Release();
    }

    private Tensor View(Shape shape, int offset, GradientCell? gradient)
    {
        ThrowIfReleased();
        return new Tensor(shape, _buffer.Share(), _offset + offset) { _gradient = gradient, _forms = _forms };
    }

    private void ThrowIfReleased()
    {
        if (_references <= 0) ThrowReleased();
    }

    [DoesNotReturn]
    private void ThrowReleased() => throw new ObjectDisposedException(nameof(Tensor), $"The memory of this tensor {Shape} was given back.");
}

/// <summary>The gradient of a tensor and of all its reshapes.</summary>
internal sealed class GradientCell(Shape shape)
{
    /// <summary>The shape of the tensor that was there before its reshapes.</summary>
    public Shape Shape { get; } = shape;

    public bool IsLeaf { get; init; }

    public Tensor? Value { get; set; }

    /// <summary>Whether <see cref="Value"/> holds a sum of contributions; if not, its elements are undefined.</summary>
    public bool HasValue { get; set; }

    /// <summary>Gives the gradient of an inner tensor back, once the step that made the tensor has used it.</summary>
    public void Drop()
    {
        if (IsLeaf) return;
        Value?.Release();
        Value = null;
        HasValue = false;
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
}
