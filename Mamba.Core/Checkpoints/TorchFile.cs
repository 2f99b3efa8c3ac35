using System.Globalization;
using System.Numerics;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// A checkpoint written by <c>torch.save</c>, open for reading: a zip archive of a pickle and its storages, or the older stream of pickles
/// and storages. A stack machine reads the pickle and creates tensors, dictionaries and plain values. Objects of other classes become inert
/// placeholders, so a hostile file can do no harm. The tensors are those of the state_dict, at any depth of the checkpoint (see
/// <see cref="StateDict"/>), with its names. Strided views are read element by element.
/// </summary>
/// <remarks>
/// Views may share a storage and repeat its elements. So that a small file cannot fill memory or disk, all tensors together may have at
/// most <see cref="MaxExpansion"/> times the bytes of the file. The gaps of strided views count.
/// </remarks>
public sealed class TorchFile : WeightFile
{
    /// <summary>The largest ratio of the bytes of all tensors to those of the file.</summary>
    public const int MaxExpansion = 16;

    private static readonly BigInteger s_magic =
        BigInteger.Parse("1950a86a20f9469cfc6c", NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    private readonly bool _zip;

    internal TorchFile(string path, Stream stream, bool zip, string? key = null)
        : base(path, stream)
    {
        _zip = zip;
        TorchVocabulary vocabulary = new();
        object? root = zip ? ReadZip(stream, vocabulary) : ReadStream(stream, vocabulary);
        StateDict found;
        try
        {
            found = StateDict.Find(root, key);
        }
        catch (FormatException e)
        {
            throw Bad(e.Message);
        }
        Metadata = found.Metadata;
        long bytes = 0;
        foreach ((string name, object tensor) in found.Tensors)
        {
            WeightEntry entry = tensor is TorchTensor view ? Place(name, view) : Place(name, (NumpyArray)tensor);
            if (!TryAdd(name, entry)) throw Bad($"tensor '{name}' is there twice");
            bytes += Math.Max(entry.Bytes, entry.SpanBytes); // reading a strided tensor includes its gaps
            if (bytes / MaxExpansion > stream.Length)
                throw Bad($"tensors up to '{name}' have {bytes} bytes, more than {MaxExpansion} times the {stream.Length} of the file");
            if (entry.Held is { IsByteText: false }) throw Bad($"array '{name}' is made of text with characters beyond Latin-1");
        }
    }

    /// <inheritdoc/>
    public override string Form => _zip ? "torch zip" : "torch stream";

    /// <summary>Opens and validates a checkpoint.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="CheckpointException">It cannot be opened, is malformed, or uses globals that are not allowed.</exception>
    public static TorchFile Open(string path) => Open(path, (p, stream) => new TorchFile(p, stream, zip: stream.ReadByte() == 'P'));

    private object? ReadZip(Stream stream, TorchVocabulary vocabulary)
    {
        Dictionary<string, (long Start, long Length)> entries = ZipDirectory.Read(Path, stream);
        if (entries.Keys.Any(n => n.EndsWith("/constants.pkl", StringComparison.Ordinal)))
            throw Bad("is a TorchScript program, not a state_dict; in Python, save torch.jit.load(FILE).state_dict() with torch.save");
        string[] pickles = [.. entries.Keys.Where(n => n.EndsWith("/data.pkl", StringComparison.Ordinal))];
        if (pickles.Length != 1) throw Bad($"a zip archive with {pickles.Length} entries 'NAME/data.pkl'; torch.save writes one");
        string folder = pickles[0][..^"data.pkl".Length];
        if (entries.TryGetValue(folder + "byteorder", out (long Start, long Length) order)
            && !new BoundedReader(Path, stream, order.Start, Math.Min(order.Length, 8))
                .Bytes((ulong)Math.Min(order.Length, 8)).AsSpan().SequenceEqual("little"u8))
            throw Bad("the byte order is not 'little': such a checkpoint is refused");

        (long start, long length) = entries[pickles[0]];
        object? root = new Unpickler(new BoundedReader(Path, stream, start, length), vocabulary).Read();
        foreach (TorchStorage storage in vocabulary.Storages.Values)
        {
            if (!entries.TryGetValue($"{folder}data/{storage.Key}", out (long Start, long Length) data))
                throw Bad($"storage '{storage.Key}' is not in the archive");
            if (data.Length != storage.Count * storage.ElementSize)
                throw Bad(
                    $"storage '{storage.Key}' of {storage.Count} {storage.Type} takes {storage.Count * storage.ElementSize} bytes, "
                    + $"its zip entry has {data.Length}");
            storage.Position = data.Start;
        }
        return root;
    }

    private object? ReadStream(Stream stream, TorchVocabulary vocabulary)
    {
        BoundedReader reader = new(Path, stream, 0, stream.Length);
        if (Next() is not BigInteger magic || magic != s_magic) throw Bad("a pickle, but without the magic number of torch.save");
        if (Next() is not 1001L) throw Bad("the protocol version of torch.save is not 1001");
        if (Next() is not PickledDictionary system || !system.Pairs.Contains(("little_endian", true)))
            throw Bad("the byte order is not little-endian: such a checkpoint is refused");
        object? root = Next();
        if (Next() is not List<object?> keys) throw Bad("no list of storages follows the pickle");

        HashSet<string> missing = [.. vocabulary.Storages.Keys];
        foreach (object? key in keys)
        {
            if (key is not string name || !missing.Remove(name)) throw reader.Bad($"storage '{key}' is there twice or is not used");
            TorchStorage storage = vocabulary.Storages[name];
            ulong count = reader.UInt64();
            if (count != (ulong)storage.Count) throw reader.Bad($"storage '{name}' has {count} elements, expected {storage.Count}");
            storage.Position = reader.Position;
            reader.Skip(count * (ulong)storage.ElementSize);
        }
        if (missing.Count > 0) throw Bad($"storage '{missing.First()}' is not in the file");
        return root;

        object? Next() => new Unpickler(reader, vocabulary).Read();
    }

    private WeightEntry Place(string name, TorchTensor tensor)
    {
        int[] shape = CheckedShape($"tensor '{name}'", tensor.Shape);
        long expected = 1;
        bool contiguous = true;
        for (int d = shape.Length - 1; d >= 0; d--)
        {
            contiguous &= shape[d] == 1 || tensor.Strides[d] == expected;
            expected *= shape[d];
        }
        contiguous |= shape.Contains(0);
        long position = tensor.Storage.Position + tensor.Offset * ElementTypes.SizeOf(tensor.Type);
        WeightEntry entry = new(tensor.Type, shape, position, contiguous ? null : [.. tensor.Strides]);
        if (entry.SpanBytes > Array.MaxLength)
            throw Bad($"tensor '{name}' is spread over {entry.SpanBytes} bytes, at most {Array.MaxLength} are accepted");
        return entry;
    }

    private WeightEntry Place(string name, NumpyArray array)
    {
        int[] shape = CheckedShape($"array '{name}'", array.Shape);
        long[]? strides = null;
        if (array.IsColumnMajor && shape.Length > 1)
        {
            strides = new long[shape.Length];
            for (int d = 0; d < shape.Length; d++) strides[d] = d == 0 ? 1 : strides[d - 1] * shape[d - 1];
        }
        return new WeightEntry(array.Element, shape, 0, strides) { Held = array.Content };
    }
}
