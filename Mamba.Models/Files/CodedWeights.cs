using System.Buffers.Binary;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;

namespace Mamba.Models.Files;

/// <summary>
/// Weights stored as codes: tensor <c>NAME</c> as <c>NAME.int8</c>, whole numbers from -127 to 127 in its shape, and <c>NAME.scale</c>,
/// what code 1 stands for in each row of dimension 0. A program that does not know them misses NAME, and so cannot take codes for weights.
/// </summary>
internal static class CodedWeights
{
    private const string Codes = ".int8", Scales = ".scale";

    /// <summary>The names of the weights in a file, codes or not.</summary>
    public static IReadOnlyList<string> Names(WeightFile file) =>
    [
        .. file.Names.Where(name => !IsScale(file, name))
            .Select(name => name.EndsWith(Codes, StringComparison.Ordinal) ? name[..^Codes.Length] : name),
    ];

    /// <summary>The shape of a weight.</summary>
    public static int[] Shape(WeightFile file, string name) => file.Shape(IsCoded(file, name) ? name + Codes : name);

    /// <summary>The values of a weight.</summary>
    /// <exception cref="CheckpointException">Codes and scales do not fit together.</exception>
    public static void Read(WeightFile file, string name, Span<float> values)
    {
        if (!IsCoded(file, name))
        {
            file.ReadFloats(name, values);
            return;
        }
        int[] shape = file.Shape(name + Codes);
        if (!file.Contains(name + Scales) || file.DType(name + Codes) != "I8" || shape.Length == 0
            || !file.Shape(name + Scales).AsSpan().SequenceEqual(shape.AsSpan(0, 1)))
            throw new CheckpointException(
                $"{file.Path}: '{name}{Codes}' is {file.DType(name + Codes)} of shape ({string.Join(", ", shape)}); expected I8, and "
                + $"'{name}{Scales}' with a number for each row");
        file.ReadFloats(name + Codes, values);
        float[] scales = file.ReadFloats(name + Scales);
        for (int row = 0, size = values.Length / Math.Max(1, scales.Length); row < scales.Length; row++)
            foreach (ref float value in values.Slice(row * size, size)) value *= scales[row];
    }

    /// <summary>A weight as codes and scales; a row's largest magnitude has code 127.</summary>
    public static IEnumerable<StoredTensor> Store(string name, ReadOnlySpan<float> values, int[] shape)
    {
        byte[] codes = new byte[values.Length], scales = new byte[shape[0] * sizeof(float)];
        for (int row = 0, size = values.Length / Math.Max(1, shape[0]); row < shape[0]; row++)
        {
            ReadOnlySpan<float> from = values.Slice(row * size, size);
            float scale = Scale(from);
            BinaryPrimitives.WriteSingleLittleEndian(scales.AsSpan(row * sizeof(float)), scale);
            for (int i = 0; i < size; i++) codes[row * size + i] = unchecked((byte)Code(from[i], scale));
        }
        return [new(name + Codes, "I8", shape, codes), new(name + Scales, "F32", [shape[0]], scales)];
    }

    private static float Scale(ReadOnlySpan<float> row)
    {
        float largest = 0;
        foreach (float value in row) largest = MathF.Max(largest, MathF.Abs(value));
        return float.IsFinite(largest) ? largest / 127f
            : throw new CheckpointException("a weight is NaN or infinite, which no code stands for");
    }

    private static sbyte Code(float value, float scale) =>
        scale > 0 ? (sbyte)Math.Clamp(Math.Round((double)value / scale), -127, 127) : (sbyte)0;

    /// <summary>Whether a tensor is the codes of a weight.</summary>
    public static bool IsCode(WeightFile file, string name) => name.EndsWith(Codes, StringComparison.Ordinal) && file.DType(name) == "I8";

    private static bool IsCoded(WeightFile file, string name) => !file.Contains(name) && file.Contains(name + Codes);

    private static bool IsScale(WeightFile file, string name) =>
        name.EndsWith(Scales, StringComparison.Ordinal) && file.Contains(name[..^Scales.Length] + Codes);
}
