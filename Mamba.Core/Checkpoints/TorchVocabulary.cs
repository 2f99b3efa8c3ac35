namespace Mamba.Core.Checkpoints;

/// <summary>Numbers of one type that tensors of a checkpoint view.</summary>
/// <param name="Key">Its name in the checkpoint.</param>
/// <param name="Type">The element type.</param>
/// <param name="Count">The number of elements.</param>
internal sealed record TorchStorage(string Key, string Type, long Count)
{
    public int ElementSize => ElementTypes.SizeOf(Type);

    /// <summary>Where it begins in the file; known once the file was read to its end.</summary>
    public long Position { get; set; }
}

/// <summary>A view of a storage, held against the storage's size.</summary>
/// <param name="Storage">The storage.</param>
/// <param name="Offset">The element it begins at.</param>
/// <param name="Shape">The extents.</param>
/// <param name="Strides">Elements from one index to the next, by dimension.</param>
internal sealed record TorchTensor(TorchStorage Storage, long Offset, IReadOnlyList<long> Shape, IReadOnlyList<long> Strides);

/// <summary>The classes and functions that torch.save writes for tensors and plain values; there are no others.</summary>
internal sealed class TorchVocabulary : IPickleVocabulary
{
    private readonly Dictionary<string, TorchStorage> _storages = [];

    /// <summary>The storages named so far, by key.</summary>
    public IReadOnlyDictionary<string, TorchStorage> Storages => _storages;

    public bool Knows(string global) => StorageType(global) is not null || global is
        "collections.OrderedDict" or "torch._utils._rebuild_tensor_v2" or "torch._utils._rebuild_tensor" or "torch._utils._rebuild_parameter" or
        "__builtin__.set" or "builtins.set" or "__builtin__.bytes" or "builtins.bytes" or "_codecs.encode";

    public object? Call(string global, object?[] arguments) => (global, arguments) switch
    {
        ("collections.OrderedDict", []) => new PickledDictionary(),
        ("collections.OrderedDict", [List<object?> pairs]) => Dictionary(pairs), // Python 2
        ("torch._utils._rebuild_tensor_v2", [Slice view, long offset, object?[] shape, object?[] strides, bool, _, ..]) => Tensor(view, offset, shape, strides),
        ("torch._utils._rebuild_tensor", [Slice view, long offset, object?[] shape, object?[] strides]) => Tensor(view, offset, shape, strides),
        ("torch._utils._rebuild_parameter", [TorchTensor tensor, bool, _]) => tensor,
        ("__builtin__.set" or "builtins.set", [List<object?> elements]) => elements,
        ("__builtin__.bytes" or "builtins.bytes", []) => Array.Empty<byte>(),
        ("_codecs.encode", [string, "latin1"]) => Array.Empty<byte>(), // bytes, in protocol 2: nobody asks for them, and one text could be encoded again and again
        _ => throw new FormatException($"'{global}' is called with arguments that it does not take"),
    };

    public object Load(object? id)
    {
        if (id is not object?[] { Length: <= 6 } parts) throw new FormatException("a persistent id is no tuple of up to 6");
        if (parts is [string kind, ..] && kind != "storage") throw new FormatException($"a persistent id of kind '{kind}' is refused");
        if (parts is not [_, PickledGlobal { Name: string type }, string key, string, long count, ..]) throw new FormatException("a persistent id describes no storage");
        string element = StorageType(type) ?? throw new FormatException($"'{type}' is no type of storage");
        if (count < 0 || count > long.MaxValue / 8) throw new FormatException($"storage '{key}' has {count} elements");
        if (!_storages.TryGetValue(key, out TorchStorage? storage)) _storages.Add(key, storage = new TorchStorage(key, element, count));
        if (storage.Type != element || storage.Count != count)
            throw new FormatException($"storage '{key}' is {storage.Type} of {storage.Count} elements and {element} of {count}");
        return parts[5..] switch
        {
            [] or [null] => new Slice(storage, 0, count),
            // A part of a storage, as the first versions wrote it.
            [object?[] and [string, long offset, long length]] when offset >= 0 && length >= 0 && offset <= count - length => new Slice(storage, offset, length),
            _ => throw new FormatException($"a part of storage '{key}' lies outside it"),
        };
    }

    private static PickledDictionary Dictionary(List<object?> pairs)
    {
        PickledDictionary dictionary = new();
        foreach (object? pair in pairs)
            dictionary.Pairs.Add(pair switch
            {
                List<object?> and [var key, var value] => (key, value),
                object?[] and [var key, var value] => (key, value),
                _ => throw new FormatException("an ordered dictionary is made of what are no pairs"),
            });
        pairs.Clear(); // used up: one list could be made into dictionaries without end
        return dictionary;
    }

    private static TorchTensor Tensor(Slice view, long offset, object?[] shape, object?[] strides)
    {
        if (shape.Length > WeightFile.MaxRank || shape.Length != strides.Length || offset < 0)
            throw new FormatException($"a tensor of {shape.Length} dimensions has {strides.Length} strides, offset {offset}; at most {WeightFile.MaxRank} dimensions are accepted");
        long[] extents = Longs(shape), steps = Longs(strides);
        Int128 last = offset;
        bool empty = extents.Contains(0);
        for (int d = 0; d < extents.Length; d++)
        {
            if (extents[d] < 0 || steps[d] < 0) throw new FormatException($"a tensor has extent {extents[d]} and stride {steps[d]}");
            last += (Int128)(extents[d] - 1) * steps[d];
        }
        if (!empty && last >= view.Count)
            throw new FormatException($"a tensor ({string.Join(", ", extents)}) with strides ({string.Join(", ", steps)}) at {offset} reaches beyond the {view.Count} elements of storage '{view.Storage.Key}'");
        return new TorchTensor(view.Storage, empty ? 0 : view.Offset + offset, extents, steps);

        static long[] Longs(object?[] values) => Array.ConvertAll(values, v => v is long number ? number : throw new FormatException("extents and strides are integers"));
    }

    /// <summary>safetensors' name of the elements; null for what is no storage.</summary>
    private static string? StorageType(string global) => global switch
    {
        "torch.DoubleStorage" => "F64",
        "torch.FloatStorage" => "F32",
        "torch.HalfStorage" => "F16",
        "torch.BFloat16Storage" => "BF16",
        "torch.LongStorage" => "I64",
        "torch.IntStorage" => "I32",
        "torch.ShortStorage" => "I16",
        "torch.CharStorage" => "I8",
        "torch.ByteStorage" => "U8",
        "torch.BoolStorage" => "BOOL",
        _ => null,
    };

    /// <summary>What a persistent id stands for: a storage, or a part of one.</summary>
    private sealed record Slice(TorchStorage Storage, long Offset, long Count);
}
