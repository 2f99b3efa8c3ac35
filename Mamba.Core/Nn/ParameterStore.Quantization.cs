using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

// Which weights multiply in int8.
public sealed partial class ParameterStore
{
    /// <summary>
    /// Rounds what a weight is multiplied by, and the weight itself, to int8 in a frozen model. Convolutions and linear layers then sum
    /// products of whole numbers exactly, and scale the sums. Depthwise and transposed convolutions, norms and scans stay in float32.
    /// </summary>
    /// <param name="name">The weight.</param>
    /// <param name="scale">
    /// The value of code 1 of its inputs, above zero: codes reach from -127 to 127. Null multiplies in float32 again. Each output channel
    /// of the weight has a scale of its own, its largest magnitude over 127.
    /// </param>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The scale is no normal number above zero.</exception>
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

    /// <summary>
    /// The scales that <see cref="QuantizeInputs"/> has set, by the name of their weight, in the order of declaration.
    /// </summary>
    public IEnumerable<(string Name, float Scale)> InputScales =>
        _order.Where(e => e.Inputs?.Scale is not null).Select(e => (e.Name, e.Inputs!.Scale!.Value));

    /// <summary>
    /// Shows what the weights of convolutions and linear layers are multiplied by, in a frozen model: for finding scales. It ends
    /// <see cref="QuantizeInputs"/>.
    /// </summary>
    /// <param name="observer">Called with the name of a weight and its inputs, perhaps from several threads; null for nobody.</param>
    public void ObserveInputs(Action<string, ReadOnlySpan<float>>? observer)
    {
        bool wasFrozen = IsFrozen;
        Thaw();
        foreach (Entry entry in _order)
            entry.Inputs = observer is null ? null : new InputQuantization { Observer = values => observer(entry.Name, values) };
        if (wasFrozen) Freeze();
    }
}
