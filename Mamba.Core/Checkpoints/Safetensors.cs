using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Mamba.Core.Checkpoints;

/// <summary>Writes safetensors files.</summary>
public static class Safetensors
{
    /// <summary>
    /// Writes float32 tensors in the given order. The file appears whole or not at all: it is written under another name, flushed to disk and renamed.
    /// </summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="tensors">Names and tensors.</param>
    /// <param name="metadata">The map of strings under <c>__metadata__</c>, written in ordinal order.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void Write(string path, IEnumerable<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string> metadata) =>
        Write(path, [.. tensors.Select(t => new Item(t.Name, "F32", t.Tensor.Shape.ToArray(), (long)t.Tensor.Count * sizeof(float), stream => Write(stream, t.Tensor)))], metadata);

    /// <summary>Writes the tensors of another file under their names and in their types; the file appears whole or not at all.</summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="source">Where the tensors come from.</param>
    /// <param name="metadata">The map of strings under <c>__metadata__</c>, written in ordinal order.</param>
    /// <exception cref="CheckpointException">The file cannot be written, or the source cannot be read.</exception>
    public static void Write(string path, WeightFile source, IReadOnlyDictionary<string, string> metadata) =>
        Write(path, [.. source.Names.Select(n => new Item(n, source.DType(n), source.Shape(n), source.ByteCount(n), stream => source.CopyTo(n, stream)))], metadata);

    private static void Write(string path, Item[] items, IReadOnlyDictionary<string, string> metadata)
    {
        // Large elements first: each tensor then begins at a multiple of its element size, which readers that map the file rely on.
        Item[] stored = [.. items.OrderByDescending(i => ElementTypes.SizeOf(i.Type))];
        byte[] header = Header(path, items, stored, metadata);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> prefix = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
            stream.Write(prefix);
            stream.Write(header);
            foreach (Item item in stored) item.Write(stream);
        });
    }

    private static void Write(Stream stream, Tensor tensor)
    {
        if (BitConverter.IsLittleEndian)
        {
            stream.Write(MemoryMarshal.AsBytes(tensor.Span));
            return;
        }
        Span<byte> bytes = stackalloc byte[sizeof(float)];
        foreach (float value in tensor.Span)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
            stream.Write(bytes);
        }
    }

    private static byte[] Header(string path, Item[] items, Item[] stored, IReadOnlyDictionary<string, string> metadata)
    {
        Dictionary<string, long> begins = [];
        long offset = 0;
        foreach (Item item in stored)
        {
            if (item.Name == "__metadata__" || !begins.TryAdd(item.Name, offset)) throw new CheckpointException($"{path}: cannot be written: tensor '{item.Name}' has a name that is taken");
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
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' '); // so that the numbers are aligned in a mapped file
        return buffer.ToArray();
    }

    private sealed record Item(string Name, string Type, int[] Shape, long Bytes, Action<Stream> Write);
}
