using Mamba.Cli;
using Mamba.Core;

namespace Mamba.Tests.Cli;

/// <summary>Commands as a user types them, in this process, with a folder of their own.</summary>
internal abstract class CliTest
{
    private string _folder = null!;
    private int _threads;

    [SetUp]
    public void NewFolder()
    {
        _threads = Workers.Count;
        _folder = Directory.CreateTempSubdirectory("mamba-").FullName;
    }

    [TearDown]
    public void RemoveFolder()
    {
        Workers.Count = _threads;
        Directory.Delete(_folder, recursive: true);
    }

    protected string In(params string[] parts) => Path.Combine([_folder, .. parts]);

    protected static Result Mamba(params string[] arguments) => Mamba(arguments, CancellationToken.None, _ => { });

    protected static Result Mamba(string[] arguments, CancellationToken stop, Action<string> onLine)
    {
        using WatchedWriter output = new(onLine);
        using StringWriter error = new();
        int code = CommandLine.Run(arguments, new Terminal(output, error), stop);
        return new Result(code, output.ToString(), error.ToString());
    }

    protected sealed record Result(int Code, string Out, string Error);

    private sealed class WatchedWriter(Action<string> onLine) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            onLine(value ?? "");
        }
    }
}
