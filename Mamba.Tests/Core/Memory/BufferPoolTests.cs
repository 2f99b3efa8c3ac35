using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Tests.Support;
using Buffer = Mamba.Core.Memory.Buffer;

namespace Mamba.Tests.Core;

[NonParallelizable] // the pool is the process's
internal sealed class BufferPoolTests
{
    [SetUp]
    public void Empty()
    {
        RentedMemory.OfTheLiving(); // what earlier tests forgot
        BufferPool.Clear();
    }

    [Test]
    public void A_free_buffer_is_halved_for_smaller_ones_and_joined_again()
    {
        Buffer whole = BufferPool.Rent(1 << 20);
        BufferPool.Return(whole);
        Buffer[] parts = [BufferPool.Rent(1 << 18), BufferPool.Rent((1 << 18) - 5), BufferPool.Rent(400_000), BufferPool.Rent(3 << 16)];
        Assert.That(parts.Select(p => p.Capacity), Is.EqualTo(new[] { 1 << 18, 1 << 18, 1 << 19, 3 << 16 }));
        Assert.That(parts.Take(3).Select(PlaceIn), Is.EqualTo(new[] { 0, 1 << 18, 1 << 19 }), "the three fill the whole");
        Assert.That(parts.All(IsAligned));
        foreach (int i in new[] { 1, 2, 0, 3 }) BufferPool.Return(parts[i]);
        Assert.That(BufferPool.Rent((1 << 20) - 9), Is.SameAs(whole));

        int PlaceIn(Buffer part) => Place(whole, part);
    }

    [Test]
    public void Lasting_and_small_requests_cut_nothing()
    {
        Buffer whole = BufferPool.Rent(1 << 20);
        BufferPool.Return(whole);
        Assert.That(BufferPool.Rent(1 << 18, lasting: true).Whole, Is.Null);
        Assert.That(BufferPool.Rent(5000).Whole, Is.Null);
        Assert.That(BufferPool.Rent((1 << 20) + 1).Whole, Is.Null);
        Assert.That(BufferPool.Rent(5 << 16).Whole, Is.Null, "a half would be more than a third too large");
        Assert.That(BufferPool.Rent(1 << 20), Is.SameAs(whole), "it is still one");
    }

    /// <summary>Rented memory is counted by the capacity of a buffer, also where less was asked for.</summary>
    [Test]
    public void Counts_return_to_where_they_were()
    {
        long before = BufferPool.Rented;
        BufferPool.Return(BufferPool.Rent(1 << 20));
        Buffer part = BufferPool.Rent(900_000);
        Assert.That(BufferPool.Rented - before, Is.EqualTo(part.Capacity).And.EqualTo(1 << 20));
        BufferPool.Return(part);
        Assert.That(BufferPool.Rented, Is.EqualTo(before));
    }

    [Test]
    public void Memory_that_cannot_be_allocated_is_not_counted()
    {
        const int Length = 9 << 17; // no other test asks for this size
        BufferPool.ResetPeak();
        (long rented, long pooled, long peak) = (BufferPool.Rented, BufferPool.Pooled, BufferPool.Peak);
        BufferPool.Allocating = static floats =>
        {
            if (floats == Length) throw new OutOfMemoryException();
        };
        try
        {
            Assert.That(() => BufferPool.Rent(Length, lasting: true), Throws.TypeOf<OutOfMemoryException>());
        }
        finally
        {
            BufferPool.Allocating = null;
        }
        Assert.That((BufferPool.Rented, BufferPool.Pooled, BufferPool.Peak), Is.EqualTo((rented, pooled, peak)));
        Buffer buffer = BufferPool.Rent(Length, lasting: true);
        Assert.That(BufferPool.Rented, Is.EqualTo(rented + buffer.Capacity).And.EqualTo(BufferPool.Peak));
        BufferPool.Return(buffer);
    }

    /// <summary>
    /// Random rents and returns: no two rented buffers share a float, and when all are back, the wholes are whole and the counts are right.
    /// </summary>
    [Test]
    public void Parts_never_overlap()
    {
        Random random = new(1);
        List<(Buffer Buffer, int Length, float Mark)> rented = [];
        long before = BufferPool.Rented;
        for (int i = 0; i < 3000; i++)
        {
            if (rented.Count < 40 && random.Next(2) == 0)
            {
                int length = random.Next(1, 1 << random.Next(10, 21));
                Buffer buffer = BufferPool.Rent(length, lasting: random.Next(8) == 0);
                Assert.That(buffer.Capacity, Is.GreaterThanOrEqualTo(length));
                Assert.That(IsAligned(buffer));
                buffer.Span[..length].Fill(i);
                rented.Add((buffer, length, i));
            }
            else if (rented.Count > 0)
            {
                int which = random.Next(rented.Count);
                (Buffer buffer, int length, float mark) = rented[which];
                Assert.That(buffer.Span[..length].ContainsAnyExcept(mark), Is.False, $"{i}");
                BufferPool.Return(buffer);
                rented.RemoveAt(which);
            }
        }
        foreach ((Buffer buffer, _, _) in rented) BufferPool.Return(buffer);
        Assert.That(BufferPool.Rented, Is.EqualTo(before));
        BufferPool.Clear();
        Assert.That(BufferPool.Pooled, Is.Zero, "no half was left behind");
    }

    /// <summary>A half that nobody returned comes back when the garbage collector finds it.</summary>
    [Test]
    public void A_forgotten_half_is_found()
    {
        Buffer whole = BufferPool.Rent(1 << 20);
        BufferPool.Return(whole);
        long before = BufferPool.Rented;
        Forget();
        Assert.That(BufferPool.Rented, Is.GreaterThan(before));
        for (int i = 0; i < 10 && BufferPool.Rented > before; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Assert.That(BufferPool.Rented, Is.EqualTo(before));
        Assert.That(BufferPool.Rent(1 << 20), Is.SameAs(whole), "and is joined");

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void Forget() => BufferPool.Rent(1 << 19).Span[0] = 1f;
    }

    /// <summary>Each class finds its own shelf, up to the largest.</summary>
    [Test]
    public void Classes_do_not_share_a_shelf()
    {
        int[] lengths = [.. Enumerable.Range(0, 20).SelectMany(octave => Enumerable.Range(1, 17).Select(i => (1 << octave) * i))];
        foreach (int length in lengths)
        {
            BufferPool.Clear();
            Buffer buffer = BufferPool.Rent(length, lasting: true);
            BufferPool.Return(buffer);
            Assert.That(BufferPool.Rent(buffer.Capacity, lasting: true), Is.SameAs(buffer));
            BufferPool.Return(buffer);
            Assert.That(BufferPool.Rent(buffer.Capacity + 1, lasting: true), Is.Not.SameAs(buffer));
        }
    }

    private static unsafe bool IsAligned(Buffer buffer) => (nint)buffer.Pointer % 64 == 0;

    private static unsafe int Place(Buffer whole, Buffer part) => (int)(part.Pointer - whole.Pointer);
}
