using System.Text;
using Mamba.CLibrary;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Samples;

/// <summary>
/// The doors of the C library, called through their addresses as C calls them. What is wrong comes back as a status with a message; an
/// exception that passed a door would end this process.
/// </summary>
internal sealed unsafe class CLibraryTests
{
    private const int Side = 32;

    private static readonly delegate* unmanaged[Cdecl]<byte*, ulong*, int> s_loadFile = &Exports.LoadFile;
    private static readonly delegate* unmanaged[Cdecl]<byte*, nuint, ulong*, int> s_loadMemory = &Exports.LoadMemory;
    private static readonly delegate* unmanaged[Cdecl]<ulong, NativeInfo*, int> s_getInfo = &Exports.GetInfo;
    private static readonly delegate* unmanaged[Cdecl]<ulong, NativeFrame*, NativeOutput*, int> s_segment = &Exports.Segment;
    private static readonly delegate* unmanaged[Cdecl]<ulong, NativeFrame*, NativeOutput*, int> s_classify = &Exports.Classify;
    private static readonly delegate* unmanaged[Cdecl]<ulong, int, byte*, nuint, nuint*, int> s_getLabel = &Exports.GetLabel;
    private static readonly delegate* unmanaged[Cdecl]<int, int> s_setThreads = &Exports.SetThreads;
    private static readonly delegate* unmanaged[Cdecl]<ulong, int> s_free = &Exports.Free;
    private static readonly delegate* unmanaged[Cdecl]<byte*, nuint, nuint*, int> s_lastError = &Exports.LastError;

