using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using Mamba.Models.Measurement;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Cli;

[NonParallelizable]
internal sealed class BenchTests : CliTest
{
    private static readonly string[] s_fields =
    [
        "model", "mode", "batch", "threads", "isa", "ms_median", "ms_min", "images_per_second", "gflops", "peak_gflops", "peak_share",
        "peak_rss_mb", "pass_mb", "exponentials",
    ];

    [TestCase("infer", 1), TestCase("train", 3)]
    [Exercises("bench", "--model", "--size", "--batch", "--threads", "--seconds", "--json")]
    public void The_figures_of_a_model_agree_with_each_other(string mode, int forwardPasses)
    {
        const int Batch = 2;
        string[] arguments =
            ["bench", "--model", "resnet20", "--size", "16", "--batch", "2", "--threads", "1", "--seconds", "0.05", "--json"];
        Result bench = Succeeds(mode == "train" ? [.. arguments, "--train"] : arguments);
        using JsonDocument json = JsonDocument.Parse(bench.Out);
        JsonElement only = json.RootElement.EnumerateArray().Single();
        Assert.That(only.EnumerateObject().Select(p => p.Name), Is.EqualTo(s_fields));
        Assert.That(only.GetProperty("model").GetString(), Is.EqualTo("resnet20"));
        Assert.That(only.GetProperty("mode").GetString(), Is.EqualTo(mode));
        Assert.That(only.GetProperty("isa").GetString(), Is.EqualTo(Isa.Current.ToString()).IgnoreCase);
        Assert.That((Number("batch"), Number("threads")), Is.EqualTo(((double)Batch, 1.0)));
        foreach (string field in s_fields[5..^1]) Assert.That(Number(field), Is.Positive, field);
        Assert.That(Number("ms_min"), Is.LessThanOrEqualTo(Number("ms_median")));
        Assert.That(Number("images_per_second") * Number("ms_median"), Is.EqualTo(1e3 * Batch).Within(1e-9).Percent);
        Assert.That(Number("pass_mb"), Is.LessThan(Number("peak_rss_mb")));
        Assert.That(Number("peak_share") * Number("peak_gflops"), Is.EqualTo(Number("gflops")).Within(1e-9).Percent);

        using MemoryScope scope = new();
        using MultiplyAdds count = new();
        Registry.Find("resnet20").Create().Forward(Tensor.Zeros(Batch, 16, 16, 3));
        Assert.That(Number("gflops") * Number("ms_median") * 1e6, Is.EqualTo(2.0 * forwardPasses * count.Count).Within(1e-9).Percent);

        Assert.That(Number("exponentials"), Is.EqualTo(count.Exponentials));

        double Number(string field) => only.GetProperty(field).GetDouble();
    }

    [Test, Exercises("bench", "--train", "--threads", "--model")]
    public void The_table_names_the_machine_and_the_model()
    {
        Result bench = Succeeds("bench", "--model", "vim-patch8-1000", "--train", "--batch", "1", "--seconds", "0.05", "--threads", "2");
        string[] lines = bench.Out.TrimEnd().Split(Environment.NewLine);
        Assert.That(lines[0], Is.EqualTo(Processor.Name));
        Assert.That(lines[1], Does.Match(@"^threads: 2, vectors: \w+, FMA peak: \d+ GFLOP/s, training steps$"));
        Assert.That(lines[2], Is.EqualTo("model            batch      ms     min  images/s  GFLOP/s  of peak  exp M    MiB"));
        Assert.That(
            lines[3], Does.Match(@"^vim-patch8-1000      1  +\d+\.\d\d  +\d+\.\d\d  +\d+\.\d  +\d+\.\d  +\d+ %  +\d+\.\d\d  +\d+\.\d$"));
        Assert.That(lines[3], Has.Length.EqualTo(lines[2].Length).And.Length.LessThanOrEqualTo(80));
        Assert.That(lines, Has.Length.EqualTo(4));
    }

