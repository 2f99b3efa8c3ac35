using System.Runtime.InteropServices;

namespace Mamba.Cli;

/// <summary>Ctrl-C and a polite kill.</summary>
internal static class StopSignals
{
    /// <summary>Runs a program. The first signal asks it to stop after the step that runs; a second one ends the process at once.</summary>
    /// <param name="program">The program, which is given what asks it to stop.</param>
    /// <returns>Its exit code.</returns>
    public static int Run(Func<CancellationToken, int> program)
    {
        using CancellationTokenSource stop = new();
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        }

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        return program(stop.Token);
    }
}
