namespace Mamba.Core.Memory;

/// <summary>
/// What the inputs of a weight are rounded to where operators multiply in int8: one scale for the whole tensor. The weight's own scales,
/// one a channel, follow from its values. It belongs to a parameter and reaches operators with the packed forms of the frozen weight, so
/// layers and models need not know of it.
/// </summary>
internal sealed class InputQuantization
{
    /// <summary>The value of code 1, above zero; null to multiply in float32.</summary>
    public float? Scale { get; init; }

    /// <summary>Sees the inputs before they are multiplied, perhaps from several threads at once; null for nobody.</summary>
    public Action<ReadOnlySpan<float>>? Observer { get; init; }
}
