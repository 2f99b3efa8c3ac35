using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Tasks;

namespace Mamba.CLibrary;

/// <summary>The functions of mamba.h. Each is a door: what is behind it may throw, and nothing passes but a <see cref="Status"/>.</summary>
internal static unsafe class Exports
{
    [ThreadStatic]
    private static string? s_error;

    [UnmanagedCallersOnly(EntryPoint = "mamba_load_file", CallConvs = [typeof(CallConvCdecl)])]
    public static int LoadFile(byte* path, ulong* model)
    {
        try
        {
            *Given(model, "model") = 0;
            string text = Marshal.PtrToStringUTF8((nint)Given(path, "path"))!;
            if (text.Length == 0) throw new ArgumentException("path is empty; expected a file of weights");
            *model = OpenModel.Add(ModelFile.Load(text));
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return Fail(e);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "mamba_load_memory", CallConvs = [typeof(CallConvCdecl)])]
    public static int LoadMemory(byte* bytes, nuint size, ulong* model)
    {
        try
        {
            *Given(model, "model") = 0;
            using UnmanagedMemoryStream stream = new(Given(bytes, "bytes"), Length(size, "size"));
            *model = OpenModel.Add(ModelFile.Load(stream, "memory"));
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return Fail(e);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "mamba_get_info", CallConvs = [typeof(CallConvCdecl)])]
    public static int GetInfo(ulong handle, NativeInfo* info)
    {
        OpenModel? model = null;
        try
        {
            model = OpenModel.Use(handle);
            ModelInfo i = model.Info;
            *Given(info, "info") = new NativeInfo
            {
                Task = i.Entry.Task == ModelTask.Segmentation ? 0 : 1,
                Classes = i.Config.Classes,
                Width = i.Data.Width,
                Height = i.Data.Height,
                Channels = i.Config.InputChannels,
            };
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return Fail(e);
        }
        finally
        {
            model?.Release();
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "mamba_segment", CallConvs = [typeof(CallConvCdecl)])]
    public static int Segment(ulong handle, NativeFrame* frame, NativeOutput* output)
    {
        OpenModel? model = null;
        try
        {
            model = OpenModel.Use(handle);
            Segmenter segmenter = model.Segmenter;
            FrameFormat format = model.FormatOf(Given(frame, "frame")->Format);
            SegmentedFrame result = segmenter.Segment(
                Bytes(frame), format, Room(Given(output, "output")->Mask, output->MaskSize, "mask"),
                Room(output->Probabilities, output->ProbabilityCount, "probabilities"), Budget(output));
            output->Milliseconds = result.Milliseconds;
            if (result.Status == FrameStatus.OutOfTime) return (int)Status.OutOfTime;
            output->Area = result.Area;
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return Fail(e);
        }
        finally
        {
            model?.Release();
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "mamba_classify", CallConvs = [typeof(CallConvCdecl)])]
    public static int Classify(ulong handle, NativeFrame* frame, NativeOutput* output)
    {
        OpenModel? model = null;
        try
        {
            model = OpenModel.Use(handle);
            Classifier classifier = model.Classifier;
            FrameFormat format = model.FormatOf(Given(frame, "frame")->Format);
            ClassifiedFrame result = classifier.Classify(
                Bytes(frame), format, Room(Given(output, "output")->Probabilities, output->ProbabilityCount, "probabilities"),
                Budget(output));
            output->Milliseconds = result.Milliseconds;
            if (result.Status == FrameStatus.OutOfTime) return (int)Status.OutOfTime;
            output->Best = result.Best;
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return Fail(e);
        }
        finally
        {
            model?.Release();
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "mamba_get_label", CallConvs = [typeof(CallConvCdecl)])]
    public static int GetLabel(ulong handle, int index, byte* text, nuint size, nuint* needed)
    {
        OpenModel? model = null;
        try
        {
            model = OpenModel.Use(handle);
            IReadOnlyList<string> labels = model.Info.Labels;
            if (index < 0 || index >= labels.Count) throw new ArgumentException($"index {index}; expected 0 to {labels.Count - 1}");
            Copy(labels[index], text, size, needed);
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return Fail(e);
        }
        finally
        {
            model?.Release();
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "mamba_set_threads", CallConvs = [typeof(CallConvCdecl)])]
    public static int SetThreads(int count)
    {
        try
        {
            Workers.Count = count;
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return Fail(e);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "mamba_free", CallConvs = [typeof(CallConvCdecl)])]
    public static int Free(ulong handle)
    {
        try
        {
            OpenModel.Free(handle);
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return Fail(e);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "mamba_last_error", CallConvs = [typeof(CallConvCdecl)])]
    public static int LastError(byte* text, nuint size, nuint* needed)
    {
        try
        {
            Copy(s_error ?? "", text, size, needed);
            return (int)Status.Ok;
        }
        catch (Exception)
        {
            return (int)Status.BadArgument; // and the message that was asked for stays
        }
    }

    /// <summary>Keeps the message for this thread and names the kind of error.</summary>
    private static int Fail(Exception e)
    {
        s_error = e.Message;
        return (int)(e switch
        {
            BadHandleException => Status.BadHandle,
            CheckpointException => Status.BadWeights,
            OutOfMemoryException => Status.OutOfMemory,
            ArgumentException or ShapeException or InvalidOperationException => Status.BadArgument,
            _ => Status.Failed,
        });
    }

    private static T* Given<T>(T* pointer, string name) where T : unmanaged =>
        pointer != null ? pointer : throw new ArgumentException($"{name} is null; expected an address");

    private static int Length(nuint size, string name) =>
        size <= int.MaxValue ? (int)size : throw new ArgumentException($"{name} is {size}; expected at most {int.MaxValue}");

    private static ReadOnlySpan<byte> Bytes(NativeFrame* frame) => new(Given(frame->Data, "data"), Length(frame->Size, "size"));

    /// <summary>Room for a result; null of size 0 where it is not wanted.</summary>
    private static Span<T> Room<T>(T* pointer, nuint size, string name) where T : unmanaged =>
        pointer != null || size == 0
            ? new Span<T>(pointer, pointer == null ? 0 : Length(size, name))
            : throw new ArgumentException($"{name} is null and its size {size}; expected an address, or a size of 0");

    private static TimeSpan? Budget(NativeOutput* output) => output->BudgetMilliseconds switch
    {
        0 => null,
        > 0 and <= 1e9 and var milliseconds => TimeSpan.FromMilliseconds(milliseconds),
        var other => throw new ArgumentException($"budget_ms is {other}; expected 0 for no limit, or up to 1e9"),
    };

    private static void Copy(string message, byte* text, nuint size, nuint* needed)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(message);
        if (needed != null) *needed = (nuint)bytes.Length + 1;
        if (size == 0 && needed != null) return; // the size was asked for
        Span<byte> room = Room(Given(text, "text"), size, "text");
        if (room.IsEmpty) throw new ArgumentException("size is 0; expected room for a zero at least");
        int length = Math.Min(bytes.Length, room.Length - 1);
        while (length < bytes.Length && length > 0 && (bytes[length] & 0xC0) == 0x80) length--; // no character is cut
        bytes.AsSpan(0, length).CopyTo(room);
        room[length] = 0;
    }
}
