using Mamba.Core;
using Mamba.Core.Memory;

namespace Mamba.Tests.Core;

[NonParallelizable] // the memory that is measured is that of the process
internal sealed class TrimTests
{
    [Test]
    public void Memory_that_waits_to_be_used_goes_back()
    {
        const int Floats = 1 << 24;
        using Tensor kept = Tensor.Full(1f, 5);
        Tensor.Zeros(Floats).Dispose();
        long before = GC.GetTotalMemory(forceFullCollection: false);
        MemoryScope.Trim();
        Assert.That(GC.GetTotalMemory(forceFullCollection: false), Is.LessThan(before - Floats * (long)sizeof(float) / 2));
        Assert.That(kept.Span.ToArray(), Is.All.EqualTo(1f));
    }
}
