namespace Mamba.Core.Memory;

/// <summary>
/// The int8 quantization of a weight's inputs: one scale for the whole tensor. The weight's own scales, one per channel, follow from its
/// values. It belongs to a parameter and reaches operators with the packed forms of the frozen weight, so layers and models are not
/// involved.
/// </summary>
internal sealed class InputQuantization
{
    /// <summary>The quantization step, above zero; null to multiply in float32.</summary>
    public float? Scale { get; init; }

    /// <summary>Receives the inputs before the product, possibly from several threads at once; null for none.</summary>
    public Action<ReadOnlySpan<float>>? Observer { get; init; }
}
