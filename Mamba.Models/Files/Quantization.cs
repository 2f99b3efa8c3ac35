using Mamba.Core.Nn;

namespace Mamba.Models.Files;

/// <summary>What is stored in fewer bits than float32.</summary>
public enum QuantizationMode
{
    /// <summary>Weights in int8, and products in int8 where the inputs have a scale.</summary>
    Int8,

    /// <summary>Weights in int8, products in float32.</summary>
    Int8Weights,

    /// <summary>All numbers in float16, products in float32.</summary>
    Fp16,
}

/// <summary>How the numbers of a weight file are stored and multiplied.</summary>
/// <param name="Mode">What is stored in fewer bits.</param>
/// <param name="Calibration">How the scales of inputs were found; null where there are none.</param>
/// <param name="Images">The number of images that they were found on.</param>
/// <param name="Inputs">
/// The value of code 1 of the inputs, by the name of the weight, see <see cref="ParameterStore.QuantizeInputs"/>.
/// </param>
public sealed record Quantization(QuantizationMode Mode, string? Calibration, int? Images, IReadOnlyDictionary<string, float> Inputs);

/// <summary>The words for modes.</summary>
internal static class QuantizationModes
{
    /// <summary>The word in files and on the command line.</summary>
    public static string ToWord(this QuantizationMode mode) => mode switch
    {
        QuantizationMode.Int8 => "int8",
        QuantizationMode.Int8Weights => "int8-weights",
        _ => "fp16",
    };

    /// <summary>The mode of a word; null for an unknown one.</summary>
    public static QuantizationMode? Parse(string word)
    {
        foreach (QuantizationMode mode in Enum.GetValues<QuantizationMode>())
            if (mode.ToWord() == word) return mode;
        return null;
    }
}
