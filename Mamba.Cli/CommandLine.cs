using System.CommandLine;
using Mamba.Cli.Commands;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Training;

namespace Mamba.Cli;

/// <summary>The command line: parses, runs a verb, and turns what went wrong into one line and an exit code.</summary>
internal static class CommandLine
{
    /// <summary>The tree of commands.</summary>
    public static RootCommand Tree(Terminal terminal, CancellationToken stop) => new(
        "Mamba vision models on the CPU: train, evaluate and run.\n\n" +
        "Example: mamba train                      learns to find synthetic lesions, in about two minutes\n" +
        "         mamba infer --weights runs/train/ul-vm-unet/weights/best.safetensors slice.tif")
    {
        TrainCommand.Create(terminal, stop), EvalCommand.Create(terminal, stop), InferCommand.Create(terminal, stop),
        ModelsCommand.Create(terminal, stop),
        BenchCommand.Create(terminal, stop), VerifyCommand.Create(terminal, stop), InspectCommand.Create(terminal),
        ConvertCommand.Create(terminal, stop), QuantizeCommand.Create(terminal, stop), GenerateCommand.Create(terminal, stop),
        new Command(
            "study", "Train and compare several models on the same data.\n\nExample: mamba study report runs/study/paper-segmentation")
        {
            StudyReportCommand.Create(terminal, stop),
        },
    };

    public static int Run(string[] args, Terminal terminal, CancellationToken stop)
    {
        ParseResult parsed = Tree(terminal, stop).Parse(args.Length == 0 ? ["--help"] : args);
        // A misspelt word leaves something else missing as well; the word is what the user can see.
        if (Misspelling.Find(args, parsed) is { } misspelt) return Report(terminal, misspelt);
        if (parsed.Errors.Count > 0) return Report(terminal, parsed.Errors[0].Message);
        try
        {
            return parsed.Invoke(new InvocationConfiguration
            {
                Output = terminal.Out,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            });
        }
        catch (OperationCanceledException)
        {
            terminal.Error.WriteLine("mamba: interrupted");
            return ExitCode.Interrupted;
        }
        catch (Exception e) when (IsBadInput(e))
        {
            return Report(terminal, e.Message);
        }
        catch (TypeInitializationException e) when (e.InnerException is PlatformNotSupportedException inner)
        {
            return Report(terminal, inner.Message); // MAMBA_ISA asks for what this machine lacks
        }
        catch (OutOfMemoryException)
        {
            return Report(terminal, "out of memory; a smaller --batch or --size needs less");
        }
    }

    private static bool IsBadInput(Exception e) => e
        is CheckpointException or ShapeException or TrainingException or NonFiniteException or ArgumentException or IOException
        or UnauthorizedAccessException or PlatformNotSupportedException;

    private static int Report(Terminal terminal, string message)
    {
        terminal.Error.WriteLine($"mamba: {PlainText.Printable(message.ReplaceLineEndings(" "))}");
        return ExitCode.BadInput;
    }
}
