using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
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
                s_typed?.Add((VerbOf(arguments), word.Split('=')[0]));
        return CommandLine.Run(arguments, terminal, stop);
    }

    /// <summary>The words that call a verb: "train", "study run".</summary>
    private static string VerbOf(string[] arguments) => arguments[0].StartsWith('-') ? "mamba"
        : arguments is ["study", var second, ..] ? $"study {second}" : arguments[0];

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

    /// <summary>The arguments with an option set to a value, in place of the value that it has.</summary>
    protected static string[] With(string[] arguments, string option, string value)
    {
        int at = Array.IndexOf(arguments, option);
        return at < 0 ? [.. arguments, option, value] : [.. arguments[..(at + 1)], value, .. arguments[(at + 2)..]];
    }

    /// <summary>The best weights of a run.</summary>
    protected string BestOf(string run) => In(run, "weights", "best.safetensors");

    /// <summary>The hash of a run's last weights.</summary>
    protected string Last(string run) => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(In(run, "weights", "last.safetensors"))));

    /// <summary>A column of a run's results.csv.</summary>
    protected double[] Results(string run, string column)
    {
        string[] lines = File.ReadAllLines(In(run, "results.csv"));
        int at = Array.IndexOf(lines[0].Split(','), column);
        return [.. lines[1..].Select(line => double.Parse(line.Split(',')[at], CultureInfo.InvariantCulture))];
    }

    /// <summary>An option of a run, as its args.json has it; null if it is not there.</summary>
    protected string? Argument(string run, string option) =>
        JsonFile(In(run, "args.json")).TryGetProperty(option, out JsonElement value) ? value.ToString() : null;

    /// <summary>The names of a part of a run's split.json.</summary>
    protected string[] Part(string run, string part) =>
        [.. JsonFile(In(run, "split.json")).GetProperty(part).EnumerateArray().Select(name => name.GetString()!)];

    /// <summary>Images of 40 x 32, or another size, with a bright square, and its mask. Pictures of different numbers differ.</summary>
    protected static void WriteLesions(string folder, int count, int width = 40, int height = 32, int first = 0)
    {
        Directory.CreateDirectory(folder);
        for (int i = 0; i < count; i++)
        {
            Image image = new(width, height, 3), mask = new(width, height, 1);
            for (int y = 0; y < height; y++)
                for (int x = 0; x < width; x++)
                {
                    bool lesion = Math.Abs(x - 10 - (i + first) % width) < 6 && Math.Abs(y - 16) < 6;
                    for (int c = 0; c < 3; c++) image.Pixels[(y * width + x) * 3 + c] = (byte)(lesion ? 200 : 50 + (x * 7 + y * 3) % 40);
                    mask.Pixels[y * width + x] = lesion ? (byte)255 : (byte)0;
                }
            image.Pixels[0] = (byte)(i + first);
            ImageFile.SavePng(Path.Combine(folder, $"slice{i}.png"), image);
            ImageFile.SavePng(Path.Combine(folder, $"slice{i}_mask.png"), mask);
        }
    }

    /// <summary>Pictures of 32 x 32 with a bright disc (1) and a dark square (2) on gray, and their maps of classes.</summary>
    protected static void WriteShapes(string folder, int count)
    {
        Directory.CreateDirectory(folder);
        for (int i = 0; i < count; i++)
        {
            Image image = new(32, 32, 3), mask = new(32, 32, 1);
            for (int p = 0; p < mask.Pixels.Length; p++)
            {
                (int x, int y) = (p % 32, p / 32);
                bool disc = Math.Pow(x - 8 - i % 4, 2) + Math.Pow(y - 9 - i / 4, 2) < 36;
                bool square = !disc && Math.Abs(x - 22) < 5 && Math.Abs(y - 22 + i % 3) < 5;
                mask.Pixels[p] = (byte)(disc ? 1 : square ? 2 : 0);
                image.Pixels.AsSpan(3 * p, 3).Fill((byte)(disc ? 220 : square ? 20 : 110 + (x * 5 + y * 3 + i) % 20));
            }
            ImageFile.SavePng(Path.Combine(folder, $"shapes{i}.png"), image);
            ImageFile.SavePng(Path.Combine(folder, $"shapes{i}_mask.png"), mask);
        }
    }

    /// <summary>Striped pictures of 16 x 16, in a folder per class. Pictures of different numbers differ.</summary>
    protected static void WriteClasses(string folder, int count, int first = 0)
    {
        foreach ((string label, int period) in new[] { ("across", 1), ("along", 16) })
        {
            Directory.CreateDirectory(Path.Combine(folder, label));
            for (int i = 0; i < count; i++)
            {
                Image image = new(16, 16, 3);
                for (int p = 0; p < image.Pixels.Length; p++)
                    image.Pixels[p] = (byte)(100 + 100 * (p / 3 / period / 2 % 2) + (p * 7 + (i + first) * 13) % 40);
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
