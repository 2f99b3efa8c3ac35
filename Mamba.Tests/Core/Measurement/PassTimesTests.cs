using Mamba.Core.Measurement;

namespace Mamba.Tests.Core;

[NonParallelizable]
internal sealed class PassTimesTests
{
    [Test]
    public void A_very_slow_pass_ends_with_fewer_repetitions()
    {
        int passes = 0;
        PassTimes times = PassTimes.Measure(() =>
        {
            passes++;
            Thread.Sleep(50); // more than the four times 10 ms that it has
        }, seconds: 0.01);
        Assert.That(times.Repetitions, Is.EqualTo(1));
        Assert.That(passes, Is.EqualTo(2), "one to warm up");
        Assert.That(times.Min, Is.EqualTo(times.Median).And.AtLeast(49));
    }
}
