using Mamba.Core;
using Mamba.Core.Memory;
using Buffer = Mamba.Core.Memory.Buffer;

namespace Mamba.Tests.Core;

[NonParallelizable] // the pool is the process's
internal sealed class BufferPoolTests
{
    [SetUp]
    public void Empty() => BufferPool.Clear();

    [Test]
    public void A_large_buffer_serves_requests_of_down_to_a_quarter()
    {
        Buffer large = BufferPool.Rent(1 << 20);
        BufferPool.Return(large);
        foreach (int length in new[] { 1 << 20, (1 << 20) - 5, 1 << 19, 1 << 18 })
        {
            Buffer again = BufferPool.Rent(length);
            Assert.That(again, Is.SameAs(large), $"{length}");
            BufferPool.Return(again);
        }
        foreach ((int length, bool lasting) in new[] { ((1 << 18) - (1 << 16), false), ((1 << 20) + 1, false), (1 << 19, true) })
        {
            Buffer other = BufferPool.Rent(length, lasting);
            Assert.That(other, Is.Not.SameAs(large), $"{length}");
            Assert.That(other.Capacity, Is.EqualTo(BufferPool.ClassOf(length)));
        }
    }

    [Test]
    public void The_smallest_that_fits_is_taken_and_small_ones_only_serve_their_size()
    {
        Buffer[] free = [.. new[] { 3 << 16, 1 << 18, 1 << 17, 1 << 12 }.Select(length => BufferPool.Rent(length))];
        foreach (Buffer buffer in free) BufferPool.Return(buffer);
        Assert.That(BufferPool.Rent(100_000).Capacity, Is.EqualTo(1 << 17));
        Assert.That(BufferPool.Rent(100_000).Capacity, Is.EqualTo(3 << 16));
        Assert.That(BufferPool.Rent(100_000).Capacity, Is.EqualTo(1 << 18));
        Assert.That(BufferPool.Rent(2000).Capacity, Is.EqualTo(2048), "a class of its own");
        Assert.That(BufferPool.Rent(4000), Is.SameAs(free[3]));
    }

    /// <summary>Rented memory is counted by what a buffer has, whoever asked for less.</summary>
    [Test]
    public void Counts_return_to_where_they_were()
    {
        long before = BufferPool.Rented;
        Buffer large = BufferPool.Rent(1 << 20);
        BufferPool.Return(large);
        Buffer again = BufferPool.Rent(1 << 19);
        Assert.That(BufferPool.Rented - before, Is.EqualTo(again.Capacity).And.EqualTo(1 << 20));
        BufferPool.Return(again);
        Assert.That(BufferPool.Rented, Is.EqualTo(before));
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
}
