// Segments frames from a camera's raw buffers: one program, its weights inside it or beside it, nothing allocated per frame.
//   EmbeddedSegmenter FRAMES WIDTHxHEIGHT FORMAT [WEIGHTS]
//   FRAMES   file of raw frames, one after the other; '-' for standard input
//   FORMAT   gray8, rgb24, bgr24, nv12 or yuyv
//   WEIGHTS  file of weights; without it the ones that were built into the program
using System.Diagnostics;
using Mamba.Models.Inference;

if (args.Length < 3 || args[1].Split('x') is not [var w, var h] || !int.TryParse(w, out int width) || !int.TryParse(h, out int height)
    || !Enum.TryParse(args[2], ignoreCase: true, out PixelFormat pixels))
{
    Console.Error.WriteLine("EmbeddedSegmenter FRAMES WIDTHxHEIGHT gray8|rgb24|bgr24|nv12|yuyv [WEIGHTS]");
    return 2;
}
try
{
    long start = Stopwatch.GetTimestamp();
    using Stream? weights = args.Length > 3
        ? File.OpenRead(args[3])
        : typeof(Program).Assembly.GetManifestResourceStream("weights.safetensors");
    if (weights is null) throw new ArgumentException("no weights are built in; give a file of weights");
    using Segmenter segmenter = Segmenter.Load(weights);
    Console.WriteLine($"{segmenter.Info.Model} loaded in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:F1} ms");

    FrameFormat format = new(width, height, pixels);
    using Stream frames = args[0] == "-" ? Console.OpenStandardInput() : File.OpenRead(args[0]);
    byte[] frame = new byte[format.Bytes], mask = new byte[width * height];
    List<double> times = new(1 << 16);
    long allocated = 0;
    while (frames.ReadAtLeast(frame, frame.Length, throwOnEndOfStream: false) == frame.Length)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        SegmentedFrame result = segmenter.Segment(frame, format, mask, budget: TimeSpan.FromSeconds(10));
        allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (result.Status == FrameStatus.OutOfTime) Console.WriteLine($"frame {times.Count}: out of time");
        else Console.WriteLine($"frame {times.Count}: {result.Area} pixels of {mask.Length}, {result.Milliseconds:F2} ms");
        times.Add(result.Milliseconds);
    }
    if (times.Count == 0) throw new ArgumentException($"'{args[0]}' has no whole frame of {frame.Length} bytes");
    double memory = Process.GetCurrentProcess().PeakWorkingSet64 / 1e6;
    Console.WriteLine($"first {times[0]:F2} ms, best {times.Min():F2} ms, peak {memory:F1} MB");
    Console.WriteLine($"{allocated} bytes allocated for the last frame");
    return 0;
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
{
    Console.Error.WriteLine($"EmbeddedSegmenter: {e.Message}");
    return 2;
}