    [Test]
    public void A_frame_is_segmented_as_by_a_segmenter()
    {
        ulong model = Load("unet");
        NativeInfo info;
        Assert.That(s_getInfo(model, &info), Is.EqualTo((int)Status.Ok));
        Assert.That((info.Task, info.Classes, info.Width, info.Height, info.Channels), Is.EqualTo((0, 1, Side, Side, 3)));
        byte[] frame = Pictures.Random(40, 30, 3).Pixels, mask = new byte[20 * 30], expected = new byte[mask.Length];
        float[] probabilities = new float[mask.Length], expectedProbabilities = new float[mask.Length];
        using Segmenter segmenter = new(Model("unet").Model, Model("unet").Info);
        FrameFormat format = new(40, 30, PixelFormat.Bgr24) { Region = new PixelRegion(5, 0, 20, 30) };
        int area = segmenter.Segment(frame, format, expected, expectedProbabilities).Area;
        fixed (byte* data = frame, to = mask)
        fixed (float* values = probabilities)
        {
            NativeFrame native = new()
            {
                Data = data,
                Size = (nuint)frame.Length,
                Format = new NativeFormat { Width = 40, Height = 30, Pixels = 2, RegionX = 5, RegionWidth = 20, RegionHeight = 30 },
            };
            NativeOutput output = new()
            {
                Mask = to,
                MaskSize = (nuint)mask.Length,
                Probabilities = values,
                ProbabilityCount = (nuint)mask.Length,
                BudgetMilliseconds = 1e6,
            };
            Assert.That(s_segment(model, &native, &output), Is.EqualTo((int)Status.Ok));
            Assert.That((output.Area, output.Milliseconds > 0), Is.EqualTo((area, true)));
            Assert.That(mask, Is.EqualTo(expected));
            Assert.That(probabilities, Is.EqualTo(expectedProbabilities));

            long allocated = -1;
            for (int i = 0; i < 50 && allocated != 0; i++)
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                s_segment(model, &native, &output);
                allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            }
            Assert.That(allocated, Is.Zero, "bytes of a frame");

            Array.Fill(mask, (byte)9);
            output.BudgetMilliseconds = 1e-6;
            Assert.That(s_segment(model, &native, &output), Is.EqualTo((int)Status.OutOfTime));
            Assert.That(mask, Is.All.EqualTo((byte)9));
        }
        Assert.That(s_free(model), Is.EqualTo((int)Status.Ok));
    }

    [Test]
    public void A_frame_is_classified_as_by_a_classifier()
    {
        ulong model = Load("vim");
        byte[] frame = Pictures.Random(Side, Side, 3).Pixels;
        float[] found = new float[10], expected = new float[10];
        using Classifier classifier = new(Model("vim").Model, Model("vim").Info);
        int best = classifier.Classify(frame, new FrameFormat(Side, Side, PixelFormat.Rgb24), expected).Best;
        fixed (byte* data = frame)
        fixed (float* values = found)
        {
            NativeFrame native = Native(data, frame.Length, 1);
            NativeOutput output = new() { Probabilities = values, ProbabilityCount = 10 };
            Assert.That(s_classify(model, &native, &output), Is.EqualTo((int)Status.Ok));
            Assert.That(output.Best, Is.EqualTo(best));
        }
        Assert.That(found, Is.EqualTo(expected));
        byte* text = stackalloc byte[12];
        nuint needed;
        Assert.That(s_getLabel(model, 3, text, 12, &needed), Is.EqualTo((int)Status.Ok));
        Assert.That((Text(text), needed), Is.EqualTo(("class\u00e9 \u00e93", (nuint)12)));
        Assert.That(s_getLabel(model, 3, text, 10, null), Is.EqualTo((int)Status.Ok));
        Assert.That(Text(text), Is.EqualTo("class\u00e9 "), "cut between characters");
        Assert.That(s_getLabel(model, 10, text, 8, null), Is.EqualTo((int)Status.BadArgument));
        Assert.That(s_free(model), Is.EqualTo((int)Status.Ok));
    }

    [Test]
    public void Handles_that_are_freed_or_made_up_are_refused()
    {
        ulong model = Load("unet");
        Assert.That(s_free(model), Is.EqualTo((int)Status.Ok));
        NativeInfo info;
        NativeFrame frame;
        NativeOutput output;
        byte text;
        foreach (ulong bad in new[] { model, 0ul, ulong.MaxValue, model + 1 })
        {
            Refused(Status.BadHandle, $"handle {bad}", s_free(bad));
            Refused(Status.BadHandle, $"handle {bad}", s_getInfo(bad, &info));
            Refused(Status.BadHandle, $"handle {bad}", s_segment(bad, &frame, &output));
            Refused(Status.BadHandle, $"handle {bad}", s_classify(bad, &frame, &output));
            Refused(Status.BadHandle, $"handle {bad}", s_getLabel(bad, 0, &text, 1, null));
        }
        ulong next = Load("unet");
        Assert.That(next, Is.Not.EqualTo(model), "a number is not used again");
        Assert.That(s_free(next), Is.EqualTo((int)Status.Ok));
    }

    [Test]
    public void Null_pointers_and_sizes_that_do_not_fit_are_refused()
    {
        ulong model = Load("unet"), classifier = Load("vim"), none = 7;
        byte[] pixels = new byte[Side * Side], mask = new byte[Side * Side];
        fixed (byte* data = pixels, to = mask)
        {
            byte* empty = stackalloc byte[1];
            Refused(Status.BadArgument, "path is null", s_loadFile(null, &none));
            Refused(Status.BadArgument, "model is null", s_loadFile(empty, null));
            Refused(Status.BadArgument, "path is empty", s_loadFile(empty, &none));
            Assert.That(none, Is.Zero, "no handle without a model");
            Refused(Status.BadArgument, "bytes is null", s_loadMemory(null, 5, &none));
            Refused(Status.BadArgument, "at most", s_loadMemory(data, nuint.MaxValue, &none));
            Refused(Status.BadWeights, "memory: ", s_loadMemory(data, (nuint)pixels.Length, &none));
            Refused(Status.BadWeights, "memory: ", s_loadMemory(data, 0, &none));
            Refused(Status.BadArgument, "info is null", s_getInfo(model, null));

            NativeFrame frame = Native(data, pixels.Length, 0);
            NativeOutput output = new() { Mask = to, MaskSize = (nuint)mask.Length };
            Refused(Status.BadArgument, "frame is null", s_segment(model, null, &output));
            Refused(Status.BadArgument, "output is null", s_segment(model, &frame, null));
            Refused(Status.BadArgument, "classifier", s_segment(classifier, &frame, &output));
            Refused(Status.BadArgument, "segmentation", s_classify(model, &frame, &output));
            Refused(Status.BadArgument, "room for 0 probabilities", s_classify(classifier, &frame, &output));
            foreach ((NativeFrame bad, string message) in new[]
            {
                (frame with { Data = null }, "data is null"), (frame with { Size = nuint.MaxValue }, "at most"),
                (frame with { Size = 5 }, "a frame of 5 bytes"), (frame with { Format = frame.Format with { Width = 0 } }, "0 x 32"),
                (frame with { Format = frame.Format with { Pixels = 99 } }, "listed"),
                (frame with { Format = frame.Format with { Stride = -1 } }, "stride of -1"),
                (frame with { Format = frame.Format with { Bt709 = 2 } }, "listed"),
                (frame with { Format = frame.Format with { FullRange = 2 } }, "full_range is 2"),
                (frame with { Format = frame.Format with { RegionWidth = 33, RegionHeight = 1 } }, "region"),
            })
            {
                NativeFrame wrong = bad;
                Refused(Status.BadArgument, message, s_segment(model, &wrong, &output));
            }
            foreach ((NativeOutput bad, string message) in new[]
            {
                (output with { Mask = null }, "mask is null"), (output with { MaskSize = 7 }, "room for 7"),
                (output with { MaskSize = nuint.MaxValue }, "at most"), (output with { ProbabilityCount = 1 }, "probabilities is null"),
                (output with { BudgetMilliseconds = -1 }, "budget_ms is -1"),
                (output with { BudgetMilliseconds = double.NaN }, "budget_ms"),
                (new NativeOutput(), "room for 0"),
            })
            {
                NativeOutput wrong = bad;
                Refused(Status.BadArgument, message, s_segment(model, &frame, &wrong));
            }
            Assert.That(s_segment(model, &frame, &output), Is.EqualTo((int)Status.Ok), "and the right ones are not");
        }
        foreach (int threads in new[] { 0, -1, 1025 }) Refused(Status.BadArgument, $"{threads}", s_setThreads(threads));
        Assert.That(s_setThreads(Workers.Count), Is.EqualTo((int)Status.Ok));
        Assert.That((s_free(model), s_free(classifier)), Is.EqualTo(((int)Status.Ok, (int)Status.Ok)));
    }

    [Test]
    public void Files_that_are_no_weights_are_refused_by_name()
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "w\u00e9ights.safetensors");
        Refused(Status.BadWeights, "w\u00e9ights", LoadFile(path, out ulong model));
        Assert.That(model, Is.Zero);
        File.WriteAllBytes(path, new byte[100]);
        Refused(Status.BadWeights, "w\u00e9ights", LoadFile(path, out _));
        ModelFile.Save(path, Model("unet").Model, Model("unet").Info);
        Assert.That(LoadFile(path, out model), Is.EqualTo((int)Status.Ok));
        Assert.That(s_free(model), Is.EqualTo((int)Status.Ok));
    }

    [Test]
    public void The_last_error_is_cut_to_the_callers_room()
    {
        Refused(Status.BadHandle, "handle 12345", s_free(12345));
        nuint needed;
        Assert.That(s_lastError(null, 0, &needed), Is.EqualTo((int)Status.Ok));
        byte* text = stackalloc byte[(int)needed];
        Assert.That(s_lastError(text, 13, null), Is.EqualTo((int)Status.Ok));
        Assert.That(Text(text), Is.EqualTo("handle 12345"));
        Assert.That(s_lastError(text, needed, null), Is.EqualTo((int)Status.Ok));
        Assert.That((nuint)Text(text).Length, Is.EqualTo(needed - 1));
        Assert.That(s_lastError(null, 5, null), Is.EqualTo((int)Status.BadArgument));
        Assert.That(s_lastError(text, 0, null), Is.EqualTo((int)Status.BadArgument));
        string? other = null;
        Thread thread = new(() => other = LastError());
        thread.Start();
        thread.Join();
        Assert.That(other, Is.Empty, "each thread has its own");
    }

    /// <summary>A model that is freed during calls stays until they have returned.</summary>
    [Test]
    public void A_model_may_be_freed_while_it_is_used()
    {
        ulong model = Load("unet");
        int done = 0, gone = 0, other = 0;
        Thread[] threads = [.. Enumerable.Range(0, 3).Select(_ => new Thread(Segment))];
        foreach (Thread thread in threads) thread.Start();
        SpinWait.SpinUntil(() => Volatile.Read(ref done) > 5, 60_000);
        Assert.That(s_free(model), Is.EqualTo((int)Status.Ok));
        foreach (Thread thread in threads) thread.Join();
        Assert.That((done > 5, gone, other), Is.EqualTo((true, threads.Length, 0)));

        void Segment()
        {
            byte* data = stackalloc byte[Side * Side], mask = stackalloc byte[Side * Side];
            NativeFrame frame = Native(data, Side * Side, 0);
            NativeOutput output = new() { Mask = mask, MaskSize = Side * Side };
            int status;
            while ((status = s_segment(model, &frame, &output)) == (int)Status.Ok) Interlocked.Increment(ref done);
            Interlocked.Increment(ref status == (int)Status.BadHandle ? ref gone : ref other);
        }
    }

    /// <summary>The header's numbers and fields are those of the code.</summary>
    [Test]
    public void The_header_says_what_the_code_does()
    {
        string header = File.ReadAllText(Path.Combine(SourceTree.Root, "samples", "CLibrary", "mamba.h"));
        Assert.That(
            (sizeof(NativeFrame), sizeof(NativeOutput), sizeof(NativeInfo)), Is.EqualTo((56, 56, 20)), "on 64 bits, as C lays them out");
        foreach (Status status in Enum.GetValues<Status>())
        {
            string name = string.Concat(status.ToString().Select((c, i) => i > 0 && char.IsUpper(c) ? "_" + c : $"{c}")).ToUpperInvariant();
            Assert.That(header, Does.Contain($"MAMBA_{name} = {(int)status}"));
        }
        foreach (PixelFormat format in Enum.GetValues<PixelFormat>())
            Assert.That(header, Does.Contain($"MAMBA_{format.ToString().ToUpperInvariant()} = {(int)format}"));
        string[] exported = [.. typeof(Exports).GetMethods()
            .SelectMany(m => m.GetCustomAttributes(typeof(System.Runtime.InteropServices.UnmanagedCallersOnlyAttribute), false))
            .Select(a => ((System.Runtime.InteropServices.UnmanagedCallersOnlyAttribute)a).EntryPoint!)];
        string[] declared = [.. header.Split('\n').Where(l => l.StartsWith("mamba_status ", StringComparison.Ordinal))
            .Select(l => l.Split(' ')[1].Split('(')[0])];
        Assert.That(exported, Is.EquivalentTo(declared).And.Length.GreaterThan(5));
    }

    private static void Refused(Status expected, string message, int status)
    {
        Assert.That((Status)status, Is.EqualTo(expected));
        Assert.That(LastError(), Does.Contain(message));
    }

    private static string LastError()
    {
        nuint needed;
        s_lastError(null, 0, &needed);
        byte[] text = new byte[needed];
        fixed (byte* to = text) s_lastError(to, needed, null);
        return Encoding.UTF8.GetString(text.AsSpan(0, text.Length - 1));
    }

    private static string Text(byte* text) => System.Runtime.InteropServices.Marshal.PtrToStringUTF8((nint)text)!;

    private static NativeFrame Native(byte* data, int size, int pixels) => new()
    {
        Data = data,
        Size = (nuint)size,
        Format = new NativeFormat { Width = Side, Height = Side, Pixels = pixels },
    };

    private static ulong Load(string name)
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "w.safetensors");
        ModelFile.Save(path, Model(name).Model, Model(name).Info);
        byte[] file = File.ReadAllBytes(path);
        ulong model;
        fixed (byte* bytes = file) Assert.That(s_loadMemory(bytes, (nuint)file.Length, &model), Is.EqualTo((int)Status.Ok));
        return model;
    }

    private static int LoadFile(string path, out ulong model)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(path + '\0'))
        fixed (ulong* handle = &model) return s_loadFile(text, handle);
    }

    private static (VisionModel Model, ModelInfo Info) Model(string name)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = name == "unet" ? entry.Config with { Width = 4, Depth = 2 } : entry.Config;
        string[] labels = name == "unet" ? ["lesion"] : [.. Enumerable.Range(0, 10).Select(i => $"class\u00e9 \u00e9{i}")];
        return (entry.Create(config, seed: 2),
            new ModelInfo(name, config, labels, Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, Side, Side)));
    }
}
