namespace Mamba.Core.Checkpoints;

/// <summary>A storage: values of one type, viewed by tensors of a checkpoint.</summary>
/// <param name="Key">Its name in the checkpoint.</param>
/// <param name="Type">The element type.</param>
/// <param name="Count">The number of elements.</param>
internal sealed record TorchStorage(string Key, string Type, long Count)
{
    public int ElementSize => ElementTypes.SizeOf(Type);

    /// <summary>Its position in the file; known after the file was scanned.</summary>
    public long Position { get; set; }
}

/// <summary>A view of a storage, checked against its size.</summary>
/// <param name="Storage">The storage.</param>
/// <param name="Type">The element type; that of the storage, unless the storage is untyped.</param>
/// <param name="Offset">The first element.</param>
/// <param name="Shape">The extents.</param>
/// <param name="Strides">The stride of each dimension in elements.</param>
internal sealed record TorchTensor(TorchStorage Storage, string Type, long Offset, IReadOnlyList<long> Shape, IReadOnlyList<long> Strides);

/// <summary>
/// The classes and functions that checkpoints may name. Those for tensors, plain values and NumPy's numbers create values. Modules with
/// dangerous functions are refused. All others become inert <see cref="PickledObject"/>s, such as training options.
/// </summary>
internal sealed class TorchVocabulary : IPickleVocabulary
{
    // No part of a pickle ever runs here. A file that names these modules was made to attack other readers, so it is refused.
    private static readonly HashSet<string> s_acting =
    [
        "os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "importlib", "imp", "pkgutil", "runpy",
        "ctypes", "_ctypes", "pty", "code", "codeop", "pickle", "_pickle", "cPickle", "dill", "cloudpickle",
        "marshal", "shelve", "operator", "_operator", "types", "inspect", "webbrowser", "pip", "timeit",
        "pdb", "bdb", "cProfile", "profile", "trace", "doctest", "asyncio", "multiprocessing", "threading",
        "_thread", "signal", "commands", "popen2", "platform", "tempfile", "http", "urllib", "urllib2", "requests",
        "ftplib", "smtplib", "telnetlib", "ssl", "nturl2path", "site", "builtins", "__builtin__",
    ];

    private static readonly HashSet<string> s_plainBuiltins =
    [
        "set", "frozenset", "list", "dict", "tuple", "int", "long", "float", "bool",
        "str", "unicode", "bytes", "bytearray", "object", "slice", "range", "xrange",
    ];

    private static readonly HashSet<string> s_actingInTorch =
        ["torch.load", "torch.save", "torch.hub", "torch.serialization", "torch.package", "torch.utils.cpp_extension"];

    private const string SubclassOfTensor = "torch._tensor._rebuild_from_type_v2";
    private const int MaxKeyLength = 256;

    private readonly Dictionary<string, TorchStorage> _storages = [];

    /// <summary>The storages named so far, by key.</summary>
    public IReadOnlyDictionary<string, TorchStorage> Storages => _storages;

    public bool Admits(string module, string name)
    {
        string root = module.Split('.')[0];
        if (root is "builtins" or "__builtin__") return s_plainBuiltins.Contains(name);
        if (s_acting.Contains(root) || name.Contains('.')) return false; // a dotted name reaches into its module
        if (module == "torch" && name.EndsWith("Storage", StringComparison.Ordinal)) return StorageType($"torch.{name}") is not null;
        return !s_actingInTorch.Contains(module) && !s_actingInTorch.Contains($"{module}.{name}")
            && !(module == "numpy" && name is "load" or "loads" or "fromfile");
    }

