using Mamba.Kill;

namespace Mamba.Tests.Cli;

/// <summary>A short run of the harness in Mamba.Tests/Kill, which takes 200 kills when it is run by itself.</summary>
[NonParallelizable]
internal sealed class KillTests : CliTest
{
    [Test]
    public void Killed_trainings_go_on_to_the_same_weights()
    {
        KillReport report = new KillHarness(Directory.CreateDirectory(In("kills")).FullName, seed: 3, _ => { }).Run(kills: 3);
        Assert.That(report.Kills, Is.EqualTo(3));
        Assert.That(report.Moments, Is.EqualTo(3));
        Assert.That(report.Further, Is.GreaterThan(0), "one kill at least is counted from a new checkpoint");
        Assert.That(report.Verified, Is.GreaterThan(0));
    }

    [Test, Platform("Unix", Reason = "signals are sent by /bin/kill")]
    public void A_training_that_a_signal_ends_says_so_in_one_line_and_goes_on_to_the_same_weights([Values("INT", "TERM")] string signal)
    {
        bool seen = true;
        Assert.That(
            () => seen = new KillHarness(Directory.CreateDirectory(In("signals")).FullName, seed: 3, _ => { }).Interrupt(signal),
            Throws.Nothing);
        if (!seen) Assert.Ignore($"these tests were started with SIG{signal} ignored, as by nohup, and so would be what they start");
    }
}
