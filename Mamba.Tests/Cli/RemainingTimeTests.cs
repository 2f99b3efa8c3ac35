using Mamba.Cli.Reports;

namespace Mamba.Tests.Cli;

/// <summary>The remaining time of a bar, against work whose end is known.</summary>
internal sealed class RemainingTimeTests
{
    /// <summary>An hour of epochs of 60 s, a fifth of each a validation that moves no bar; it begins with 10 s of compilation.</summary>
    [TestCase(0), TestCase(17)]
    public void It_is_right_within_a_fifth_from_the_second_minute_on(int resumedIn)
    {
        const double Compilation = 10, Epoch = 60, Training = 48, Epochs = 60;
        double end = Compilation + Epoch * (Epochs - resumedIn);
        RemainingTime time = new();
        for (double now = 0; now < end; now += 0.1)
        {
            double worked = Math.Max(0, now - Compilation), epoch = Math.Floor(worked / Epoch);
            double value = resumedIn + epoch + Math.Min(1, (worked - epoch * Epoch) / Training);
            double? left = time.Of(1e6 + now, value, Epochs);
            double real = end - now;
            if (now >= 60) Assert.That(left, Is.EqualTo(real).Within(20).Percent.Or.EqualTo(real).Within(Epoch - Training), $"{now}");
            else if (now < Compilation) Assert.That(left, Is.Null);
        }
    }

    [Test]
    public void A_bar_that_begins_again_counts_anew()
    {
        RemainingTime time = new();
        double now = 0;
        for (int epoch = 0; epoch < 5; epoch++)
            for (int done = 0; done <= 100; done++, now += 0.5)
                if (time.Of(now, done, 100) is { } left) Assert.That(left, Is.EqualTo((100 - done) * 0.5).Within(1e-9), $"{epoch}");
                else Assert.That(done, Is.Zero);
    }
}
