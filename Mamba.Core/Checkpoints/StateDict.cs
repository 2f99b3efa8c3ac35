using System.Globalization;
using System.Numerics;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// Where the tensors are in what a checkpoint unpickles to. Training scripts save the state_dict itself, or a dictionary with the
/// state_dict beside an epoch, options, and states of optimizers. The usual keys come first; else the only dictionary of tensors is taken,
/// wherever it is.
/// </summary>
/// <param name="Tensors">The tensors by name: <see cref="TorchTensor"/> or <see cref="NumpyArray"/>.</param>
/// <param name="Metadata">The plain values beside and around them.</param>
internal sealed record StateDict(List<(string Name, object Tensor)> Tensors, Dictionary<string, string> Metadata)
{
    private const int MaxDepth = 8;
    private const int MaxDictionaries = 10_000;
    private static readonly string[] s_usual = ["state_dict", "model_state_dict", "model"];

    /// <summary>Finds the state_dict.</summary>
    /// <param name="root">What the checkpoint unpickles to.</param>
    /// <param name="key">Its place, keys joined by dots; found if null.</param>
    /// <exception cref="FormatException">There is none, or there are several and no key tells which.</exception>
    public static StateDict Find(object? root, string? key)
    {
        PickledDictionary dictionary = AsDictionary(root) ?? throw new FormatException(root is PickledObject module
            ? $"is a pickled object of class '{module.Type}', which needs its Python code; in Python, save its state_dict() with torch.save"
            : "the checkpoint is no dictionary of tensors");
        Dictionary<string, string> metadata = [];
        Describe(dictionary, metadata);
        foreach (PickledDictionary inner in key is null ? Search(dictionary) : Follow(dictionary, key))
        {
            Describe(inner, metadata);
            dictionary = inner;
        }
        List<(string, object)> tensors = [];
        foreach ((object? name, object? value) in dictionary.Pairs)
            if (value is TorchTensor or NumpyArray)
                tensors.Add(
                    (name as string ?? throw new FormatException($"a tensor is named by {name ?? "None"}, expected a string"), value));
        if (tensors.Count == 0 && (dictionary.Pairs.Count > 0 || key is not null))
            throw new FormatException(
                $"no tensors among {Keys(dictionary)}{Module(dictionary)}; expected a state_dict, or a dictionary with one");
        return new StateDict(tensors, metadata);
    }

    /// <summary>The dictionaries on the way to the tensors.</summary>
    private static List<PickledDictionary> Search(PickledDictionary dictionary)
    {
        List<PickledDictionary> way = [];
        while (way.Count < MaxDepth && Usual(dictionary) is { } inner) way.Add(dictionary = inner);
        if (HoldsTensors(dictionary)) return way;
        List<(string Place, PickledDictionary Dictionary)> found = Candidates(dictionary);
        if (found.Count > 1)
            throw new FormatException(
                $"several dictionaries of tensors: {string.Join(", ", found.Take(8).Select(f => $"'{f.Place}'"))}; say which with --key NAME");
        return found.Count == 1 ? [.. way, found[0].Dictionary] : way;
    }

    /// <summary>The dictionaries that hold tensors, outermost first. Those of optimizers are passed over.</summary>
    private static List<(string Place, PickledDictionary Dictionary)> Candidates(PickledDictionary root)
    {
        List<(string, PickledDictionary)> found = [];
        HashSet<PickledDictionary> seen = new(ReferenceEqualityComparer.Instance) { root };
        Queue<(string Place, PickledDictionary Dictionary, int Depth)> open = new([("", root, 0)]);
        while (open.TryDequeue(out (string Place, PickledDictionary Dictionary, int Depth) next))
            foreach ((object? key, object? value) in next.Dictionary.Pairs)
            {
                if (AsDictionary(value) is not { } inner || next.Depth == MaxDepth
                    || seen.Count == MaxDictionaries || IsOptimizer(inner) || !seen.Add(inner)) continue;
                string place = next.Place.Length == 0 ? $"{key}" : $"{next.Place}.{key}";
                if (HoldsTensors(inner)) found.Add((place, inner));
                else open.Enqueue((place, inner, next.Depth + 1));
            }
        return found;
    }

    private static IEnumerable<PickledDictionary> Follow(PickledDictionary dictionary, string key)
    {
        string rest = key;
        while (rest.Length > 0)
        {
            // A key may have dots of its own: the longest that fits is taken.
            (string Key, PickledDictionary Inner) step = dictionary.Pairs
                .Select(p => (Key: $"{p.Key}", Inner: AsDictionary(p.Value)!))
                .Where(p => p.Inner is not null && (rest == p.Key || rest.StartsWith(p.Key + ".", StringComparison.Ordinal)))
                .DefaultIfEmpty()
                .MaxBy(p => p.Key?.Length);
            if (step.Inner is null) throw new FormatException($"no dictionary '{key}'; the keys there are {Keys(dictionary)}");
            rest = rest.Length == step.Key.Length ? "" : rest[(step.Key.Length + 1)..];
            yield return dictionary = step.Inner;
        }
    }

    private static PickledDictionary? Usual(PickledDictionary dictionary) => s_usual
        .Select(key => dictionary.Pairs.Where(p => key.Equals(p.Key)).Select(p => AsDictionary(p.Value)).FirstOrDefault(d => d is not null))
        .FirstOrDefault(inner => inner is not null);

    private static PickledDictionary? AsDictionary(object? value) => value as PickledDictionary ?? (value as PickledObject)?.Items;

    private static bool HoldsTensors(PickledDictionary dictionary) =>
        dictionary.Pairs.Exists(p => p is { Key: string, Value: TorchTensor or NumpyArray });

    private static bool IsOptimizer(PickledDictionary dictionary) =>
        dictionary.Pairs.Exists(p => "state".Equals(p.Key)) && dictionary.Pairs.Exists(p => "param_groups".Equals(p.Key));

    private static string Keys(PickledDictionary dictionary) => string.Join(", ", dictionary.Pairs.Take(20).Select(p => $"'{p.Key}'"));

    private static string Module(PickledDictionary dictionary) =>
        dictionary.Pairs.Select(p => p.Value).OfType<PickledObject>().FirstOrDefault() is { } module
        ? $"; '{module.Type}' is a pickled object, which needs its Python code: save its state_dict() instead"
        : "";

    private static void Describe(PickledDictionary dictionary, Dictionary<string, string> metadata)
    {
        foreach ((object? key, object? value) in dictionary.Pairs)
            if (key is string name && value is string or bool or long or double or BigInteger)
                metadata[name] = Convert.ToString(value, CultureInfo.InvariantCulture)!;
    }
}
