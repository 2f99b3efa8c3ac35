using System.CommandLine;
using Mamba.Cli.Commands;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Training;

namespace Mamba.Cli;

/// <summary>The command line: parses, runs a verb, and turns what went wrong into one line and an exit code.</summary>
internal static class CommandLine
{
    // Smaller ones need less memory.
    private static readonly string[] s_sizes = ["--batch", "--size", "--tile", "--length", "--longest"];

    /// <summary>Words stay what was typed: none stands for a file of further words, as @FILE does otherwise.</summary>
    public static ParserConfiguration AsTyped { get; } = new() { ResponseFileTokenReplacer = null };

    /// <summary>All verbs, for one that runs others.</summary>
    public static IVerbs AllVerbs { get; } = new Verbs();

    /// <summary>The tree of commands.</summary>
    public static RootCommand Tree(Terminal terminal, CancellationToken stop) => new(
        "Mamba vision models on the CPU: train, evaluate and run.\n\n" +
        "Example: mamba train                      learns to find synthetic lesions, in about two minutes\n" +
        "         mamba infer --weights runs/train/ul-vm-unet/weights/best.safetensors slice.tif")
    {
        TrainCommand.Create(terminal, stop), EvalCommand.Create(terminal, stop), InferCommand.Create(terminal, stop),
        ModelsCommand.Create(terminal, stop), BenchCommand.Create(terminal, stop), VerifyCommand.Create(terminal, stop),
        InspectCommand.Create(terminal), ConvertCommand.Create(terminal, stop), QuantizeCommand.Create(terminal, stop),
        PruneCommand.Create(terminal, stop), GenerateCommand.Create(terminal, stop), Explain(terminal, stop), Study(terminal, stop),
    };

    /// <summary>
    /// Whether the program has what writes pages: studies and explanations. Native programs, which are for boards, leave them out
    /// (eng/aot/NativeSubstitutions.xml): they would be a tenth of the file.
    /// </summary>
    private static bool HasPages => true;

    public static int Run(string[] args, Terminal terminal, CancellationToken stop) => Run(args, Tree(terminal, stop), "mamba", terminal);

    /// <summary>Runs a line of a program with other verbs.</summary>
    /// <param name="args">The words.</param>
    /// <param name="tree">The verbs.</param>
    /// <param name="program">What errors call the program.</param>
    /// <param name="terminal">Where results and errors go.</param>
    internal static int Run(string[] args, RootCommand tree, string program, Terminal terminal)
    {
        ParseResult parsed = tree.Parse(args.Length == 0 ? ["--help"] : args, AsTyped);
        if (LineErrors.Find(args, parsed, program) is { } wrong) return Report(terminal, program, wrong);
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
            terminal.Error.WriteLine($"{program}: interrupted");
            return ExitCode.Interrupted;
        }
        catch (Exception e) when (IsBadInput(e))
        {
            return Report(terminal, program, e.Message);
        }
        catch (TypeInitializationException e) when (e.InnerException is PlatformNotSupportedException inner)
        {
            return Report(terminal, program, inner.Message); // MAMBA_ISA asks for what this machine lacks
        }
        catch (OutOfMemoryException)
        {
            return Report(terminal, program, OutOfMemory(parsed.CommandResult.Command));
        }
    }

    private static Command Explain(Terminal terminal, CancellationToken stop) =>
        HasPages ? ExplainCommand.Create(terminal, stop) : LeftOut("explain");

    private static Command Study(Terminal terminal, CancellationToken stop) =>
        HasPages ? StudyCommand.Create(terminal, AllVerbs, stop) : LeftOut("study");

    /// <summary>A verb that this program lacks, whatever follows it.</summary>
    private static Command LeftOut(string verb)
    {
        Command command = new(verb, "Not part of native programs.") { Hidden = true, TreatUnmatchedTokensAsErrors = false };
        command.SetAction(int (_) => throw new PlatformNotSupportedException(
            $"{verb} is not part of native programs; 'dotnet run --project Mamba.Cli -c Release -- {verb}' runs it"));
        return command;
    }

    /// <summary>The verbs, for a study that runs some of them after a training.</summary>
    private sealed class Verbs : IVerbs
    {
        public string? Wrong(string[] words) =>
            LineErrors.Find(words, Tree(new Terminal(TextWriter.Null, TextWriter.Null), CancellationToken.None).Parse(words, AsTyped));

        public int Run(string[] words, Terminal terminal, CancellationToken stop) => CommandLine.Run(words, terminal, stop);
    }

    /// <summary>What to type next, of the options that the command has.</summary>
    private static string OutOfMemory(Command command)
    {
        string[] sizes = [.. s_sizes.Where(size => command.Options.Any(option => option.Name == size))];
        return sizes.Length == 0 ? "out of memory" : $"out of memory; a smaller {string.Join(" or ", sizes)} needs less";
    }

    private static bool IsBadInput(Exception e) => e
        is CheckpointException or ShapeException or TrainingException or NonFiniteException or ArgumentException or IOException
        or UnauthorizedAccessException or PlatformNotSupportedException;

    private static int Report(Terminal terminal, string program, string message)
    {
        terminal.Error.WriteLine($"{program}: {PlainText.Printable(message.ReplaceLineEndings(" "))}");
        return ExitCode.BadInput;
    }
}
