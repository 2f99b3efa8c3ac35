using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.CLibrary;

/// <summary>A handle stands for no open model.</summary>
internal sealed class BadHandleException(ulong handle)
    : Exception($"handle {handle}: no open model; expected one of mamba_load_file or mamba_load_memory that was not freed");

/// <summary>
/// A model behind a handle. Handles are numbers that are never used twice, not addresses, so one that is wrong or freed is found out. A
/// model that is freed during a call is disposed of when the last call returns.
/// </summary>
internal sealed class OpenModel
{
    private static readonly Lock s_gate = new();
    private static readonly Dictionary<ulong, OpenModel> s_open = [];
    private static ulong s_last;

    private readonly ulong _handle;
    private readonly Segmenter? _segmenter;
    private readonly Classifier? _classifier;
    private LastFormat? _format;
    private int _users = 1; // the table of handles

    private OpenModel(VisionModel model, ModelInfo info)
    {
        Info = info;
        if (info.Entry.Task == ModelTask.Segmentation) _segmenter = new Segmenter(model, info);
        else _classifier = new Classifier(model, info);
        lock (s_gate) s_open.Add(_handle = ++s_last, this);
    }

    public ModelInfo Info { get; }

    public Segmenter Segmenter =>
        _segmenter ?? throw new ArgumentException($"{Info.Model} is a classifier; expected a call of mamba_classify");

    public Classifier Classifier =>
        _classifier ?? throw new ArgumentException($"{Info.Model} is a segmentation model; expected a call of mamba_segment");

    public static ulong Add((VisionModel Model, ModelInfo Info) loaded) => new OpenModel(loaded.Model, loaded.Info)._handle;

    /// <summary>Finds a model and keeps it; <see cref="Release"/> it afterwards.</summary>
    /// <exception cref="BadHandleException">There is none.</exception>
    public static OpenModel Use(ulong handle)
    {
        lock (s_gate)
        {
            if (!s_open.TryGetValue(handle, out OpenModel? model)) throw new BadHandleException(handle);
            model._users++;
            return model;
        }
    }

    public static void Free(ulong handle)
    {
        OpenModel? model;
        lock (s_gate)
            if (!s_open.Remove(handle, out model)) throw new BadHandleException(handle);
        model.Release();
    }

    public void Release()
    {
        lock (s_gate)
            if (--_users > 0) return;
        _segmenter?.Dispose();
        _classifier?.Dispose();
    }

    /// <summary>The format of a frame. The last one is kept, so that a stream of frames makes one.</summary>
    public FrameFormat FormatOf(in NativeFormat f)
    {
        if (_format is { } last && last.Native == f) return last.Format;
        bool whole = (f.RegionX, f.RegionY, f.RegionWidth, f.RegionHeight) == (0, 0, 0, 0);
        FrameFormat format = new(f.Width, f.Height, (PixelFormat)f.Pixels)
        {
            Stride = f.Stride == 0 ? null : f.Stride,
            Region = whole ? null : new PixelRegion(f.RegionX, f.RegionY, f.RegionWidth, f.RegionHeight),
            Matrix = (YuvMatrix)f.Bt709,
            FullRange = f.FullRange switch
            {
                0 => false,
                1 => true,
                _ => throw new ArgumentException($"full_range is {f.FullRange}; expected 0 or 1"),
            },
        };
        Volatile.Write(ref _format, new LastFormat(f, format));
        return format;
    }

    private sealed record LastFormat(NativeFormat Native, FrameFormat Format);
}
