using System.Runtime.Versioning;
using Mamba.Core;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;

namespace Mamba.Examples;

/// <summary>A camera's frames become masks: one object for one stream.</summary>
public sealed class Camera : IDisposable
{
    private readonly Segmenter _segmenter;
    private readonly FrameFormat _format;
    private readonly byte[] _mask;

    public Camera(Stream weights, int width, int height)
    {
        _segmenter = Segmenter.Load(weights);
        _format = new FrameFormat(width, height, PixelFormat.Nv12) { Region = new PixelRegion(0, 0, height, height) };
        _mask = new byte[height * height];
    }

    public ReadOnlySpan<byte> Mask => _mask;

    /// <summary>False if the frame took longer than 50 ms; the mask is then that of the frame before.</summary>
    public bool TrySegment(ReadOnlySpan<byte> nv12, out int area)
    {
        SegmentedFrame result = _segmenter.Segment(nv12, _format, _mask, budget: TimeSpan.FromMilliseconds(50));
        bool complete = result.Status == FrameStatus.Complete;
        area = complete ? result.Area : 0;
        return complete;
    }

    public void Dispose() => _segmenter.Dispose();
}

public static class Embedding
{
    public static Segmenter FromResource() =>
        Segmenter.Load(typeof(Embedding).Assembly.GetManifestResourceStream("weights.safetensors")
            ?? throw new InvalidOperationException("The program was built without weights."));

    [UnsupportedOSPlatform("windows")]
    public static Segmenter Shared(string path)
    {
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        (VisionModel model, ModelInfo info) = ModelFile.LoadMapped(path);
        return new Segmenter(model, info);
    }

    public static string Best(Classifier classifier, ReadOnlySpan<byte> bgr, int width, int height, int stride)
    {
        FrameFormat format = new(width, height, PixelFormat.Bgr24) { Stride = stride };
        float[] probabilities = new float[classifier.Info.Labels.Count];
        int best = classifier.Classify(bgr, format, probabilities).Best;
        return $"{classifier.Info.Labels[best]} ({probabilities[best]:P0})";
    }

    public static void UseOneCore() => Workers.Count = 1;
}
