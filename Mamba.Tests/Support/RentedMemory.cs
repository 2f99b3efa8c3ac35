using Mamba.Core.Memory;

namespace Mamba.Tests.Support;

/// <summary>What tensors hold of the pool's memory.</summary>
internal static class RentedMemory
{
    /// <summary>
    /// Floats now rented, after the collector has taken what earlier tests forgot. Otherwise it would take that, and change the count,
    /// during a test.
    /// </summary>
    public static long OfTheLiving()
    {
        // What holds a buffer may itself be held by an object with a finalizer: the next collection finds it.
        long before;
        int passes = 0;
        do
        {
            before = BufferPool.Rented;
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        while (++passes < 2 || BufferPool.Rented != before);
        return BufferPool.Rented;
    }
}