    public object? Call(string global, object?[] arguments) => (global, arguments) switch
    {
        ("collections.OrderedDict" or "collections.Counter" or "builtins.dict" or "__builtin__.dict", []) => new PickledDictionary(),
        ("collections.OrderedDict", [List<object?> pairs]) => Dictionary(pairs), // Python 2
        ("collections.Counter", [PickledDictionary counts]) => counts,
        ("collections.defaultdict", _) => new PickledDictionary(), // its items follow
        ("torch._utils._rebuild_tensor_v2", [Slice view, long offset, object?[] shape, object?[] strides, bool, _, ..]) =>
            Tensor(view, offset, shape, strides),
        ("torch._utils._rebuild_tensor_v3",
            [Slice view, long offset, object?[] shape, object?[] strides, bool, _, PickledGlobal type, ..]) =>
            Tensor(view.As(ElementType(type.Name)), offset, shape, strides),
        ("torch._utils._rebuild_tensor", [Slice view, long offset, object?[] shape, object?[] strides]) =>
            Tensor(view, offset, shape, strides),
        ("torch._utils._rebuild_parameter", [TorchTensor tensor, bool, _]) => tensor,
        ("torch._utils._rebuild_parameter_with_state", [TorchTensor tensor, bool, _, _]) => tensor,
        // A subclass of Tensor. One level only: nested tuples could make this recurse until the stack overflows.
        (SubclassOfTensor, [PickledGlobal { Name: not SubclassOfTensor and var function }, _, object?[] inner, _]) =>
            Call(function, inner),
        ("torch.Size", [object?[] extents]) => extents,
        ("torch.device", [string kind, ..]) => kind,
        ("__builtin__.set" or "builtins.set" or "__builtin__.frozenset" or "builtins.frozenset", [List<object?> elements]) => elements,
        ("__builtin__.bytes" or "builtins.bytes" or "__builtin__.bytearray" or "builtins.bytearray", []) => System.Array.Empty<byte>(),
        ("__builtin__.bytearray" or "builtins.bytearray", [byte[] or PickledBytes]) => arguments[0],
        ("_codecs.encode", [string text, "latin1"]) => new PickledBytes(text, null), // bytes, in protocol 2
        ("numpy.dtype", [string code, ..]) => new NumpyType(code),
        ("numpy.core.multiarray.scalar" or "numpy._core.multiarray.scalar", [NumpyType type, var content])
            when PickledBytes.Of(content) is { } bytes => NumpyArray.Scalar(type, bytes),
        ("numpy.core.multiarray.scalar" or "numpy._core.multiarray.scalar", [NumpyType, _]) => new PickledObject("numpy.object"),
        ("numpy.core.multiarray._reconstruct" or "numpy._core.multiarray._reconstruct", [PickledGlobal, object?[], _]) => new NumpyArray(),
        ("numpy.core.numeric._frombuffer" or "numpy._core.numeric._frombuffer",
            [var content, NumpyType type, object?[] shape, string order])
            when PickledBytes.Of(content) is { } bytes => Array(shape, type, order == "F", bytes),
        ("copyreg._reconstructor" or "copy_reg._reconstructor", [PickledGlobal type, _, var state]) =>
            state is PickledDictionary ? state : new PickledObject(type.Name),
        _ when global is "_codecs.encode" or SubclassOfTensor || global.StartsWith("torch._utils._rebuild", StringComparison.Ordinal)
            || StorageType(global) is not null =>
            throw new FormatException(
                $"'{global}' is called with arguments that it does not take, or makes a tensor of a kind that is not read"),
        _ when global.StartsWith("numpy", StringComparison.Ordinal) && global.EndsWith("_reconstruct", StringComparison.Ordinal) =>
            throw new FormatException($"'{global}' is called with arguments that it does not take"),
        ("collections.OrderedDict", _) => throw new FormatException($"'{global}' is called with arguments that it does not take"),
        _ => new PickledObject(global),
    };

    public object New(string global, object?[] arguments) => global switch
    {
        "collections.OrderedDict" or "collections.defaultdict" or "collections.Counter" => new PickledDictionary(),
        _ => new PickledObject(global),
    };

    public bool Build(object? target, object? state)
    {
        switch (target, state)
        {
            case (NumpyType type, object?[] and [_, string order, ..]):
                type.IsBigEndian = order == ">";
                return true;
            case (NumpyArray array, object?[] and [_, object?[] shape, NumpyType type, bool columnMajor, var content]):
                array.Set(shape, type, columnMajor, PickledBytes.Of(content)
                    ?? throw new FormatException("a NumPy array of objects is refused: expected numbers"));
                return true;
            case (NumpyArray, _):
                throw new FormatException("the state of a NumPy array is no tuple of version, shape, type, order and content");
            // Ignored attributes: state_dict's _metadata (versions of modules), hooks of tensors, all attributes of a placeholder.
            default:
                return target is PickledDictionary or PickledObject or TorchTensor or NumpyType;
        }
    }

