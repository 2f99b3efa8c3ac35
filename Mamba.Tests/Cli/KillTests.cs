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
        string run = In(signal);
        KillHarness harness = new(Directory.CreateDirectory(In("signals")).FullName, seed: 3, _ => { });
        if (harness.Interrupt(signal, run) is not { } seen)
        {
            Assert.Ignore($"these tests were started with SIG{signal} ignored, as by nohup, and so would be what they start");
            return;
        }
        Assert.That(seen.ExitCode, Is.EqualTo(130));
        Assert.That(seen.Said, Has.Length.EqualTo(1));
        Assert.That(seen.Said[0], Does.StartWith($"stopped in epoch {seen.Epoch} after {seen.Images} images;")
            .And.EndsWith($"continue with 'mamba train --resume {run}'"), "the place of the checkpoint that it left");
        Assert.That(seen.Outcome, Is.EqualTo(seen.Expected), "weights and results of a run never interrupted");
    }
}
