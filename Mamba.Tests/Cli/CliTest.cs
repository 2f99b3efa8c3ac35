using System.Reflection;
using System.Text.Json;
using Mamba.Cli;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Splits;
using NUnit.Framework.Interfaces;

namespace Mamba.Tests.Cli;

/// <summary>Commands as a user types them, in this process, with a folder of their own.</summary>
internal abstract class CliTest
{
    [ThreadStatic]
    private static HashSet<(string Verb, string Option)>? s_typed;

    private string _folder = null!;
    private int _threads;

    [SetUp]
    public void NewFolder()
    {
        s_typed = [];
        _threads = Workers.Count;
        _folder = Directory.CreateTempSubdirectory("mamba-").FullName;
    }

    [TearDown]
    public void RemoveFolder()
    {
        Workers.Count = _threads;
        Directory.Delete(_folder, recursive: true);
        if (TestContext.CurrentContext.Result.Outcome.Status != TestStatus.Passed) return;
        foreach (ExercisesAttribute claim in GetType().GetMethod(
            TestContext.CurrentContext.Test.MethodName!)!.GetCustomAttributes<ExercisesAttribute>())
            Assert.That(
                s_typed, Is.SupersetOf(claim.Options.Select(option => (claim.Verb, option))), "the test says that it types these options");
    }

    protected string In(params string[] parts) => Path.Combine([_folder, .. parts]);

    protected static Result Mamba(params string[] arguments) => Mamba(arguments, CancellationToken.None, _ => { });

    protected static Result Mamba(string[] arguments, CancellationToken stop, Action<string> onLine)
    {
        using WatchedWriter output = new(onLine);
        using StringWriter error = new();
        int code = MambaOn(arguments, new Terminal(output, error), stop);
        return new Result(code, output.ToString(), error.ToString());
    }

    /// <summary>Runs a command on any terminal, and keeps in mind which options it was given.</summary>
    protected static int MambaOn(string[] arguments, Terminal terminal, CancellationToken stop)
    {
        foreach (string word in arguments)
            if (word.StartsWith("--", StringComparison.Ordinal))
                s_typed?.Add((arguments[0].StartsWith('-') ? "mamba" : arguments[0], word.Split('=')[0]));
        return CommandLine.Run(arguments, terminal, stop);
    }

    /// <summary>A run that must succeed.</summary>
    protected static Result Succeeds(params string[] arguments)
    {
        Result result = Mamba(arguments);
        Assert.That(result.Code, Is.Zero, result.Error);
        return result;
    }

    /// <summary>The JSON that a command prints.</summary>
    protected static JsonElement Json(params string[] arguments) => Parse(Succeeds(arguments).Out);

    protected static JsonElement JsonFile(string path) => Parse(File.ReadAllText(path));

    /// <summary>Images of 40 x 32, or another size, with a bright square, and its mask.</summary>
    protected static void WriteLesions(string folder, int count, int width = 40, int height = 32)
    {
        Directory.CreateDirectory(folder);
        for (int i = 0; i < count; i++)
        {
            Image image = new(width, height, 3), mask = new(width, height, 1);
            for (int y = 0; y < height; y++)
                for (int x = 0; x < width; x++)
                {
                    bool lesion = Math.Abs(x - 10 - i) < 6 && Math.Abs(y - 16) < 6;
                    for (int c = 0; c < 3; c++) image.Pixels[(y * width + x) * 3 + c] = (byte)(lesion ? 200 : 50 + (x * 7 + y * 3) % 40);
                    mask.Pixels[y * width + x] = lesion ? (byte)255 : (byte)0;
                }
            ImageFile.SavePng(Path.Combine(folder, $"slice{i}.png"), image);
            ImageFile.SavePng(Path.Combine(folder, $"slice{i}_mask.png"), mask);
        }
    }

    /// <summary>Striped pictures of 16 x 16, in a folder per class.</summary>
    protected static void WriteClasses(string folder, int count)
    {
        foreach ((string label, int period) in new[] { ("across", 1), ("along", 16) })
        {
            Directory.CreateDirectory(Path.Combine(folder, label));
            for (int i = 0; i < count; i++)
            {
                Image image = new(16, 16, 3);
                for (int p = 0; p < image.Pixels.Length; p++)
                    image.Pixels[p] = (byte)(100 + 100 * (p / 3 / period / 2 % 2) + (p * 7 + i * 13) % 40);
                ImageFile.SavePng(Path.Combine(folder, label, $"{i}.png"), image);
            }
        }
    }

    private static JsonElement Parse(string text)
    {
        using JsonDocument json = JsonDocument.Parse(text);
        return json.RootElement.Clone();
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
