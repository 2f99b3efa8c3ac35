using Mamba.Soak;

namespace Mamba.Tests.Robustness;

/// <summary>A short run of the program in Mamba.Tests/Soak, which makes 100,000 calls when it is run by itself.</summary>
[NonParallelizable] // the memory that is watched is that of the process
internal sealed class SoakTests
{
    [Test]
    public void Inference_keeps_no_memory()
    {
        List<SoakSample> samples = [];
        Assert.That(new Soak.Soak("ul-vm-unet", side: 32).Run(calls: 1500, samples: 10, samples.Add), Is.Null);
        Assert.That(samples.Select(s => s.Calls), Is.EqualTo(Enumerable.Range(1, 10).Select(i => 150 * i)));
        Assert.That(samples.Select(s => s.Resident), Is.All.Positive);
    }
}
