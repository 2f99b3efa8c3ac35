using System.Diagnostics;
using System.Runtime.InteropServices;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;
using Mamba.Samples;
using Mamba.Tests.Support;

namespace Mamba.Tests.Samples;

/// <summary>The sample programs, run as a reader of the docs would run them.</summary>
internal sealed class SampleProgramTests
{
    [Test]
    public void The_embedded_segmenter_segments_a_file_of_frames()
    {
        using TemporaryFolder folder = new();
        string weights = Path.Combine(folder.Root, "weights.safetensors"), frames = Path.Combine(folder.Root, "frames.yuyv");
        ModelConfig config = Registry.Find("unet").Config with { Width = 4, Depth = 2 };
        ModelFile.Save(
            weights, Registry.Find("unet").Create(config, seed: 2),
            new ModelInfo("unet", config, ["lesion"], Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, 32, 32)));
        byte[] bytes = Pictures.Random(40, 30, 3).Pixels[..(40 * 30 * 2)];
        File.WriteAllBytes(frames, [.. Enumerable.Repeat(bytes, 30).SelectMany(b => b)]);
        using Segmenter segmenter = Segmenter.Load(weights);
        int area = segmenter.Segment(bytes, new FrameFormat(40, 30, PixelFormat.Yuyv), new byte[1200]).Area;

        (int code, string output, string error) = Run("EmbeddedSegmenter", frames, "40x30", "yuyv", weights);
        Assert.That((code, error), Is.EqualTo((0, "")));
        string[] lines = output.TrimEnd().Split('\n');
        Assert.That(lines, Has.Length.EqualTo(33));
        Assert.That(lines[1..31], Is.All.Matches(@"^frame \d+: " + area + @" pixels of 1200, \d+\.\d\d ms$"));
        Assert.That(lines[31], Does.Match(@"^first \d+\.\d\d ms, best \d+\.\d\d ms, peak \d+\.\d MB$"));
        Assert.That(lines[32], Is.EqualTo("0 bytes allocated for the last frame"));

        Assert.That(Run("EmbeddedSegmenter", frames, "40x31", "nv12", weights).Error, Does.Contain("even width and height"));
        Assert.That(Run("EmbeddedSegmenter", frames, "40x30", "yuyv").Error, Does.Contain("no weights are built in"));
        Assert.That(Run("EmbeddedSegmenter", frames, "40x30", "yuyv", frames).Code, Is.EqualTo(2));
        Assert.That(Run("EmbeddedSegmenter", frames, "4000x3000", "rgb24", weights).Error, Does.Contain("no whole frame"));
        Assert.That(Run("EmbeddedSegmenter", frames, "40", "rgb24").Code, Is.EqualTo(2));
    }

    [Test]
    public void The_embedded_segmenter_is_short() => Assert.That(
        File.ReadAllLines(Path.Combine(SourceTree.Root, "samples", "EmbeddedSegmenter", "Program.cs")), Has.Length.LessThan(60));

    [Test]
    public void The_streaming_sensor_reads_rows_with_constant_memory()
    {
        using TemporaryFolder folder = new();
        string rows = Path.Combine(folder.Root, "rows.bin");
        float[] values = [.. Enumerable.Range(0, 6 * 2000 + 3).Select(i => MathF.Sin(0.1f * i))]; // and half a row, which is none
        File.WriteAllBytes(rows, MemoryMarshal.AsBytes<float>(values).ToArray());
        (int code, string output, string error) = Run("StreamingSensor", "6", rows);
        Assert.That((code, error), Is.EqualTo((0, "")));
        Assert.That(output, Does.Match(@"2000 rows, \d+\.\d us a row, 0 bytes allocated for the last one"));
        Assert.That(Run("StreamingSensor", "6", rows + "x").Code, Is.EqualTo(2));
        Assert.That(Run("StreamingSensor", "0").Code, Is.EqualTo(2));
    }

    [Test]
    public void The_streaming_model_gives_the_scores_of_the_whole_sequence()
    {
        ParameterStore store = new(seed: 3);
        RowReader model = new(new Scope(store), inputs: 5, classes: 3);
        store.Freeze();
        Tensor rows = Numbers.Random(1, 1, 40, 5), whole = model.Forward(rows);
        (MambaState, MambaState) memory = model.Begin();
        for (int t = 0; t < 40; t++)
        {
            using MemoryScope scope = new();
            Tensor scores = model.Step(Ops.Slice(rows, 1, t, 1).Reshape(1, 5), memory);
            GradCheck.Close(Ops.Slice(whole, 1, t, 1).ToDouble(), scores.Span, 2e-5, $"row {t}");
        }
    }

    private static (int Code, string Output, string Error) Run(string sample, params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])[Path.Combine(AppContext.BaseDirectory, sample + ".dll"), .. arguments])
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }
}