    [Test, Exercises("bench", "--scaling", "--longest", "--patience", "--out")]
    public void Scaling_prints_slopes_and_writes_a_table_and_plots()
    {
        string folder = In("scaling");
        Result bench = Succeeds(
            "bench", "--scaling", "--longest", "600", "--seconds", "0.01", "--patience", "60", "--threads", "1", "--out", folder);
        string[] lines = bench.Out.Split(Environment.NewLine);
        Assert.That(lines[2], Does.Match(@"^layer +tokens +ms +us/token +MiB$").And.Length.LessThanOrEqualTo(80));
        int rows = lines.Count(line => line.StartsWith("attention ", StringComparison.Ordinal));
        Assert.That(rows, Is.EqualTo(4), "three lengths and a slope");
        Assert.That(bench.Out, Does.Contain("600 ").And.Match(@"faster than attention (from \d+ tokens on|at any length measured)"));
        Assert.That(lines.Any(line => line.StartsWith("Transformer block", StringComparison.Ordinal)));
        string[] table = File.ReadAllLines(Path.Combine(folder, "scaling.csv"));
        Assert.That(table[0], Is.EqualTo("layer,tokens,ms,bytes"));
        Assert.That(table, Has.Length.EqualTo(1 + 3 * SequenceLayer.All.Count));
        foreach (string plot in new[] { "time.svg", "memory.svg" })
            Assert.That(File.ReadAllText(Path.Combine(folder, plot)), Does.StartWith("<?xml").And.Contain("Mamba block"));
    }

    [Test]
    public void Scaling_that_is_interrupted_keeps_the_layers_that_are_done()
    {
        using CancellationTokenSource stop = new();
        string[] arguments =
            ["bench", "--scaling", "--longest", "256", "--seconds", "0.01", "--threads", "1", "--out", In("scaling")];
        Result bench = Mamba(arguments, stop.Token, line =>
        {
            if (line.StartsWith("selective scan, chunked", StringComparison.Ordinal)) stop.Cancel();
        });
        Assert.That(bench.Code, Is.EqualTo(130));
        string[] table = File.ReadAllLines(In("scaling", "scaling.csv"));
        Assert.That(table[0], Is.EqualTo("layer,tokens,ms,bytes"));
        Assert.That(table[1], Does.StartWith("\"selective scan, sequential\",256,"));
        Assert.That(table, Has.Length.EqualTo(3), "the second layer was done, too");
        Assert.That(File.Exists(In("scaling", "time.svg")) && File.Exists(In("scaling", "memory.svg")));
    }

    [Test]
    public void Scaling_in_JSON_leaves_out_what_would_take_too_long()
    {
        Result bench = Succeeds("bench", "--scaling", "--train", "--seconds", "0.01", "--patience", "1e-9", "--json");
        using JsonDocument json = JsonDocument.Parse(bench.Out);
        foreach (JsonElement layer in json.RootElement.EnumerateArray())
        {
            Assert.That(layer.GetProperty("mode").GetString(), Is.EqualTo("train"));
            Assert.That(layer.GetProperty("time_slope").ValueKind, Is.EqualTo(JsonValueKind.Null));
            Assert.That(layer.GetProperty("points").EnumerateArray().Single().GetProperty("tokens").GetInt32(), Is.EqualTo(256));
        }
    }

    [TestCase("--out needs --scaling", "--out", "x"), TestCase("--model is for models", "--scaling", "--model", "vit")]
    [TestCase("--longest is '100'", "--scaling", "--longest", "100")]
    [TestCase("did you mean 'unet'", "--model", "unt"), TestCase("square", "--model", "vim", "--size", "32x48")]
    [TestCase("multiples of 4; the size is 30x30", "--model", "vit", "--size", "30")]
    [TestCase("multiples of 8", "--size", "36"), TestCase("--batch is '0'", "--batch", "0"),
        TestCase("--threads is 'two'", "--threads", "two")]
    [TestCase("--size is '8'", "--size", "8"), TestCase("--seconds is '0'", "--seconds", "0"), TestCase("'extra'", "extra")]
    public void Bad_input_is_one_line_before_anything_runs(string expected, params string[] arguments)
    {
        Result bench = Mamba(["bench", .. arguments]);
        Assert.That(bench.Code, Is.EqualTo(2));
        Assert.That(bench.Out, Is.Empty);
        Assert.That(bench.Error.TrimEnd().Split(Environment.NewLine), Has.Length.EqualTo(1));
        Assert.That(bench.Error, Does.Contain(expected));
    }

    [Test]
    public void It_ends_when_it_is_asked_to()
    {
        Result bench = Mamba(["bench", "--model", "resnet20", "--json"], new CancellationToken(canceled: true), _ => { });
        Assert.That(bench.Code, Is.EqualTo(130));
        Assert.That(bench.Out, Is.Empty);
    }
}
