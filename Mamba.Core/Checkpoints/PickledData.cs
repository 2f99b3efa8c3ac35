using System.Text;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// A pickled dictionary of plain data, as published with data sets: byte arrays, integers and names. NumPy arrays are the only allowed
/// globals. Python 2 and 3 and protocols 2 to 5 are supported. No code in the file runs.
/// </summary>
public sealed class PickledData
{
    private const int MaxName = 256;
    private const int MaxTexts = 1 << 16; // the memo repeats a name in two bytes

    private readonly string _path;
    private readonly Dictionary<string, object?> _values = [];

    private PickledData(string path, PickledDictionary dictionary)
    {
        _path = path;
        foreach ((object? key, object? value) in dictionary.Pairs)
            if (Text(key) is { } name) _values[name] = value;
    }

    /// <summary>Reads a pickle.</summary>
    /// <param name="path">The name of the file in error messages.</param>
    /// <param name="stream">The file; must be seekable.</param>
    /// <returns>Its dictionary.</returns>
    /// <exception cref="CheckpointException">It is malformed, is not a dictionary, or uses a global that is not allowed.</exception>
    public static PickledData Read(string path, Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        object? root = new Unpickler(new BoundedReader(path, stream, 0, stream.Length), new Vocabulary(), python2Bytes: true).Read();
        return root is PickledDictionary dictionary
            ? new PickledData(path, dictionary)
            : throw new CheckpointException($"{path}: a pickle, but not of a dictionary.");
    }

    /// <summary>A NumPy array of bytes.</summary>
    /// <param name="name">Its key.</param>
    /// <returns>Its shape, and its values in row-major order.</returns>
    /// <exception cref="CheckpointException">There is no such key, or the array has another type or order.</exception>
    public (IReadOnlyList<long> Shape, byte[] Values) Bytes(string name)
    {
        if (Find(name) is not NumpyArray { Element: "U8" } array) throw Bad(name, "is no array of bytes");
        if (array.IsColumnMajor && array.Shape.Length > 1) throw Bad(name, "has its columns one after another; expected rows");
        if (!array.Content.IsByteText) throw Bad(name, "is made of text with characters beyond Latin-1");
        if (array.Content is { Latin1: null, Bytes: { } bytes }) return (array.Shape, bytes);
        byte[] values = new byte[array.Content.Length];
        array.Content.CopyTo(0, values);
        return (array.Shape, values);
    }

    /// <summary>A list of integers.</summary>
    /// <param name="name">Its key.</param>
    /// <returns>The numbers.</returns>
    /// <exception cref="CheckpointException">There is no such key, or it holds another type.</exception>
    public long[] Integers(string name)
    {
        if (Find(name) is not List<object?> list) throw Bad(name, "is no list of whole numbers");
        return [.. list.Select(value => value is long number ? number : throw Bad(name, "is no list of whole numbers"))];
    }

    /// <summary>A list of names.</summary>
    /// <param name="name">Its key.</param>
    /// <returns>The names.</returns>
    /// <exception cref="CheckpointException">There is no such key, or it holds another type.</exception>
    public string[] Texts(string name)
    {
        if (Find(name) is not List<object?> list) throw Bad(name, "is no list of names");
        if (list.Count > MaxTexts) throw Bad(name, $"has {list.Count} names; at most {MaxTexts} are accepted");
        return [.. list.Select(value => Text(value) ?? throw Bad(name, "is no list of names"))];
    }

    private object? Find(string name) => _values.TryGetValue(name, out object? value) ? value : throw Bad(name, "is not in the file");

    private CheckpointException Bad(string name, string problem) => new($"{_path}: '{name}' {problem}.");

    /// <summary>A name: text, or a Python 2 byte string. Long ones are rejected: the memo could repeat them without limit.</summary>
    private static string? Text(object? value) => value switch
    {
        string { Length: <= MaxName } text => text,
        byte[] { Length: <= MaxName } bytes => Encoding.UTF8.GetString(bytes),
        _ => null,
    };

    /// <summary>NumPy's array globals, in the spellings of Python 2 and 3.</summary>
    private sealed class Vocabulary : IPickleVocabulary
    {
        public bool Admits(string module, string name) => (module, name) is
            ("numpy", "ndarray" or "dtype") or ("_codecs", "encode")
            or ("numpy.core.multiarray" or "numpy._core.multiarray", "_reconstruct");

        public object? Call(string global, object?[] arguments) => (global, arguments) switch
        {
            ("numpy.core.multiarray._reconstruct" or "numpy._core.multiarray._reconstruct", [PickledGlobal, object?[], _]) =>
                new NumpyArray(),
            ("numpy.dtype", [var code, ..]) when Text(code) is { } type => new NumpyType(type),
            ("_codecs.encode", [string text, var encoding]) when Text(encoding) is "latin1" => new PickledBytes(text, null),
            _ => throw new FormatException($"'{global}' is called with arguments that it does not take"),
        };

        public object New(string global, object?[] arguments) =>
            throw new FormatException($"an object of '{global}' is refused: expected arrays, lists and numbers");

        public bool Build(object? target, object? state)
        {
            switch (target, state)
            {
                case (NumpyType type, object?[] and [_, var order, ..]):
                    type.IsBigEndian = Text(order) == ">";
                    return true;
                case (NumpyArray array, object?[] and [_, object?[] shape, NumpyType type, bool columnMajor, var content]):
                    array.Set(shape, type, columnMajor, PickledBytes.Of(content)
                        ?? throw new FormatException("a NumPy array of objects is refused: expected numbers"));
                    return true;
                default:
                    return false;
            }
        }

        public object Load(object? id) => throw new FormatException("a persistent id is refused: expected arrays, lists and numbers");
    }
}
