// Reads an endless stream row by row through a Mamba model, with constant memory and nothing allocated per row.
//   StreamingSensor VALUES [ROWS [WEIGHTS]]
//   VALUES   values of a row: channels of a sensor, or columns of an image
//   ROWS     file of 32-bit floats, row after row; '-' for standard input; without it a synthetic sensor of 100,000 rows
//   WEIGHTS  safetensors of the model; without it random weights, which is enough to measure time and memory
using System.Diagnostics;
using System.Runtime.InteropServices;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Samples;

if (args.Length < 1 || !int.TryParse(args[0], out int values) || values is < 1 or > 65536)
{
    Console.Error.WriteLine("StreamingSensor VALUES [ROWS [WEIGHTS]]");
    return 2;
}
try
{
    ParameterStore store = new(seed: 1);
    RowReader model = new(new Scope(store), values, classes: 4);
    if (args.Length > 2)
    {
        using WeightFile weights = WeightFile.Open(args[2]);
        store.Load(weights);
    }
    store.Freeze();
    using Stream? rows = args.Length < 2 ? null : args[1] == "-" ? Console.OpenStandardInput() : File.OpenRead(args[1]);
    (MambaState First, MambaState Second) memory = model.Begin();
    using Tensor row = Tensor.Zeros(1, values);
    long count = 0, start = Stopwatch.GetTimestamp(), allocated = 0;
    for (; Read(rows, row.Span, count); count++)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        using Tensor scores = model.Step(row, memory);
        allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (count % 20_000 == 0) Console.WriteLine($"row {count}: class {Best(scores.Span)}, memory {Environment.WorkingSet / 1e6:F1} MB");
    }
    if (count == 0) throw new IOException($"no whole row of {values} values");
    double microseconds = Stopwatch.GetElapsedTime(start).TotalMicroseconds / count;
    Console.WriteLine($"{count} rows, {microseconds:F1} us a row, {allocated} bytes allocated for the last one");
    Console.WriteLine($"memory at the end {Environment.WorkingSet / 1e6:F1} MB");
    return 0;
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"StreamingSensor: {e.Message}");
    return 2;
}

static bool Read(Stream? stream, Span<float> row, long index)
{
    if (stream is null)
        for (int i = 0; i < row.Length; i++) row[i] = MathF.Sin(0.01f * index * (i + 1)) + (index / 500 % 2 == 0 ? 0 : 0.3f);
    return stream is null ? index < 100_000 : stream.ReadAtLeast(MemoryMarshal.AsBytes(row), 4 * row.Length, false) == 4 * row.Length;
}

static int Best(ReadOnlySpan<float> scores)
{
    int best = 0;
    for (int i = 1; i < scores.Length; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}
