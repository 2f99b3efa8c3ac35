using System.Buffers.Binary;
using System.Text.Json;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Files;

/// <summary>How numbers are stored.</summary>
public enum FloatType
{
    /// <summary>In 32 bits.</summary>
    Fp32,

    /// <summary>In 16 bits: 11 significant ones, magnitudes up to 65504.</summary>
    Fp16,
}

/// <summary>What a conversion cost.</summary>
/// <param name="Numbers">The numbers that were converted.</param>
/// <param name="LargestError">The largest difference from what was there.</param>
/// <param name="Tensor">The tensor with that difference; null where nothing was rounded.</param>
/// <param name="Vanished">The numbers that became zero.</param>
public sealed record Rounding(long Numbers, double LargestError, string? Tensor, long Vanished);

/// <summary>Copies weight files in another type of numbers.</summary>
public static class WeightConversion
{
    private const string Quantized = "quantization";

    /// <summary>
    /// Writes the tensors of another file under their names. Floating-point numbers get the type; of float16, running statistics of norms
    /// keep theirs, since a small variance would vanish. Whole numbers stay.
    /// </summary>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="source">Where the tensors come from; its metadata are kept.</param>
    /// <param name="info">What describes the model, where the source does not; null for nothing.</param>
    /// <param name="type">The new type.</param>
    /// <param name="cancellation">Gives up; a file that was there stays as it is.</param>
    /// <returns>How much was rounded.</returns>
    /// <exception cref="CheckpointException">
    /// A number is beyond the type, or is not finite: the message names its tensor. Or the source holds int8 codes, or cannot be read.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Rounding Write(
        string path, WeightFile source, ModelInfo? info, FloatType type, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (ModelFile.HoldsCodes(source))
            throw new CheckpointException($"{source.Path}: holds int8 codes; expected the float32 weights that they were made of");
        Rounding rounding = new(0, 0, null, 0);
        List<StoredTensor> tensors = [];
        foreach (string name in source.Names)
        {
            cancellation.ThrowIfCancellationRequested();
            tensors.Add(Converts(source, name, type) ? Convert(source, name, type, ref rounding) : Copy(source, name, cancellation));
        }
        Safetensors.Write(path, tensors, Metadata(source, info, type), cancellation);
        return rounding;
    }

    private static bool Converts(WeightFile source, string name, FloatType type) => type == FloatType.Fp16
        ? source.DType(name) is "F32" or "F64" or "BF16"
            && name[(name.LastIndexOf('.') + 1)..] is not ("running_mean" or "running_var")
        : source.DType(name) is "F16" or "F64" or "BF16";

    private static StoredTensor Convert(WeightFile source, string name, FloatType type, ref Rounding rounding)
    {
        float[] values = source.ReadFloats(name);
        bool half = type == FloatType.Fp16;
        byte[] bytes = new byte[values.Length * (half ? 2 : sizeof(float))];
        double largest = 0;
        long vanished = 0;
        for (int i = 0; i < values.Length; i++)
        {
            float stored = half ? (float)(Half)values[i] : values[i];
            if (half && !float.IsFinite(stored))
                throw new CheckpointException(
                    $"{source.Path}: '{name}' holds {values[i]}, which float16 cannot; expected finite numbers up to "
                        + $"{(float)Half.MaxValue}");
            if (half) BinaryPrimitives.WriteHalfLittleEndian(bytes.AsSpan(2 * i), (Half)values[i]);
            else BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(sizeof(float) * i), stored);
            largest = Math.Max(largest, Math.Abs((double)values[i] - stored));
            if (stored == 0 && values[i] != 0) vanished++;
        }
        bool worse = largest > rounding.LargestError;
        rounding = new Rounding(
            rounding.Numbers + values.Length, worse ? largest : rounding.LargestError, worse ? name : rounding.Tensor,
            rounding.Vanished + vanished);
        return new StoredTensor(name, half ? "F16" : "F32", source.Shape(name), bytes);
    }

    private static StoredTensor Copy(WeightFile source, string name, CancellationToken cancellation)
    {
        using MemoryStream bytes = new();
        source.CopyTo(name, bytes, cancellation);
        return new StoredTensor(name, source.DType(name), source.Shape(name), bytes.ToArray());
    }

    /// <summary>A file that describes its model says as well that its numbers were rounded.</summary>
    private static Dictionary<string, string> Metadata(WeightFile source, ModelInfo? info, FloatType type)
    {
        Dictionary<string, string> metadata = new(source.Metadata) { ["format"] = "pt" }; // what PyTorch's loader asks for
        foreach ((string key, string value) in info is null ? [] : ModelFile.Metadata(info)) metadata[key] = value;
        if (type == FloatType.Fp32) metadata.Remove(Quantized);
        else if (metadata.ContainsKey("model") && metadata.ContainsKey("config"))
            metadata[Quantized] = JsonSerializer.Serialize(
                new QuantizationDocument(QuantizationMode.Fp16.ToWord()), ModelJson.Default.QuantizationDocument);
        return metadata;
    }
}
