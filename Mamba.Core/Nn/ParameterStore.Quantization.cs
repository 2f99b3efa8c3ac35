using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

// Int8 quantization of weights and their inputs.
public sealed partial class ParameterStore
{
    /// <summary>
    /// Quantizes a weight and its inputs to int8 in a frozen model. Convolutions and linear layers then sum integer products exactly, and
    /// scale the sums. Depthwise and transposed convolutions, norms and scans stay in float32.
    /// </summary>
    /// <param name="name">The weight.</param>
    /// <param name="scale">
    /// The step of the input quantization, above zero; codes are -127 to 127. Null returns to float32. Each output channel of the weight
    /// has its own scale, its largest magnitude / 127.
    /// </param>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The scale is not a normal number above zero.</exception>
    public void QuantizeInputs(string name, float? scale)
    {
        if (scale is { } value && !(value > 0 && float.IsNormal(value) && float.IsNormal(1 / value)))
            throw new ArgumentOutOfRangeException(
                nameof(scale), scale, $"ParameterStore.QuantizeInputs: '{name}': expected a scale above 0.");
        Entry entry = Find(name) ?? throw new KeyNotFoundException($"No parameter '{name}' in this model.");
        bool wasFrozen = IsFrozen;
        Thaw();
        entry.Inputs = scale is null ? null : new InputQuantization { Scale = scale };
        if (wasFrozen) Freeze();
    }

    /// <summary>The scales set by <see cref="QuantizeInputs"/>, by weight name, in the order of declaration.</summary>
    public IEnumerable<(string Name, float Scale)> InputScales =>
        _order.Where(e => e.Inputs?.Scale is not null).Select(e => (e.Name, e.Inputs!.Scale!.Value));

    /// <summary>
    /// Shows the inputs of convolution and linear weights in a frozen model, to calibrate scales. It ends <see cref="QuantizeInputs"/>.
    /// </summary>
    /// <param name="observer">Called with the name of a weight and its inputs, possibly from several threads; null for none.</param>
    public void ObserveInputs(Action<string, ReadOnlySpan<float>>? observer)
    {
        bool wasFrozen = IsFrozen;
        Thaw();
        foreach (Entry entry in _order)
            entry.Inputs = observer is null ? null : new InputQuantization { Observer = values => observer(entry.Name, values) };
        if (wasFrozen) Freeze();
    }
}
