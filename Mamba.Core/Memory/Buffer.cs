using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mamba.Core.Memory;

/// <summary>
/// Floats at a fixed address, shared by the tensors that view them. The memory is a pinned managed array, aligned to 64 bytes, or a part of
/// a <see cref="MappedFile"/>. A buffer that is not returned does not leak, and no native allocator is needed.
/// </summary>
internal sealed unsafe class Buffer
{
    private const int AlignmentBytes = 64;
    private readonly float[]? _array;
    private readonly int _offset;
    private readonly Tally? _tally;
    private PackedForms? _forms;
    private int _views = 1;
    private Buffer? _low, _high; // the halves that are free

    public Buffer(int capacity)
    {
        _array = GC.AllocateUninitializedArray<float>(capacity + AlignmentBytes / sizeof(float), pinned: true);
        nint address = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_array));
        _offset = (int)(-address & (AlignmentBytes - 1)) / sizeof(float);
        Pointer = (float*)(address + _offset * sizeof(float));
        Capacity = capacity;
        _tally = new Tally(this, whole: null);
    }

    /// <summary>A half of a larger buffer.</summary>
    private Buffer(Buffer whole, bool high)
    {
        (_array, Capacity, Whole) = (whole._array, whole.Capacity / 2, whole);
        _offset = whole._offset + (high ? Capacity : 0);
        Pointer = whole.Pointer + (high ? Capacity : 0);
        _tally = new Tally(this, whole);
    }

    /// <summary>Floats of a mapped file, which stays mapped as long as this object is reachable.</summary>
    public Buffer(float* pointer, int capacity, MappedFile file)
    {
        Pointer = pointer;
        Capacity = capacity;
        File = file;
    }

    /// <summary>The first float; valid as long as this object is reachable.</summary>
    public float* Pointer { get; }

    public int Capacity { get; }

    /// <summary>The buffer of which this is a half; null if it has memory of its own.</summary>
    public Buffer? Whole { get; }

    /// <summary>Whether the pool counts this buffer as rented.</summary>
    public bool IsRented { set => _tally!.IsRented = value; }

    /// <summary>
    /// Whether this buffer is free: in the pool, or an uncut part of a free buffer. A half that is not free is not reachable from its
    /// whole, so the garbage collector detects a rented half that was not returned.
    /// </summary>
    public bool IsFree
    {
        set
        {
            if (Whole is null) return;
            ref Buffer? place = ref IsLow ? ref Whole._low : ref Whole._high;
            place = value ? this : null;
        }
    }

    /// <summary>The neighbours in the pool's list for this size.</summary>
    public Buffer? Above { get; set; }

    /// <inheritdoc cref="Above"/>
    public Buffer? Below { get; set; }

    /// <summary>The other half of the whole, if it is free.</summary>
    public Buffer? FreeSibling => Whole is null ? null : IsLow ? Whole._high : Whole._low;

    private bool IsLow => Pointer == Whole!.Pointer;

    /// <summary>Cuts this buffer into two free halves.</summary>
    public (Buffer Low, Buffer High) Halves() => (_low ??= new Buffer(this, high: false), _high ??= new Buffer(this, high: true));

    /// <summary>The file that holds the floats; null if they are in memory.</summary>
    public MappedFile? File { get; }

    /// <summary>Whether several tensors view this buffer.</summary>
    public bool IsShared => Volatile.Read(ref _views) > 1;

    public Span<float> Span => _array is not null ? _array.AsSpan(_offset, Capacity) : new Span<float>(Pointer, Capacity);

    /// <summary>
    /// The packed forms of the weight in this buffer and of its views; null unless frozen. All views share them, so a freeze or thaw also
    /// reaches views made before it.
    /// </summary>
    public PackedForms? Forms
    {
        get => Volatile.Read(ref _forms);
        set => Volatile.Write(ref _forms, value);
    }

    /// <summary>Adds a view.</summary>
    public Buffer Share()
    {
        Interlocked.Increment(ref _views);
        return this;
    }

    /// <summary>Removes a view; the last one returns the buffer to the pool.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _views) > 0) return;
        (_views, Forms) = (1, null); // for the next user
        if (File is null) BufferPool.Return(this);
    }

    /// <summary>
    /// Tells the pool that a rented buffer was not returned. A separate object, so that the buffer's memory does not wait for a finalizer.
    /// Buffers are reused, so few of these exist and few are finalized. The memory of a half belongs to another buffer: the pool gets it
    /// back.
    /// </summary>
    private sealed class Tally(Buffer buffer, Buffer? whole)
    {
        private readonly int _capacity = buffer.Capacity;
        private readonly bool _high = whole is not null && !buffer.IsLow;

        public bool IsRented { get; set; }

        ~Tally()
        {
            if (!IsRented) return;
            if (whole is null) BufferPool.Forget(_capacity);
            else BufferPool.Return(new Buffer(whole, _high));
        }
    }
}
