using System.Numerics;

namespace Mamba.Core.Memory;

/// <summary>
/// Buffers for reuse, by size class. Each octave has eight classes, so at most an eighth of a new buffer is unused. A large request takes
/// a free buffer of up to four times its size before a new one is made: the levels of a pyramid share the memory of the largest. Steps
/// repeat the same sizes, so after the first ones nothing is allocated.
/// </summary>
internal static class BufferPool
{
    private const int Smallest = 64;
    private const int ClassesPerOctave = 8;

    // Smaller buffers are too little memory to share, and two octaves more than that wastes too much of the buffer.
    private const int SmallestShared = 1 << 14, Reach = 2 * ClassesPerOctave;

    // What may wait in the pool, however small the peak is: the many sizes of a small model.
    private const long AlwaysPooled = 1 << 19;

    private static readonly Lock s_gate = new();
    private static readonly Shelf?[] s_free = new Shelf?[IndexOf(Shape.MaxCount) + 1];
    private static long s_uses;
    private static long s_rented;
    private static long s_pooled;
    private static long s_peak;

    /// <summary>When set, returned buffers are filled with NaN, so that a use after return shows. For tests.</summary>
    public static bool Poison { get; set; }

    /// <summary>Floats now rented.</summary>
    public static long Rented => Volatile.Read(ref s_rented);

    /// <summary>The most floats that were rented at once since the last <see cref="ResetPeak"/>.</summary>
    public static long Peak => Volatile.Read(ref s_peak);

    public static void ResetPeak()
    {
        lock (s_gate) s_peak = s_rented;
    }

    /// <summary>An uninitialized buffer of at least <paramref name="length"/> floats.</summary>
    /// <param name="length">Floats.</param>
    /// <param name="lasting">Whether it is rented for long, as a parameter is: then no larger buffer is taken for it.</param>
    /// <exception cref="ShapeException">More than an array holds.</exception>
    public static Buffer Rent(int length, bool lasting = false)
    {
        int capacity = ClassOf(length), index = IndexOf(capacity);
        int last = lasting || capacity < SmallestShared ? index : Math.Min(index + Reach, s_free.Length - 1);
        Buffer? buffer = null;
        lock (s_gate)
        {
            for (; index <= last && buffer is null; index++)
                if (s_free[index] is { Count: > 0 } shelf) buffer = shelf.Take(++s_uses);
            if (buffer is not null) s_pooled -= capacity = buffer.Capacity;
            s_rented += capacity;
            s_peak = Math.Max(s_peak, s_rented);
        }
        buffer ??= new Buffer(capacity);
        buffer.IsRented = true;
        return buffer;
    }

    /// <summary>Stops counting a rented buffer that the garbage collector has taken.</summary>
    public static void Forget(int capacity)
    {
        lock (s_gate) s_rented -= capacity;
    }

    public static void Return(Buffer buffer)
    {
        if (Poison) buffer.Span.Fill(float.NaN);
        buffer.IsRented = false;
        lock (s_gate)
        {
            s_rented -= buffer.Capacity;
            (s_free[IndexOf(buffer.Capacity)] ??= new Shelf()).Put(++s_uses, buffer);
            s_pooled += buffer.Capacity;
            // Shapes that come once (images of many sizes) must not pile up, nor keep present sizes from being pooled. The pool has room
            // for the peak of rented memory and half of it. Sizes that were not used for longest are dropped first.
            while (s_pooled > AlwaysPooled && s_pooled + s_rented > s_peak + s_peak / 2) s_pooled -= DropStalest();
        }
    }

    /// <summary>Leaves all free buffers to the garbage collector.</summary>
    public static void Clear()
    {
        lock (s_gate)
        {
            Array.Clear(s_free);
            s_pooled = 0;
        }
    }

    private static int DropStalest()
    {
        Shelf? stalest = null;
        foreach (Shelf? shelf in s_free)
            if (shelf is { Count: > 0 } && (stalest is null || shelf.LastUse < stalest.LastUse)) stalest = shelf;
        return stalest!.Drop();
    }

    /// <summary>
    /// The capacity of the buffers that serve a length, at most <see cref="Shape.MaxCount"/>: never less than the length.
    /// </summary>
    /// <exception cref="ShapeException">The length is more than that.</exception>
    internal static int ClassOf(int length)
    {
        Shape.Checked(length, "BufferPool", "a buffer");
        if (length <= Smallest) return Smallest;
        int step = Math.Max(Smallest, (1 << BitOperations.Log2((uint)length)) / ClassesPerOctave);
        return (int)Math.Min(Shape.MaxCount, ((long)length + step - 1) / step * step);
    }

    /// <summary>The number of a size class; larger classes have larger ones.</summary>
    private static int IndexOf(int capacity)
    {
        if (capacity < Smallest * ClassesPerOctave) return capacity / Smallest;
        int octave = BitOperations.Log2((uint)capacity), step = (1 << octave) / ClassesPerOctave;
        // Rounded up, as Shape.MaxCount is between two classes.
        int first = (octave - BitOperations.Log2(Smallest * ClassesPerOctave) + 1) * ClassesPerOctave;
        return first + (capacity - (1 << octave) + step - 1) / step;
    }

    /// <summary>The free buffers of one size.</summary>
    private sealed class Shelf
    {
        private readonly Stack<Buffer> _buffers = [];

        public int Count => _buffers.Count;

        /// <summary>When one was taken or put back last, counted in uses of the pool.</summary>
        public long LastUse { get; private set; }

        public Buffer Take(long use)
        {
            LastUse = use;
            return _buffers.Pop();
        }

        public void Put(long use, Buffer buffer)
        {
            LastUse = use;
            _buffers.Push(buffer);
        }

        /// <summary>Leaves one to the garbage collector.</summary>
        public int Drop() => _buffers.Pop().Capacity;
    }
}