    public object Load(object? id)
    {
        if (id is not object?[] { Length: <= 6 } parts) throw new FormatException("a persistent id is no tuple of up to 6 elements");
        if (parts is [string kind, ..] && kind != "storage") throw new FormatException($"a persistent id of kind '{kind}' is refused");
        if (parts is not [_, PickledGlobal { Name: string type }, string key, string, long count, ..])
            throw new FormatException("a persistent id describes no storage");
        string element = StorageType(type) ?? throw new FormatException($"'{type}' is no type of storage");
        if (key.Length > MaxKeyLength) throw new FormatException($"a storage's key has {key.Length} characters, at most {MaxKeyLength}");
        if (count < 0 || count > long.MaxValue / 8) throw new FormatException($"storage '{key}' has {count} elements");
        if (!_storages.TryGetValue(key, out TorchStorage? storage)) _storages.Add(key, storage = new TorchStorage(key, element, count));
        if (storage.Type != element || storage.Count != count)
            throw new FormatException($"storage '{key}' is {storage.Type} of {storage.Count} elements and {element} of {count}");
        return parts[5..] switch
        {
            [] or [null] => new Slice(storage, storage.Type, 0, count),
            // A part of a storage, as written by the first versions.
            [object?[] and [string, long offset, long length]] when offset >= 0
                && length >= 0 && offset <= count - length => new Slice(storage, storage.Type, offset, length),
            _ => throw new FormatException($"a part of storage '{key}' lies outside it"),
        };
    }

    private static NumpyArray Array(object?[] shape, NumpyType type, bool columnMajor, PickledBytes content)
    {
        NumpyArray array = new();
        array.Set(shape, type, columnMajor, content);
        return array;
    }

    private static PickledDictionary Dictionary(List<object?> pairs)
    {
        PickledDictionary dictionary = new();
        foreach (object? pair in pairs)
            dictionary.Pairs.Add(pair switch
            {
                List<object?> and [var key, var value] => (key, value),
                object?[] and [var key, var value] => (key, value),
                _ => throw new FormatException("an ordered dictionary is made of elements that are no pairs"),
            });
        pairs.Clear(); // consumed: otherwise one list could be converted to dictionaries without limit
        return dictionary;
    }

    private static TorchTensor Tensor(Slice view, long offset, object?[] shape, object?[] strides)
    {
        if (shape.Length > WeightFile.MaxRank || shape.Length != strides.Length || offset < 0)
            throw new FormatException(
                $"a tensor of {shape.Length} dimensions has {strides.Length} strides, offset {offset}; "
                + $"at most {WeightFile.MaxRank} dimensions are accepted");
        long[] extents = Longs(shape), steps = Longs(strides);
        Int128 last = offset;
        bool empty = extents.Contains(0);
        for (int d = 0; d < extents.Length; d++)
        {
            if (extents[d] < 0 || steps[d] < 0) throw new FormatException($"a tensor has extent {extents[d]} and stride {steps[d]}");
            last += (Int128)(extents[d] - 1) * steps[d];
        }
        if (!empty && last >= view.Count)
            throw new FormatException(
                $"a tensor ({string.Join(", ", extents)}) with strides ({string.Join(", ", steps)}) at {offset} reaches beyond "
                + $"the {view.Count} elements of storage '{view.Storage.Key}'");
        return new TorchTensor(view.Storage, view.Type, empty ? 0 : view.Offset + offset, extents, steps);

        static long[] Longs(object?[] values) =>
            System.Array.ConvertAll(values, v => v is long number ? number : throw new FormatException("extents and strides are integers"));
    }

    /// <summary>The safetensors name of a storage's elements; null for other globals.</summary>
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
        "torch.UntypedStorage" or "torch.storage.UntypedStorage" => "U8",
        _ => null,
    };

    /// <summary>The safetensors name of a type without a storage class. Throws <see cref="FormatException"/> for others.</summary>
    private static string ElementType(string type) => type switch
    {
        "torch.float64" or "torch.double" => "F64",
        "torch.float32" or "torch.float" => "F32",
        "torch.float16" or "torch.half" => "F16",
        "torch.bfloat16" => "BF16",
        "torch.float8_e4m3fn" => "F8_E4M3",
        "torch.float8_e5m2" => "F8_E5M2",
        "torch.uint64" => "U64",
        "torch.uint32" => "U32",
        "torch.uint16" => "U16",
        "torch.uint8" => "U8",
        "torch.int64" => "I64",
        "torch.int32" => "I32",
        "torch.int16" => "I16",
        "torch.int8" => "I8",
        "torch.bool" => "BOOL",
        _ => throw new FormatException($"tensors of '{type}' are not read"),
    };

    /// <summary>The target of a persistent id: a storage, or a part of one. Offset and count are in elements of the type.</summary>
    private sealed record Slice(TorchStorage Storage, string Type, long Offset, long Count)
    {
        /// <summary>Reinterprets the bytes of an untyped storage as elements of a type.</summary>
        public Slice As(string type)
        {
            if (Storage.Type != "U8" || Offset != 0)
                throw new FormatException($"storage '{Storage.Key}' is {Storage.Type}, expected bytes");
            return new Slice(Storage, type, 0, Count / ElementTypes.SizeOf(type));
        }
    }
}
