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
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return BufferPool.Rented;
    }
}
