using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// A safetensors file open for reading: eight bytes of header length, a JSON header of names, types, shapes and offsets, then the numbers. Everything
/// is checked when the file is opened, before anything is allocated by what it claims; tensors are read one by one.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>The longest header that is accepted, as in the format's reference implementation.</summary>
    public const int MaxHeaderBytes = 100_000_000;

    private const int MaxRank = 16;
    private readonly FileStream _stream;
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly List<string> _names = [];
    private readonly long _dataStart;

    private SafetensorsFile(string path, FileStream stream)
    {
        Path = path;
        _stream = stream;
        long fileLength = stream.Length;
        if (fileLength < 8) throw Bad($"{fileLength} bytes, expected at least 8 of header length");
        Span<byte> prefix = stackalloc byte[8];
        stream.ReadExactly(prefix);
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > MaxHeaderBytes) throw Bad($"header of {headerLength} bytes, at most {MaxHeaderBytes} are accepted");
        if (headerLength > (ulong)fileLength - 8) throw Bad($"header of {headerLength} bytes in a file of {fileLength}");
        byte[] header = new byte[(int)headerLength];
        stream.ReadExactly(header);
        _dataStart = 8 + (long)headerLength;
        Parse(header);
        CheckLayout(fileLength - _dataStart);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The map of strings under <c>__metadata__</c>; empty if there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; private set; } = new Dictionary<string, string>();

    /// <summary>The names of the tensors, in the order of the header.</summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>Opens a file and checks it.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="CheckpointException">It cannot be opened or is malformed.</exception>
    public static SafetensorsFile Open(string path)
    {
        FileStream? stream = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            return new SafetensorsFile(path, stream);
        }
        catch (Exception e) when (e is not CheckpointException && e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            stream?.Dispose();
            throw new CheckpointException($"{path}: {(e is FileNotFoundException or DirectoryNotFoundException ? "no such file" : e.Message)}", e);
        }
        catch
        {
            stream?.Dispose();
            throw;
        }
    }

    /// <summary>Whether there is a tensor of this name.</summary>
    /// <param name="name">The name.</param>
    /// <returns>True if there is.</returns>
    public bool Contains(string name) => _entries.ContainsKey(name);

    /// <summary>The extents of a tensor.</summary>
    /// <param name="name">The name.</param>
    /// <returns>A new array.</returns>
    /// <exception cref="CheckpointException">There is no such tensor.</exception>
    public int[] Shape(string name) => [.. Find(name).Shape];

    /// <summary>The element type of a tensor, as the format spells it: F32, I64, ...</summary>
    /// <param name="name">The name.</param>
    /// <returns>The type.</returns>
    /// <exception cref="CheckpointException">There is no such tensor.</exception>
    public string DType(string name) => Find(name).Type;

    /// <summary>The elements of a tensor, converted to float32.</summary>
    /// <param name="name">The name.</param>
    /// <returns>A new array in row-major order.</returns>
    /// <exception cref="CheckpointException">There is no such tensor.</exception>
    public float[] ReadFloats(string name)
    {
        Entry entry = Find(name);
        float[] values = new float[(entry.End - entry.Begin) / entry.Size];
        ReadFloats(name, values);
        return values;
    }

    /// <summary>Writes the elements of a tensor, converted to float32.</summary>
    /// <param name="name">The name.</param>
    /// <param name="values">As long as the tensor has elements.</param>
    /// <exception cref="CheckpointException">There is no such tensor, or the length differs.</exception>
    public void ReadFloats(string name, Span<float> values)
    {
        Entry entry = Find(name);
        if (values.Length != (entry.End - entry.Begin) / entry.Size) throw Bad($"tensor '{name}' has {(entry.End - entry.Begin) / entry.Size} elements, asked for {values.Length}");
        _stream.Position = _dataStart + entry.Begin;
        if (entry.Type == "F32" && BitConverter.IsLittleEndian)
        {
            _stream.ReadExactly(MemoryMarshal.AsBytes(values));
            return;
        }
        byte[] chunk = new byte[4096 * entry.Size];
        for (int done = 0; done < values.Length;)
        {
            int count = Math.Min(4096, values.Length - done);
            Span<byte> bytes = chunk.AsSpan(0, count * entry.Size);
            _stream.ReadExactly(bytes);
            for (int i = 0; i < count; i++) values[done + i] = ToFloat(entry.Type, bytes[(i * entry.Size)..]);
            done += count;
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _stream.Dispose();

    private static float ToFloat(string type, ReadOnlySpan<byte> bytes) => type switch
    {
        "F64" => (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        "F32" => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        "F16" => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes),
        "BF16" => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(bytes) << 16),
        "I64" => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        "U64" => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        "I32" => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        "U32" => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        "I16" => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        "U16" => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        "I8" => (sbyte)bytes[0],
        _ => bytes[0], // U8, BOOL
    };

    private static int SizeOf(string type) => type switch
    {
        "F64" or "I64" or "U64" => 8,
        "F32" or "I32" or "U32" => 4,
        "F16" or "BF16" or "I16" or "U16" => 2,
        "I8" or "U8" or "BOOL" => 1,
        _ => 0,
    };

    private void Parse(byte[] header)
    {
        try
        {
            // Throws on bytes that are no UTF-8, which the JSON reader would let pass inside strings.
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetCharCount(header);
            Utf8JsonReader json = new(header, new JsonReaderOptions { MaxDepth = 8 });
            json.Read();
            if (json.TokenType != JsonTokenType.StartObject) throw Bad("the header is no JSON object");
            Dictionary<string, string>? metadata = null;
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                string name = json.GetString()!;
                json.Read();
                if (name == "__metadata__") metadata = metadata is null ? ParseMetadata(ref json) : throw Bad("__metadata__ stands twice in the header");
                else if (_entries.TryAdd(name, ParseEntry(ref json, name))) _names.Add(name);
                else throw Bad($"tensor '{name}' stands twice in the header");
            }
            Metadata = metadata ?? [];
            while (json.Read()) { } // nothing but white space may follow
        }
        catch (Exception e) when (e is JsonException or DecoderFallbackException or InvalidOperationException or FormatException)
        {
            throw Bad($"the header is not valid JSON: {e.Message}");
        }
    }

    private Dictionary<string, string> ParseMetadata(ref Utf8JsonReader json)
    {
        Dictionary<string, string> metadata = [];
        if (json.TokenType != JsonTokenType.StartObject) throw Bad("__metadata__ is no object");
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            string key = json.GetString()!;
            json.Read();
            if (json.TokenType != JsonTokenType.String) throw Bad($"__metadata__ '{key}' is no string");
            if (!metadata.TryAdd(key, json.GetString()!)) throw Bad($"__metadata__ '{key}' stands twice");
        }
        return metadata;
    }

    private Entry ParseEntry(ref Utf8JsonReader json, string name)
    {
        if (json.TokenType != JsonTokenType.StartObject) throw Bad($"tensor '{name}' is no object");
        string? type = null;
        List<int>? shape = null;
        long begin = -1, end = -1;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            string key = json.GetString()!;
            json.Read();
            switch (key)
            {
                case "dtype" when type is null:
                    type = json.GetString()!;
                    if (SizeOf(type) == 0) throw Bad($"tensor '{name}' has type '{type}', expected F64, F32, F16, BF16, an integer type or BOOL");
                    break;
                case "shape" when shape is null:
                    shape = [];
                    foreach (long extent in Numbers(ref json, name))
                        shape.Add(extent is >= 0 and <= int.MaxValue ? (int)extent : throw Bad($"tensor '{name}' has extent {extent}"));
                    if (shape.Count > MaxRank) throw Bad($"tensor '{name}' has {shape.Count} dimensions, at most {MaxRank} are accepted");
                    break;
                case "data_offsets" when begin < 0:
                    List<long> offsets = Numbers(ref json, name);
                    if (offsets.Count != 2 || offsets[0] < 0 || offsets[1] < offsets[0]) throw Bad($"tensor '{name}' has offsets [{string.Join(", ", offsets)}]");
                    (begin, end) = (offsets[0], offsets[1]);
                    break;
                default:
                    throw Bad($"tensor '{name}' has an unexpected or repeated key '{key}'");
            }
        }
        if (type is null || shape is null || begin < 0) throw Bad($"tensor '{name}' lacks dtype, shape or data_offsets");

        long count = 1;
        foreach (int extent in shape)
        {
            if (extent != 0 && count > int.MaxValue / extent) throw Bad($"tensor '{name}' of shape ({string.Join(", ", shape)}) has too many elements");
            count *= extent;
        }
        if (end - begin != count * SizeOf(type)) throw Bad($"tensor '{name}' of shape ({string.Join(", ", shape)}) and type {type} takes {count * SizeOf(type)} bytes, its offsets give {end - begin}");
        return new Entry(type, [.. shape], begin, end, SizeOf(type));
    }

    private List<long> Numbers(ref Utf8JsonReader json, string name)
    {
        List<long> numbers = [];
        if (json.TokenType != JsonTokenType.StartArray) throw Bad($"tensor '{name}': expected an array of numbers");
        while (json.Read() && json.TokenType == JsonTokenType.Number)
        {
            if (!json.TryGetInt64(out long number)) throw Bad($"tensor '{name}': a number is no 64-bit integer");
            numbers.Add(number);
        }
        if (json.TokenType != JsonTokenType.EndArray) throw Bad($"tensor '{name}': expected an array of numbers");
        return numbers;
    }

    /// <summary>The tensors must cover the data without gap or overlap, to its last byte.</summary>
    private void CheckLayout(long dataLength)
    {
        long position = 0;
        foreach ((string name, Entry entry) in _entries.OrderBy(e => e.Value.Begin).ThenBy(e => e.Value.End))
        {
            if (entry.Begin != position) throw Bad($"tensor '{name}' begins at {entry.Begin}, expected {position}: the data has a gap or an overlap");
            position = entry.End;
        }
        if (position != dataLength) throw Bad($"the tensors take {position} bytes, the file has {dataLength} after its header");
    }

    private Entry Find(string name) => _entries.TryGetValue(name, out Entry? entry) ? entry : throw Bad($"no tensor '{name}'");

    private CheckpointException Bad(string problem) => new($"{Path}: {problem}");

    private sealed record Entry(string Type, int[] Shape, long Begin, long End, int Size);
}

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
    public static void Write(string path, IEnumerable<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        (string Name, Tensor Tensor)[] list = [.. tensors];
        byte[] header = Header(list, metadata);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> prefix = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
            stream.Write(prefix);
            stream.Write(header);
            foreach ((_, Tensor tensor) in list)
            {
                if (BitConverter.IsLittleEndian) stream.Write(MemoryMarshal.AsBytes(tensor.Span));
                else
                    foreach (float value in tensor.Span)
                    {
                        BinaryPrimitives.WriteSingleLittleEndian(prefix, value);
                        stream.Write(prefix[..4]);
                    }
            }
        });
    }

    private static byte[] Header((string Name, Tensor Tensor)[] tensors, IReadOnlyDictionary<string, string> metadata)
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            foreach ((string key, string value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal)) json.WriteString(key, value);
            json.WriteEndObject();
            long offset = 0;
            foreach ((string name, Tensor tensor) in tensors)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", "F32");
                json.WriteStartArray("shape");
                foreach (int extent in tensor.Shape.ToArray()) json.WriteNumberValue(extent);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += (long)tensor.Count * sizeof(float));
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' '); // so that the numbers are aligned in a mapped file
        return buffer.ToArray();
    }
}
