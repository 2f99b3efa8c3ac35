using System.Numerics;

namespace Mamba.Core.Memory;

/// <summary>
/// Reusable buffers, by size class. Each octave has eight classes, so at most an eighth of a new buffer is unused. A large request halves a
/// free larger buffer until it is less than twice as large: the levels of a pyramid share the memory of the largest. Free halves are joined
/// again. Steps repeat the same sizes, so nothing is allocated after the first ones.
/// </summary>
internal static class BufferPool
{
    private const int Smallest = 64;
    private const int ClassesPerOctave = 8;

    // Smaller buffers are not worth halving. A part may exceed the request by 1 / MostUnused of it.
    private const int SmallestShared = 1 << 16, MostUnused = 3;

    // Extra pool capacity in floats, for the many sizes too small to halve.
    private const long PooledSmall = 1 << 20;

    private static readonly Lock s_gate = new();
    private static readonly Buffer?[] s_free = new Buffer?[IndexOf(Shape.MaxCount) + 1]; // the first of each class, linked by Below
    private static readonly long[] s_lastUse = new long[s_free.Length];
    private static readonly ulong[] s_filled = new ulong[s_free.Length / 64 + 1]; // one bit per non-empty class
    private static long s_uses;
    private static long s_rented;
    private static long s_pooled;
    private static long s_peak;
    private static long s_recentPeak;

    /// <summary>If set, returned buffers are filled with NaN, so that a use after return is visible. For tests.</summary>
    public static bool Poison { get; set; }

    /// <summary>If set, called before memory is allocated, with the number of floats. For tests.</summary>
    public static Action<int>? Allocating { get; set; }

    /// <summary>Floats currently rented.</summary>
    public static long Rented => Volatile.Read(ref s_rented);

    /// <summary>Floats currently free in the pool.</summary>
    public static long Pooled => Volatile.Read(ref s_pooled);

    /// <summary>The most floats rented at once since the last <see cref="ResetPeak"/>.</summary>
    public static long Peak => Volatile.Read(ref s_recentPeak);

    public static void ResetPeak()
    {
        lock (s_gate) s_recentPeak = s_rented;
    }

    /// <summary>An uninitialized buffer of at least <paramref name="length"/> floats.</summary>
    /// <param name="length">Floats.</param>
    /// <param name="lasting">Whether it is rented for long, as for a parameter: then no larger buffer is cut.</param>
    /// <exception cref="ShapeException">The length exceeds the largest array.</exception>
    /// <exception cref="OutOfMemoryException">There is no memory for it; nothing is counted.</exception>
    public static Buffer Rent(int length, bool lasting = false)
    {
        int capacity = ClassOf(length), index = IndexOf(capacity);
        lock (s_gate)
        {
            s_lastUse[index] = ++s_uses;
            Buffer? free = s_free[index];
            if (free is null && !lasting && capacity >= SmallestShared) free = Larger(index + 1, capacity);
            if (free is not null)
            {
                Buffer part = Part(free, capacity);
                s_pooled -= part.Capacity;
                return Counted(part);
            }
        }
        Allocating?.Invoke(capacity);
        Buffer buffer = new(capacity); // counted only now: there may be no memory for it
        lock (s_gate) return Counted(buffer);
    }

    /// <summary>Counts a buffer as rented; the caller holds the lock.</summary>
    private static Buffer Counted(Buffer buffer)
    {
        buffer.IsRented = true;
        s_rented += buffer.Capacity;
        s_peak = Math.Max(s_peak, s_rented);
        s_recentPeak = Math.Max(s_recentPeak, s_rented);
        return buffer;
    }

    /// <summary>The smallest free buffer of which a part fits with little waste.</summary>
    private static Buffer? Larger(int from, int capacity)
    {
        for (int word = from / 64; word < s_filled.Length; word++, from = 64 * word)
            for (ulong bits = s_filled[word] & (ulong.MaxValue << (from % 64)); bits != 0; bits &= bits - 1)
            {
                Buffer buffer = s_free[64 * word + BitOperations.TrailingZeroCount(bits)]!;
                int part = buffer.Capacity;
                while (part / 2 >= capacity) part /= 2;
                if (part - capacity <= capacity / MostUnused && buffer.Capacity < Shape.MaxCount) return buffer;
            }
        return null;
    }

