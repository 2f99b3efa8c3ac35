using Mamba.Core.Memory;

namespace Mamba.Tests.Support;

/// <summary>What tensors hold of the pool's memory.</summary>
internal static class RentedMemory
{
    /// <summary>
    /// Floats now rented, once the collector has taken all that earlier tests forgot: it would otherwise do so, and count it no longer,
    /// while a test looks on.
    /// </summary>
    public static long OfTheLiving()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return BufferPool.Rented;
    }
}
