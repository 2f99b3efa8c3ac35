using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace Mamba.Core.Memory;

/// <summary>
/// Buffers for reuse, by size class. Each octave has eight classes, so at most an eighth of a buffer is unused. Training steps repeat the
/// same sizes, so after the first step nothing is allocated.
/// </summary>
internal static class BufferPool
{
    private const int Smallest = 64;
    private const int ClassesPerOctave = 8;

    private static readonly Lock s_gate = new();
    private static readonly Dictionary<int, Shelf> s_free = [];
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
    /// <exception cref="ShapeException">More than an array holds.</exception>
    public static Buffer Rent(int length)
    {
        int capacity = ClassOf(length);
        Buffer? buffer = null;
        lock (s_gate)
        {
            s_rented += capacity;
            s_peak = Math.Max(s_peak, s_rented);
            if (s_free.TryGetValue(capacity, out Shelf? shelf) && shelf.Take(++s_uses, out buffer)) s_pooled -= capacity;
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
        if (Poison) buffer.Memory.Span.Fill(float.NaN);
        buffer.IsRented = false;
        lock (s_gate)
        {
            s_rented -= buffer.Capacity;
            if (!s_free.TryGetValue(buffer.Capacity, out Shelf? shelf)) s_free[buffer.Capacity] = shelf = new Shelf();
            shelf.Put(++s_uses, buffer);
            s_pooled += buffer.Capacity;
            // Shapes that come once (images of many sizes) must not pile up, nor keep present sizes from being pooled. The pool has room
            // for the peak of rented memory and half of it. Sizes that were not used for longest are dropped first.
            while (s_pooled + s_rented > s_peak + s_peak / 2) s_pooled -= DropStalest();
        }
    }

    /// <summary>Leaves all free buffers to the garbage collector.</summary>
    public static void Clear()
    {
        lock (s_gate)
        {
            s_free.Clear();
            s_pooled = 0;
        }
    }

    private static int DropStalest()
    {
        Shelf? stalest = null;
        foreach ((_, Shelf shelf) in s_free)
            if (shelf.Count > 0 && (stalest is null || shelf.LastUse < stalest.LastUse)) stalest = shelf;
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

    /// <summary>The free buffers of one size.</summary>
    private sealed class Shelf
    {
        private readonly Stack<Buffer> _buffers = [];

        public int Count => _buffers.Count;

        /// <summary>When one was taken or put back last, counted in uses of the pool.</summary>
        public long LastUse { get; private set; }

        public bool Take(long use, [NotNullWhen(true)] out Buffer? buffer)
        {
            LastUse = use;
            return _buffers.TryPop(out buffer);
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
