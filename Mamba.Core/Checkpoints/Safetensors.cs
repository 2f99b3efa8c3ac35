using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Mamba.Core.Checkpoints;

/// <summary>Writes safetensors files.</summary>
public static class Safetensors
{
    /// <summary>The name of the checksum tensor.</summary>
    internal const string Seal = "sha256";

    private const int PieceOfTensor = 1 << 20;

    /// <summary>Writes float32 tensors in the given order. The write is atomic: to a temporary file, flushed to disk and renamed.</summary>
    /// <param name="path">The file; an existing file is replaced.</param>
    /// <param name="tensors">Names and tensors.</param>
    /// <param name="metadata">The map of strings under <c>__metadata__</c>, written in ordinal order.</param>
    /// <param name="cancellation">Stops between blocks of the file; an existing file is unchanged.</param>
    /// <exception cref="ArgumentNullException">The tensors or the metadata are null; use an empty map for no metadata.</exception>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public static void Write(string path, IEnumerable<(string Name, Tensor Tensor)> tensors,
        IReadOnlyDictionary<string, string> metadata, CancellationToken cancellation = default) =>
        Write(path, Items(tensors), metadata, cancellation);

    /// <summary>
    /// Writes float32 tensors like
    /// <see cref="Write(string, IEnumerable{ValueTuple{string, Tensor}}, IReadOnlyDictionary{string, string}, CancellationToken)"/>,
    /// followed by a checksum: a tensor of 32 bytes named <c>sha256</c>, the SHA-256 of all bytes before it.
    /// <see cref="SafetensorsFile.OpenSealed"/> verifies it.
    /// </summary>
    /// <param name="path">The file; an existing file is replaced.</param>
    /// <param name="tensors">Names and tensors.</param>
    /// <param name="metadata">The map of strings under <c>__metadata__</c>, written in ordinal order.</param>
    /// <param name="cancellation">Stops between blocks of the file; an existing file is unchanged.</param>
    /// <exception cref="ArgumentNullException">The tensors or the metadata are null; use an empty map for no metadata.</exception>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public static void WriteSealed(string path, IEnumerable<(string Name, Tensor Tensor)> tensors,
        IReadOnlyDictionary<string, string> metadata, CancellationToken cancellation = default)
    {
        Item[] items = Items(tensors);
        byte[] header = Header(path, [.. items, new Item(Seal, "U8", [Sha256.HashSizeInBytes], Sha256.HashSizeInBytes, (_, _) => { })],
            metadata);
        AtomicFile.Write(path, stream =>
        {
            Sha256 hash = new();
            Write(new HashingStream(stream, hash), header, items, cancellation);
            stream.Write(hash.Finish());
        });
    }

    /// <summary>Writes the tensors of another file with their names and types; the write is atomic.</summary>
    /// <param name="path">The file; an existing file is replaced.</param>
    /// <param name="source">The source of the tensors.</param>
    /// <param name="metadata">The map of strings under <c>__metadata__</c>, written in ordinal order.</param>
    /// <param name="cancellation">Stops between blocks of the file; an existing file is unchanged.</param>
    /// <exception cref="ArgumentNullException">The source or the metadata are null; use an empty map for no metadata.</exception>
    /// <exception cref="CheckpointException">The file cannot be written, or the source cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public static void Write(string path, WeightFile source,
        IReadOnlyDictionary<string, string> metadata, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        Item[] items = [.. source.Names.Select(name => new Item(name, source.DType(name), source.Shape(name), source.ByteCount(name),
            (stream, stop) => source.CopyTo(name, stream, stop)))];
        Write(path, items, metadata, cancellation);
    }

    /// <summary>Writes tensors of any element type; the write is atomic.</summary>
    /// <param name="path">The file; an existing file is replaced.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="metadata">The map of strings under <c>__metadata__</c>, written in ordinal order.</param>
    /// <param name="cancellation">Stops between tensors; an existing file is unchanged.</param>
    /// <exception cref="ArgumentNullException">The tensors or the metadata are null; use an empty map for no metadata.</exception>
    /// <exception cref="ArgumentException">A tensor has an unknown type, or its byte count does not match its shape.</exception>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public static void Write(string path, IEnumerable<StoredTensor> tensors,
        IReadOnlyDictionary<string, string> metadata, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        Write(path, [.. tensors.Select(Stored)], metadata, cancellation);

        static Item Stored(StoredTensor t)
        {
            long elements = t.Shape.Aggregate(1L, (product, extent) => product * extent), size = ElementTypes.SizeOf(t.Type);
            if (size == 0 || elements * size != t.Bytes.Length)
                throw new ArgumentException(
                    $"Safetensors.Write: '{t.Name}' has {t.Bytes.Length} bytes for {elements} elements of type '{t.Type}'.",
                    nameof(tensors));
            return new Item(t.Name, t.Type, [.. t.Shape], t.Bytes.Length, (stream, stop) =>
            {
                stop.ThrowIfCancellationRequested();
                stream.Write(t.Bytes.Span);
            });
        }
    }

    private static void Write(string path, Item[] items, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellation)
    {
        byte[] header = Header(path, items, metadata);
        AtomicFile.Write(path, stream => Write(stream, header, items, cancellation));
    }

    private static void Write(Stream stream, byte[] header, Item[] items, CancellationToken cancellation)
    {
        Span<byte> prefix = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        stream.Write(prefix);
        stream.Write(header);
        foreach (Item item in Stored(items)) item.Write(stream, cancellation);
    }

    /// <summary>
    /// Sorted by element size, largest first, so that each tensor is aligned to its element size, as readers of mapped files require.
    /// </summary>
    private static IEnumerable<Item> Stored(Item[] items) => items.OrderByDescending(i => ElementTypes.SizeOf(i.Type));

    private static Item[] Items(IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        return [.. tensors.Select(Float32)];
    }

    private static Item Float32((string Name, Tensor Tensor) t) =>
        new(t.Name, "F32", t.Tensor.Shape.ToArray(), (long)t.Tensor.Count * sizeof(float), (stream, stop) => Write(stream, t.Tensor, stop));

    private static void Write(Stream stream, Tensor tensor, CancellationToken cancellation)
    {
        for (int at = 0; at < tensor.Count; at += PieceOfTensor)
        {
            cancellation.ThrowIfCancellationRequested();
            ReadOnlySpan<float> values = tensor.Span.Slice(at, Math.Min(PieceOfTensor, tensor.Count - at));
            if (BitConverter.IsLittleEndian) stream.Write(MemoryMarshal.AsBytes(values));
            else WriteSwapped(stream, values);
        }
    }

    private static void WriteSwapped(Stream stream, ReadOnlySpan<float> values)
    {
        Span<byte> bytes = stackalloc byte[sizeof(float)];
        foreach (float value in values)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
            stream.Write(bytes);
        }
    }

    private static byte[] Header(string path, Item[] items, IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        Dictionary<string, long> begins = [];
        long offset = 0;
        foreach (Item item in Stored(items))
        {
            if (item.Name == "__metadata__" || !begins.TryAdd(item.Name, offset))
                throw new CheckpointException($"{path}: cannot be written: tensor '{item.Name}' has a name that is taken");
            offset += item.Bytes;
        }
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            foreach ((string key, string value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal)) json.WriteString(key, value);
            json.WriteEndObject();
            foreach (Item item in items)
            {
                json.WriteStartObject(item.Name);
                json.WriteString("dtype", item.Type);
                json.WriteStartArray("shape");
                foreach (int extent in item.Shape) json.WriteNumberValue(extent);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(begins[item.Name]);
                json.WriteNumberValue(begins[item.Name] + item.Bytes);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' '); // aligns the data in a mapped file
        return buffer.ToArray();
    }

    private sealed record Item(string Name, string Type, int[] Shape, long Bytes, Action<Stream, CancellationToken> Write);
}

/// <summary>A tensor as stored in a file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The element type by its safetensors name: F32, F16, I8, ...</param>
/// <param name="Shape">Its extents.</param>
/// <param name="Bytes">Its elements, little-endian, in row-major order.</param>
public sealed record StoredTensor(string Name, string Type, IReadOnlyList<int> Shape, ReadOnlyMemory<byte> Bytes);
