using System.Runtime.InteropServices;

namespace Mamba.Cli;

internal static class Program
{
    private static int Main(string[] args)
    {
        try
        {
            return Run(args);
        }
        catch (OutOfMemoryException)
        {
            // Not even the threads that start with the program found room: a limit on its address space.
            Console.Error.WriteLine("mamba: out of memory at the start; it needs 128 MiB of address space (ulimit -v 131072)");
            return ExitCode.BadInput;
        }
    }

    private static int Run(string[] args)
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
