using System.Runtime.InteropServices;

namespace Mamba.Cli;

internal static class Program
{
    private static int Main(string[] args)
    {
        using CancellationTokenSource stop = new();
        // The first Ctrl-C, or a polite kill, asks to stop after the step that runs; a second one ends the process at once.
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        }

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        return CommandLine.Run(args, new Terminal(Console.Out, Console.Error), stop.Token);
    }
}
