using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Models.Files;
using Mamba.Models.Zoo;

namespace Mamba.Models.Compression;

/// <summary>What pruning left of a layer.</summary>
/// <param name="Layer">Its name: of channels the layer that makes them, else the weight.</param>
/// <param name="Before">Channels, or numbers other than zero, before.</param>
/// <param name="After">The same, after.</param>
public sealed record PrunedLayer(string Layer, long Before, long After);

/// <summary>A model with fewer channels.</summary>
/// <param name="Model">The model, frozen for inference.</param>
/// <param name="Config">Its configuration, with <see cref="ModelConfig.Widths"/>.</param>
/// <param name="Layers">The layers that have fewer channels.</param>
public sealed record PrunedModel(VisionModel Model, ModelConfig Config, IReadOnlyList<PrunedLayer> Layers);

/// <summary>
/// Pruning by magnitude. Of whole channels (Li et al. 2017): each layer loses the same share, those with the least L1 norms. Channels that
/// depend on each other are one group and are removed together (Fang et al. 2023). Of single weights: the smallest of all.
/// </summary>
public static class Pruner
{
    /// <summary>Removes channels. The model that is left is dense, and faster.</summary>
    /// <param name="model">The model, in float32; it stays as it is.</param>
    /// <param name="entry">Its entry in the registry.</param>
    /// <param name="sparsity">The share of the channels of each layer that goes, between 0 and 1.</param>
    /// <returns>The smaller model.</returns>
    /// <exception cref="ArgumentException">
    /// The channels of this model are not known, none would go, or a weight is not finite.
    /// </exception>
    public static PrunedModel Channels(VisionModel model, ModelEntry entry, double sparsity)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(entry);
        ThrowIfNoShare(sparsity);
        ThrowIfNotFinite(model.Parameters);
        IReadOnlyList<PruningGroup> groups = PruningGroups.Of(model);
        if (groups.Count == 0) throw new ArgumentException(Unknown(model, entry));
        return Keep(model, entry, [.. groups.Select(group => (group, Strongest(model.Parameters, group, sparsity)))]);
    }

    /// <summary>Sets the smallest weights of convolutions and linear layers to zero, in place. The output layer stays whole.</summary>
    /// <param name="model">The model, in float32.</param>
    /// <param name="sparsity">The share of these weights that is zero afterwards, between 0 and 1.</param>
    /// <returns>What is left of each weight.</returns>
    /// <remarks>
    /// Weights of all layers are compared by magnitude over the root mean square of their layer: a layer of small numbers is not erased.
    /// </remarks>
    /// <exception cref="ArgumentException">The sparsity is not between 0 and 1, or a weight is not finite.</exception>
    public static IReadOnlyList<PrunedLayer> Weights(VisionModel model, double sparsity)
    {
        ArgumentNullException.ThrowIfNull(model);
        ThrowIfNoShare(sparsity);
        ThrowIfNotFinite(model.Parameters);
        model.Parameters.Thaw();
        (string Name, Tensor Tensor)[] weights = [.. Prunable(model)];
        float[] magnitudes = Magnitudes(weights);
        bool[] gone = Smallest(magnitudes, (int)(sparsity * magnitudes.Length));
        PrunedLayer[] layers = new PrunedLayer[weights.Length];
        for (int i = 0, at = 0; i < weights.Length; i++)
        {
            Span<float> values = weights[i].Tensor.Span;
            long before = NonZero(values);
            foreach (ref float value in values)
                if (gone[at++]) value = 0;
            layers[i] = new PrunedLayer(weights[i].Name, before, NonZero(values));
        }
        model.Parameters.Freeze();
        return layers;
    }

    /// <summary>
    /// The weights of convolutions and linear layers but those of the output layer, which has a row for each class, or is declared last.
    /// </summary>
    private static IEnumerable<(string Name, Tensor Tensor)> Prunable(VisionModel model) =>
        SparseWeights.Of(model.Parameters).SkipLast(1).Where(w => w.Tensor.Shape[0] != model.Config.Classes);

    /// <summary>The magnitudes of all weights, each over the root mean square of its layer.</summary>
    private static float[] Magnitudes((string Name, Tensor Tensor)[] weights)
    {
        float[] magnitudes = new float[weights.Sum(w => w.Tensor.Count)];
        int at = 0;
        foreach ((_, Tensor tensor) in weights)
        {
            float size = RootMeanSquare(tensor.Span);
            foreach (float value in tensor.Span) magnitudes[at++] = size > 0 ? MathF.Abs(value) / size : 0;
        }
        return magnitudes;
    }

    /// <summary>Which are the smallest; of equal ones the first.</summary>
    private static bool[] Smallest(float[] magnitudes, int count)
    {
        int[] places = new int[magnitudes.Length];
        for (int i = 0; i < places.Length; i++) places[i] = i;
        Array.Sort(magnitudes, places);
        if (count < places.Length)
        {
            // Sorting leaves open in which order equal ones stand; those at the border are put in order.
            int first = count, end = count;
            while (first > 0 && magnitudes[first - 1] == magnitudes[count]) first--;
            while (end < places.Length && magnitudes[end] == magnitudes[count]) end++;
            Array.Sort(places, first, end - first);
        }
        bool[] smallest = new bool[places.Length];
        foreach (int place in places.AsSpan(0, count)) smallest[place] = true;
        return smallest;
    }

    /// <summary>The share of zeros among the weights that <see cref="Weights"/> chooses from.</summary>
    /// <param name="model">The model.</param>
    /// <returns>From 0 to 1.</returns>
    public static double Sparsity(VisionModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        long zeros = 0, all = 0;
        foreach ((_, Tensor weight) in Prunable(model))
            (zeros, all) = (zeros + weight.Count - NonZero(weight.Span), all + weight.Count);
        return (double)zeros / Math.Max(1, all);
    }

    /// <summary>Keeps the channels of each group that are named, ascending, and no others.</summary>
    internal static PrunedModel Keep(VisionModel model, ModelEntry entry, IReadOnlyList<(PruningGroup Group, int[] Kept)> groups)
    {
        Dictionary<string, bool[]?[]> kept = Kept(model.Parameters, groups);
        Dictionary<string, int> widths = new(model.Config.Widths?.Channels ?? new Dictionary<string, int>());
        List<PrunedLayer> layers = [];
        foreach ((PruningGroup group, int[] channels) in groups)
        {
            if (group.Layer is not { } layer || channels.Length == group.Channels) continue;
            widths[layer] = channels.Length;
            layers.Add(new PrunedLayer(layer, group.Channels, channels.Length));
        }
        if (layers.Count == 0)
            throw new ArgumentException("no layer would lose a channel; expected a larger --sparsity");
        KeepRanks(model.Parameters, kept, widths);
        ModelConfig config = model.Config with { Widths = new ChannelWidths(widths) };
        VisionModel small = entry.Create(new ParameterStore(model.Parameters.Seed) { SkipInitialValues = true }, config);
        foreach ((string name, Tensor tensor) in small.Parameters.All)
            Copy(model.Parameters[name], kept.GetValueOrDefault(name), tensor);
        small.Parameters.Freeze();
        return new PrunedModel(small, config, layers);
    }

    /// <summary>Which indices of each tensor's axes stay; null for all of an axis.</summary>
    private static Dictionary<string, bool[]?[]> Kept(ParameterStore parameters, IReadOnlyList<(PruningGroup Group, int[] Kept)> groups)
    {
        Dictionary<string, bool[]?[]> kept = [];
        foreach ((PruningGroup group, int[] channels) in groups)
            foreach (PruningMember member in group.Members)
            {
                Shape shape = parameters[member.Tensor].Shape;
                if (!kept.TryGetValue(member.Tensor, out bool[]?[]? axes)) kept[member.Tensor] = axes = new bool[]?[shape.Rank];
                bool[] axis = axes[member.Axis] ??= All(shape[member.Axis]);
                for (int c = 0, next = 0; c < group.Channels; c++)
                {
                    if (next < channels.Length && channels[next] == c) next++;
                    else if (group.Place(member, c) is >= 0 and var place) axis[place] = false;
                }
            }
        return kept;

        static bool[] All(int count)
        {
            bool[] all = new bool[count];
            Array.Fill(all, true);
            return all;
        }
    }

    /// <summary>The rank of Mamba's projection to dt follows from the width of its tokens, unless it is written down.</summary>
    private static void KeepRanks(ParameterStore parameters, Dictionary<string, bool[]?[]> kept, Dictionary<string, int> widths)
    {
        const string Rank = ".dt_proj.weight", Input = ".in_proj.weight";
        foreach ((string name, Tensor tensor) in parameters.All)
        {
            if (!name.EndsWith(Rank, StringComparison.Ordinal)) continue;
            if (kept.GetValueOrDefault(name[..^Rank.Length] + Input)?[1] is null) continue; // as wide as before
            widths[name[..^".weight".Length]] = tensor.Shape[1];
        }
    }

    /// <summary>
    /// The channels of a group that stay, ascending. A channel's strength is its share of the L1 norm of a weight, summed over the weights
    /// of the group: of the layers that make the channels and of those that take them. Of equally strong ones the first stay.
    /// </summary>
    internal static int[] Strongest(ParameterStore parameters, PruningGroup group, double sparsity)
    {
        double[] strength = new double[group.Channels];
        foreach (PruningMember member in group.Members)
            if (member.Tensor.EndsWith("weight", StringComparison.Ordinal)) AddStrength(parameters[member.Tensor], member, group, strength);
        int size = group.PartSize, stay = Math.Max(1, (int)Math.Round(size * (1 - sparsity), MidpointRounding.AwayFromZero));
        if (group.Alike)
            for (int c = size; c < strength.Length; c++) strength[c % size] += strength[c];
        List<int> kept = [];
        for (int part = 0; part < group.Parts; part++)
        {
            int first = group.Alike ? 0 : part * size;
            int[] order = new int[size];
            for (int i = 0; i < size; i++) order[i] = i;
            Array.Sort(order, (a, b) => strength[first + b].CompareTo(strength[first + a]) is var c and not 0 ? c : a.CompareTo(b));
            Array.Sort(order, 0, stay);
            for (int i = 0; i < stay; i++) kept.Add(part * size + order[i]);
        }
        return [.. kept];
    }

    private static void AddStrength(Tensor weight, PruningMember member, PruningGroup group, double[] strength)
    {
        double[] norms = new double[strength.Length];
        double[] along = NormsAlong(weight, member.Axis);
        double sum = 0;
        for (int c = 0; c < norms.Length; c++)
            if (group.Place(member, c) is >= 0 and var place) sum += norms[c] = along[place];
        if (!(sum > 0)) return;
        for (int c = 0; c < norms.Length; c++) strength[c] += norms[c] / sum;
    }

    /// <summary>The L1 norm of each index of an axis.</summary>
    private static double[] NormsAlong(Tensor tensor, int axis)
    {
        int extent = tensor.Shape[axis], inner = 1;
        for (int i = axis + 1; i < tensor.Shape.Rank; i++) inner *= tensor.Shape[i];
        double[] norms = new double[extent];
        ReadOnlySpan<float> values = tensor.Span;
        for (int i = 0; i < values.Length; i++) norms[i / inner % extent] += Math.Abs(values[i]);
        return norms;
    }

    /// <summary>Copies what stays of a tensor into a smaller one.</summary>
    private static void Copy(Tensor from, bool[]?[]? kept, Tensor to)
    {
        int rank = from.Shape.Rank;
        int[] index = new int[rank];
        ReadOnlySpan<float> values = from.Span;
        Span<float> target = to.Span;
        int at = 0;
        foreach (float value in values)
        {
            bool stays = true;
            for (int axis = 0; axis < rank && stays; axis++) stays = kept?[axis]?[index[axis]] ?? true;
            if (stays) target[at++] = value;
            for (int axis = rank - 1; axis >= 0 && ++index[axis] == from.Shape[axis]; axis--) index[axis] = 0;
        }
        if (at != target.Length)
            throw new InvalidOperationException($"Pruner: {at} numbers of {from.Shape} stay; the smaller model has {to.Shape}.");
    }

    private static float RootMeanSquare(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (float value in values) sum += (double)value * value;
        return (float)Math.Sqrt(sum / Math.Max(1, values.Length));
    }

    private static long NonZero(ReadOnlySpan<float> values)
    {
        long count = 0;
        foreach (float value in values)
            if (value != 0) count++;
        return count;
    }

    private static string Unknown(VisionModel model, ModelEntry entry)
    {
        string mixer = model.Config.Mixer is { } kind ? $" with mixer {kind}" : "";
        return $"which channels of {entry.Name}{mixer} go together is not known; expected a model of unet, ul-vm-unet, vim (mixer Mamba), "
            + "vit, resnet or umambabot, or single weights (--unstructured)";
    }

    private static void ThrowIfNotFinite(ParameterStore parameters)
    {
        foreach ((string name, Tensor tensor) in parameters.All)
            foreach (float value in tensor.Span)
                if (!float.IsFinite(value)) throw new ArgumentException($"'{name}' holds {value}; expected finite weights");
    }

    private static void ThrowIfNoShare(double sparsity)
    {
        if (!(sparsity > 0 && sparsity < 1)) throw new ArgumentException($"sparsity is {sparsity}; expected a number between 0 and 1");
    }
}
