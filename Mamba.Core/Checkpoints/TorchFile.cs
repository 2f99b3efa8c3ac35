using System.Globalization;
using System.Numerics;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// A checkpoint that PyTorch's <c>torch.save</c> wrote, open for reading: a zip archive of a pickle and its storages, or the older stream of pickles with
/// the storages behind them. The pickle is read by a machine that can make tensors, dictionaries and plain values and nothing else, so that a hostile
/// file can do no harm. The tensors are those of the state_dict, be it the whole checkpoint or under <c>state_dict</c>, <c>model_state_dict</c> or
/// <c>model</c>; their names are as they stand. Strided views are read element by element.
/// </summary>
/// <remarks>
/// Views may share a storage and repeat its elements; so that a small file cannot fill memory or disk, all tensors together may have at most
/// <see cref="MaxExpansion"/> times the bytes of the file.
/// </remarks>
public sealed class TorchFile : WeightFile
{
    /// <summary>How many times the bytes of the file its tensors may have.</summary>
    public const int MaxExpansion = 16;

    private const int MaxWrappers = 8;
    private static readonly BigInteger s_magic = BigInteger.Parse("1950a86a20f9469cfc6c", NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    private static readonly string[] s_wrappers = ["state_dict", "model_state_dict", "model"];
    private readonly bool _zip;

    internal TorchFile(string path, Stream stream, bool zip)
        : base(path, stream)
    {
        _zip = zip;
        TorchVocabulary vocabulary = new();
        object? root = zip ? ReadZip(stream, vocabulary) : ReadStream(stream, vocabulary);
        long bytes = 0;
        foreach ((string name, TorchTensor tensor) in FindStateDict(root))
        {
            WeightEntry entry = Place(name, tensor);
            if (!TryAdd(name, entry)) throw Bad($"tensor '{name}' stands twice");
            bytes += entry.Bytes;
            if (bytes / MaxExpansion > stream.Length) throw Bad($"tensors up to '{name}' have {bytes} bytes, more than {MaxExpansion} times the {stream.Length} of the file");
        }
    }

    /// <inheritdoc/>
    public override string Form => _zip ? "torch zip" : "torch stream";

    /// <summary>Opens a checkpoint and checks it.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="CheckpointException">It cannot be opened, is malformed, or asks for what a checkpoint may not.</exception>
    public static new TorchFile Open(string path) => Open(path, (p, stream) => new TorchFile(p, stream, zip: stream.ReadByte() == 'P'));

    private object? ReadZip(Stream stream, TorchVocabulary vocabulary)
    {
        Dictionary<string, (long Start, long Length)> entries = ZipDirectory.Read(Path, stream);
        string[] pickles = [.. entries.Keys.Where(n => n.EndsWith("/data.pkl", StringComparison.Ordinal))];
        if (pickles.Length != 1) throw Bad($"a zip archive with {pickles.Length} entries 'NAME/data.pkl'; torch.save writes one");
        string folder = pickles[0][..^"data.pkl".Length];
        if (entries.TryGetValue(folder + "byteorder", out (long Start, long Length) order)
            && !new BoundedReader(Path, stream, order.Start, Math.Min(order.Length, 8)).Bytes((ulong)Math.Min(order.Length, 8)).AsSpan().SequenceEqual("little"u8))
            throw Bad("the byte order is not 'little': such a checkpoint is refused");

        (long start, long length) = entries[pickles[0]];
        object? root = new Unpickler(new BoundedReader(Path, stream, start, length), vocabulary).Read();
        foreach (TorchStorage storage in vocabulary.Storages.Values)
        {
            if (!entries.TryGetValue($"{folder}data/{storage.Key}", out (long Start, long Length) data)) throw Bad($"storage '{storage.Key}' is not in the archive");
            if (data.Length != storage.Count * storage.ElementSize)
                throw Bad($"storage '{storage.Key}' of {storage.Count} {storage.Type} takes {storage.Count * storage.ElementSize} bytes, its zip entry has {data.Length}");
            storage.Position = data.Start;
        }
        return root;
    }

    private object? ReadStream(Stream stream, TorchVocabulary vocabulary)
    {
        BoundedReader reader = new(Path, stream, 0, stream.Length);
        if (Next() is not BigInteger magic || magic != s_magic) throw Bad("a pickle, but without the magic number of torch.save");
        if (Next() is not 1001L) throw Bad("the protocol version of torch.save is not 1001");
        if (Next() is not PickledDictionary system || !system.Pairs.Contains(("little_endian", true))) throw Bad("the byte order is not little-endian: such a checkpoint is refused");
        object? root = Next();
        if (Next() is not List<object?> keys) throw Bad("no list of storages stands behind the pickle");

        HashSet<string> missing = [.. vocabulary.Storages.Keys];
        foreach (object? key in keys)
        {
            if (key is not string name || !missing.Remove(name)) throw reader.Bad($"storage '{key}' stands twice or is not used");
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

    /// <summary>Unwraps the state_dict; plain values beside and around its tensors become <see cref="WeightFile.Metadata"/>.</summary>
    private List<(string Name, TorchTensor Tensor)> FindStateDict(object? root)
    {
        Dictionary<string, string> metadata = [];
        PickledDictionary dictionary = root as PickledDictionary ?? throw Bad("the checkpoint is no dictionary of tensors");
        for (int depth = 0; depth < MaxWrappers && Wrapped(dictionary) is { } inner; depth++)
        {
            Describe(dictionary, metadata);
            dictionary = inner;
        }
        Describe(dictionary, metadata);
        Metadata = metadata;
        List<(string, TorchTensor)> tensors = [];
        foreach ((object? key, object? value) in dictionary.Pairs)
            if (value is TorchTensor tensor) tensors.Add((key as string ?? throw Bad($"a tensor is named by {key ?? "None"}, expected a string"), tensor));
        if (tensors.Count == 0 && dictionary.Pairs.Count > 0)
            throw Bad($"no tensors among {string.Join(", ", dictionary.Pairs.Take(20).Select(p => $"'{p.Key}'"))}; expected a state_dict, or one under {string.Join(", ", s_wrappers)}");
        return tensors;
    }

    private static PickledDictionary? Wrapped(PickledDictionary dictionary) => s_wrappers
        .Select(key => dictionary.Pairs.FirstOrDefault(p => p.Value is PickledDictionary && key.Equals(p.Key)).Value as PickledDictionary)
        .FirstOrDefault(inner => inner is not null);

    private static void Describe(PickledDictionary dictionary, Dictionary<string, string> metadata)
    {
        foreach ((object? key, object? value) in dictionary.Pairs)
            if (key is string name && value is string or bool or long or double or BigInteger) metadata[name] = Convert.ToString(value, CultureInfo.InvariantCulture)!;
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
        WeightEntry entry = new(tensor.Storage.Type, shape, tensor.Storage.Position + tensor.Offset * tensor.Storage.ElementSize, contiguous ? null : [.. tensor.Strides]);
        if (entry.SpanBytes > Array.MaxLength) throw Bad($"tensor '{name}' is spread over {entry.SpanBytes} bytes, at most {Array.MaxLength} are accepted");
        return entry;
    }
}