    /// <summary>Takes a free buffer, halved repeatedly to the smallest part that fits. The other halves become free.</summary>
    private static Buffer Part(Buffer buffer, int capacity)
    {
        Take(buffer);
        while (buffer.Capacity / 2 >= capacity)
        {
            (buffer, Buffer other) = buffer.Halves();
            buffer.IsFree = false;
            Put(other);
        }
        return buffer;
    }

    private static void Put(Buffer buffer)
    {
        int index = IndexOf(buffer.Capacity);
        if (s_free[index] is { } first) first.Above = buffer;
        (buffer.Below, s_free[index], buffer.IsFree) = (s_free[index], buffer, true);
        s_filled[index / 64] |= 1ul << (index % 64);
    }

    private static void Take(Buffer buffer)
    {
        int index = IndexOf(buffer.Capacity);
        if (buffer.Above is { } above) above.Below = buffer.Below;
        else s_free[index] = buffer.Below;
        if (buffer.Below is { } below) below.Above = buffer.Above;
        (buffer.Above, buffer.Below, buffer.IsFree) = (null, null, false);
        if (s_free[index] is null) s_filled[index / 64] &= ~(1ul << (index % 64));
    }

    /// <summary>Stops counting a rented buffer that was garbage-collected.</summary>
    public static void Forget(int capacity)
    {
        lock (s_gate) s_rented -= capacity;
    }

    public static void Return(Buffer buffer)
    {
        if (Poison) buffer.Span.Fill(float.NaN);
        lock (s_gate)
        {
            buffer.IsRented = false;
            s_rented -= buffer.Capacity;
            s_pooled += buffer.Capacity;
            for (; buffer.FreeSibling is { } sibling; buffer = buffer.Whole!)
            {
                Take(sibling);
                (sibling.IsFree, buffer.IsFree) = (true, true); // as uncut parts
            }
            Put(buffer);
            s_lastUse[IndexOf(buffer.Capacity)] = ++s_uses;
            // Shapes that occur once (images of many sizes) must not accumulate, nor keep current sizes from being pooled. Rented and free
            // memory together may reach 1.5 times the peak of rented memory. The least recently used sizes are dropped first.
            while (s_pooled + s_rented > s_peak + s_peak / 2 + PooledSmall && DropStalest() is > 0 and var dropped)
                s_pooled -= dropped;
        }
    }

    /// <summary>Releases all free buffers to the garbage collector, except halves of buffers in use.</summary>
    public static void Clear()
    {
        lock (s_gate)
            while (DropStalest() is > 0 and var dropped) s_pooled -= dropped;
    }

    /// <summary>Releases one free buffer of the least recently used class to the garbage collector.</summary>
    /// <returns>Its floats; 0 if all free buffers are halves.</returns>
    private static int DropStalest()
    {
        Buffer? stalest = null;
        long use = long.MaxValue;
        for (int i = 0; i < s_free.Length; i++)
            if (s_lastUse[i] < use && FirstWhole(s_free[i]) is { } whole) (stalest, use) = (whole, s_lastUse[i]);
        if (stalest is null) return 0;
        Take(stalest);
        return stalest.Capacity;
    }

    private static Buffer? FirstWhole(Buffer? buffer)
    {
        while (buffer is { Whole: not null }) buffer = buffer.Below;
        return buffer;
    }

    /// <summary>The buffer capacity for a length: at least the length, at most <see cref="Shape.MaxCount"/>.</summary>
    /// <exception cref="ShapeException">The length exceeds <see cref="Shape.MaxCount"/>.</exception>
    internal static int ClassOf(int length)
    {
        Shape.Checked(length, "BufferPool", "a buffer");
        if (length <= Smallest) return Smallest;
        int step = Math.Max(Smallest, (1 << BitOperations.Log2((uint)length)) / ClassesPerOctave);
        return (int)Math.Min(Shape.MaxCount, ((long)length + step - 1) / step * step);
    }

    /// <summary>The index of a size class, in ascending order of capacity.</summary>
    private static int IndexOf(int capacity)
    {
        if (capacity < Smallest * ClassesPerOctave) return capacity / Smallest;
        int octave = BitOperations.Log2((uint)capacity), step = (1 << octave) / ClassesPerOctave;
        // Rounded up, as Shape.MaxCount is between two classes.
        int first = (octave - BitOperations.Log2(Smallest * ClassesPerOctave) + 1) * ClassesPerOctave;
        return first + (capacity - (1 << octave) + step - 1) / step;
    }
}
