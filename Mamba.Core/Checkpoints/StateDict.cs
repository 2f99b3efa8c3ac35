using System.Globalization;
using System.Numerics;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// Finds the tensors in an unpickled checkpoint. Training scripts save the state_dict itself, or a dictionary that also has an epoch,
/// options and optimizer states. The usual keys are tried first; otherwise the only dictionary of tensors is used, at any depth.
/// </summary>
/// <param name="Tensors">The tensors by name: <see cref="TorchTensor"/> or <see cref="NumpyArray"/>.</param>
/// <param name="Metadata">The plain values beside and around them, up to a million characters.</param>
internal sealed record StateDict(List<(string Name, object Tensor)> Tensors, Dictionary<string, string> Metadata)
{
    private const int MaxDepth = 8;
    private const int MaxDictionaries = 10_000;
    private const int MaxMetadata = 1 << 20;
    private const int MaxIntegerBytes = 16;
    private const int ShownCharacters = 100;
    private static readonly string[] s_usual = ["state_dict", "model_state_dict", "model"];

    /// <summary>Finds the state_dict.</summary>
    /// <param name="root">The unpickled checkpoint.</param>
    /// <param name="key">Its path, keys joined by dots; searched if null.</param>
    /// <exception cref="FormatException">There is none, or there are several and no key selects one.</exception>
    public static StateDict Find(object? root, string? key)
    {
        PickledDictionary dictionary = AsDictionary(root) ?? throw new FormatException(root is PickledObject module
            ? $"is a pickled object of class '{module.Type}', which needs its Python code; in Python, save its state_dict() with torch.save"
            : "the checkpoint is no dictionary of tensors");
        Dictionary<string, string> metadata = [];
        int left = MaxMetadata;
        Describe(dictionary, metadata, ref left);
        foreach (PickledDictionary inner in key is null ? Search(dictionary) : Follow(dictionary, key))
        {
            Describe(inner, metadata, ref left);
            dictionary = inner;
        }
        List<(string, object)> tensors = [];
        foreach ((object? name, object? value) in dictionary.Pairs)
            if (value is TorchTensor or NumpyArray)
                tensors.Add(
                    (name as string ?? throw new FormatException($"a tensor is named by {Shown(name)}, expected a string"), value));
        if (tensors.Count == 0 && (dictionary.Pairs.Count > 0 || key is not null))
            throw new FormatException(
                $"no tensors among {Keys(dictionary)}{Module(dictionary)}; expected a state_dict, or a dictionary with one");
        return new StateDict(tensors, metadata);
    }

    /// <summary>The dictionaries on the path to the tensors.</summary>
    private static List<PickledDictionary> Search(PickledDictionary dictionary)
    {
        List<PickledDictionary> way = [];
        PickledDictionary root = dictionary;
        while (way.Count < MaxDepth && Usual(dictionary) is { } inner) way.Add(dictionary = inner);
        if (HoldsTensors(dictionary)) return way;
        List<Place> found = Candidates(dictionary);
        // 'model' may be a configuration.
        if (found.Count == 0 && HoldsTensors(root)) return [];
        if (found.Count == 0 && Candidates(root) is { Count: > 0 } elsewhere) (way, found) = ([], elsewhere);
        if (found.Count > 1)
            throw new FormatException(
                $"several dictionaries of tensors: {string.Join(", ", found.Take(8).Select(f => $"'{f}'"))}; say which with --key NAME");
        return found.Count == 1 ? [.. way, found[0].Dictionary] : way;
    }

    /// <summary>The dictionaries that hold tensors, outermost first, without those of optimizers.</summary>
    private static List<Place> Candidates(PickledDictionary root)
    {
        List<Place> found = [];
        HashSet<PickledDictionary> seen = new(ReferenceEqualityComparer.Instance) { root };
        Queue<Place> open = new([new Place(null, null, root, 0)]);
        while (open.TryDequeue(out Place? next))
            foreach ((object? key, object? value) in next.Dictionary.Pairs)
            {
                // Each dictionary is visited once, however often the memo repeats it.
                if (AsDictionary(value) is not { } inner || next.Depth == MaxDepth
                    || seen.Count == MaxDictionaries || !seen.Add(inner) || IsOptimizer(inner)) continue;
                Place place = new(next, key, inner, next.Depth + 1);
                if (HoldsTensors(inner)) found.Add(place);
                else open.Enqueue(place);
            }
        return found;
    }

