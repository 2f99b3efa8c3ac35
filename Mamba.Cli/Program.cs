namespace Mamba.Cli;

internal static class Program
{
    private static int Main(string[] args)
    {
        using CancellationTokenSource stop = new();
        Console.CancelKeyPress += (_, e) =>
        {
            // The first Ctrl-C asks to stop after the step that runs; a second one ends the process at once.
            e.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        };
        return CommandLine.Run(args, new Terminal(Console.Out, Console.Error), stop.Token);
    }
}
