namespace Mamba.Cli;

internal static class Program
{
    private static int Main(string[] args)
    {
        try
        {
            return StopSignals.Run(stop => CommandLine.Run(args, new Terminal(Console.Out, Console.Error), stop));
        }
        catch (OutOfMemoryException)
        {
            // Not even the threads that start with the program found room: a limit on its address space.
            Console.Error.WriteLine("mamba: out of memory at the start; it needs 128 MiB of address space (ulimit -v 131072)");
            return ExitCode.BadInput;
        }
    }
}