    private static IEnumerable<PickledDictionary> Follow(PickledDictionary dictionary, string key)
    {
        for (int at = 0; at < key.Length;)
        {
            // A key may contain dots: the longest match is used.
            (int length, PickledDictionary? inner) = (-1, null);
            foreach ((object? name, object? value) in dictionary.Pairs)
                if (Matched(key.AsSpan(at), name) is var matched && matched > length && AsDictionary(value) is { } candidate)
                    (length, inner) = (matched, candidate);
            if (inner is null) throw new FormatException($"no dictionary '{key}'; the keys there are {Keys(dictionary)}");
            at += length + 1;
            yield return dictionary = inner;
        }
    }

    /// <summary>The length of a key that is a prefix of the path, up to its end or a dot; -1 if it is not.</summary>
    private static int Matched(ReadOnlySpan<char> place, object? key)
    {
        string? name = key as string ?? (key as long?)?.ToString(CultureInfo.InvariantCulture);
        return name is not null && place.StartsWith(name) && (place.Length == name.Length || place[name.Length] == '.') ? name.Length : -1;
    }

    private static PickledDictionary? Usual(PickledDictionary dictionary) => s_usual
        .Select(key => dictionary.Pairs.Where(p => key.Equals(p.Key)).Select(p => AsDictionary(p.Value)).FirstOrDefault(d => d is not null))
        .FirstOrDefault(inner => inner is not null);

    private static PickledDictionary? AsDictionary(object? value) => value as PickledDictionary ?? (value as PickledObject)?.Items;

    private static bool HoldsTensors(PickledDictionary dictionary) =>
        dictionary.Pairs.Exists(p => p is { Key: string, Value: TorchTensor or NumpyArray });

    private static bool IsOptimizer(PickledDictionary dictionary) =>
        dictionary.Pairs.Exists(p => "state".Equals(p.Key)) && dictionary.Pairs.Exists(p => "param_groups".Equals(p.Key));

    private static string Keys(PickledDictionary dictionary) =>
        string.Join(", ", dictionary.Pairs.Take(20).Select(p => $"'{Shown(p.Key)}'"));

    private static string Module(PickledDictionary dictionary) =>
        dictionary.Pairs.Select(p => p.Value).OfType<PickledObject>().FirstOrDefault() is { } module
        ? $"; '{module.Type}' is a pickled object, which needs its Python code: save its state_dict() instead"
        : "";

    /// <summary>A key for error messages, shortened: the memo may repeat a long one.</summary>
    private static string Shown(object? key) => key switch
    {
        string { Length: > ShownCharacters } text => text[..ShownCharacters] + "...",
        string or bool or long or double => Convert.ToString(key, CultureInfo.InvariantCulture)!,
        null => "None",
        _ => "(no text)",
    };

    /// <summary>
    /// Adds the plain values of a dictionary. Repeated values count each time, so that a small file can exhaust neither memory nor time;
    /// values beyond the limit are left out.
    /// </summary>
    private static void Describe(PickledDictionary dictionary, Dictionary<string, string> metadata, ref int left)
    {
        foreach ((object? key, object? value) in dictionary.Pairs)
            if (key is string name && Plain(value) is { } text && (long)name.Length + text.Length <= left)
            {
                left -= name.Length + text.Length;
                metadata[name] = text;
            }
    }

    private static string? Plain(object? value) => value switch
    {
        BigInteger integer when integer.GetByteCount() > MaxIntegerBytes => null,
        string or bool or long or double or BigInteger => Convert.ToString(value, CultureInfo.InvariantCulture),
        _ => null,
    };

    /// <summary>A dictionary and its path of keys.</summary>
    private sealed record Place(Place? Outer, object? Key, PickledDictionary Dictionary, int Depth)
    {
        public override string ToString() => Outer?.Outer is null ? Shown(Key) : $"{Outer}.{Shown(Key)}";
    }
}
