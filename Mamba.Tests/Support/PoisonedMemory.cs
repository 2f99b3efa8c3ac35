using Mamba.Core.Memory;

namespace Mamba.Tests.Support;

/// <summary>All tests run with poisoned memory: what reads a buffer after its return, or before it was written, finds NaN.</summary>
[SetUpFixture]
internal sealed class PoisonedMemory
{
    [OneTimeSetUp]
    public void Poison() => BufferPool.Poison = true;
}
