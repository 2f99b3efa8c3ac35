using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Mamba.Core.Memory;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// A safetensors file open for reading: eight bytes of header length, a JSON header of names, types, shapes and offsets, then the data.
/// Everything is validated when the file is opened, before anything is allocated from its claims; tensors are read one by one.
/// </summary>
public sealed class SafetensorsFile : WeightFile
{
    /// <summary>The largest accepted header, as in the format's reference implementation.</summary>
    public const int MaxHeaderBytes = 100_000_000;

    private readonly long _dataStart;
    private MappedFile? _map;

    internal SafetensorsFile(string path, Stream stream)
        : base(path, stream)
    {
        long fileLength = stream.Length;
        if (fileLength < 8) throw Bad($"{fileLength} bytes, expected at least 8 of header length");
        Span<byte> prefix = stackalloc byte[8];
        stream.ReadExactly(prefix);
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > MaxHeaderBytes)
            throw Bad(
                $"header of {headerLength} bytes, at most {MaxHeaderBytes} are accepted: neither safetensors nor a PyTorch checkpoint");
        if (headerLength > (ulong)fileLength - 8) throw Bad($"header of {headerLength} bytes in a file of {fileLength}");
        byte[] header = new byte[(int)headerLength];
        stream.ReadExactly(header);
        _dataStart = 8 + (long)headerLength;
        Parse(header);
        CheckLayout(fileLength);
    }

    /// <inheritdoc/>
    public override string Form => "safetensors";

    /// <summary>Opens and validates a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="CheckpointException">It cannot be opened or is malformed.</exception>
    public static SafetensorsFile Open(string path) => Open(path, (p, stream) => new SafetensorsFile(p, stream));

    /// <summary>Opens a file written by <see cref="Safetensors.WriteSealed"/>, and verifies its checksum first.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellation">Stops between blocks of the file.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="CheckpointException">It cannot be opened, its checksum is wrong, or it is malformed.</exception>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public static SafetensorsFile OpenSealed(string path, CancellationToken cancellation = default) => Open(path, (p, stream) =>
    {
        byte[] chunk = new byte[1 << 16], seal = new byte[Sha256.HashSizeInBytes];
        Sha256 hash = new();
        long left = stream.Length - seal.Length;
        if (left < 0) throw new CheckpointException($"{p}: {stream.Length} bytes, expected at least the {seal.Length} of a checksum");
        for (; left > 0; left -= Math.Min(left, chunk.Length))
        {
            cancellation.ThrowIfCancellationRequested();
            Span<byte> part = chunk.AsSpan(0, (int)Math.Min(left, chunk.Length));
            stream.ReadExactly(part);
            hash.Append(part);
        }
        stream.ReadExactly(seal);
        if (!hash.Finish().AsSpan().SequenceEqual(seal))
            throw new CheckpointException($"{p}: damaged: the checksum at its end is not that of its content");
        stream.Position = 0;
        return new SafetensorsFile(p, stream);
    });

    /// <summary>
    /// Opens a file and memory-maps its weights. F32 weights loaded from it by <see cref="Nn.ParameterStore.Load(WeightFile)"/> stay in the
    /// system's file cache, which processes share, and remain valid after <see cref="WeightFile.Dispose"/>. Other types are read as usual.
    /// Writing to a mapped weight makes a private copy of its page and never changes the file.
    /// </summary>
    /// <remarks>
    /// Truncating a mapped file would crash the process, so a writable file is refused: <c>chmod a-w</c> it first. A truncation is still
    /// detected before the next pass of a model, which throws <see cref="CheckpointException"/>.
    /// </remarks>
    /// <param name="path">The file.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="CheckpointException">It cannot be opened, is malformed, or is writable.</exception>
    public static SafetensorsFile OpenMapped(string path) => Open(path, (p, stream) =>
    {
        MappedFile map = new(p); // before the header is read: its offsets are checked against the mapped length
        SafetensorsFile file = new(p, stream) { _map = map };
        return file;
    });

    /// <inheritdoc/>
    internal override bool TryShare(string name, Tensor tensor)
    {
        WeightEntry entry = Find(name);
        return _map is not null && entry is { Type: "F32", Count: > 0 } && BitConverter.IsLittleEndian
            && _map.Floats(entry.Position, entry.Count) is { } buffer && tensor.TryMove(buffer);
    }

    private void Parse(byte[] header)
    {
        try
        {
            if (header is not [(byte)'{', ..]) throw Bad("the header is no JSON object: it does not begin with '{'");
            // Throws on invalid UTF-8, which the JSON reader would accept inside strings.
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetCharCount(header);
            Utf8JsonReader json = new(header, new JsonReaderOptions { MaxDepth = 8 });
            json.Read();
            Dictionary<string, string>? metadata = null;
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                string name = json.GetString()!;
                json.Read();
                if (name == "__metadata__")
                    metadata = metadata is null ? ParseMetadata(ref json) : throw Bad("__metadata__ is there twice in the header");
                else if (!TryAdd(name, ParseEntry(ref json, name))) throw Bad($"tensor '{name}' is there twice in the header");
            }
            Metadata = metadata ?? [];
            while (json.Read()) { } // only white space may follow
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
            if (!metadata.TryAdd(key, json.GetString()!)) throw Bad($"__metadata__ '{key}' is there twice");
        }
        return metadata;
    }

    private WeightEntry ParseEntry(ref Utf8JsonReader json, string name)
    {
        if (json.TokenType != JsonTokenType.StartObject) throw Bad($"tensor '{name}' is no object");
        string? type = null;
        int[]? shape = null;
        long begin = -1, end = -1;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            string key = json.GetString()!;
            json.Read();
            switch (key)
            {
                case "dtype" when type is null:
                    type = json.GetString()!;
                    if (ElementTypes.SizeOf(type) == 0)
                        throw Bad(
                            $"tensor '{name}' has type '{type}', expected F64, F32, F16, BF16, F8_E4M3, F8_E5M2, an integer type or BOOL");
                    break;
                case "shape" when shape is null:
                    shape = CheckedShape($"tensor '{name}'", Numbers(ref json, name));
                    break;
                case "data_offsets" when begin < 0:
                    List<long> offsets = Numbers(ref json, name);
                    if (offsets.Count != 2 || offsets[0] < 0 || offsets[1] < offsets[0])
                        throw Bad($"tensor '{name}' has offsets [{string.Join(", ", offsets)}]");
                    (begin, end) = (offsets[0], offsets[1]);
                    break;
                default:
                    throw Bad($"tensor '{name}' has an unexpected or repeated key '{key}'");
            }
        }
        if (type is null || shape is null || begin < 0) throw Bad($"tensor '{name}' lacks dtype, shape or data_offsets");

        WeightEntry entry = new(type, shape, _dataStart + begin);
        return end - begin == entry.Bytes
            ? entry
            : throw Bad(
                $"tensor '{name}' of shape ({string.Join(", ", shape)}) and type {type} takes {entry.Bytes} bytes, "
                + $"its offsets give {end - begin}");
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

    /// <summary>The tensors must cover the data exactly, without gap or overlap.</summary>
    private void CheckLayout(long fileLength)
    {
        long position = _dataStart;
        foreach ((string name, WeightEntry entry) in Entries.OrderBy(e => e.Value.Position).ThenBy(e => e.Value.Bytes))
        {
            if (entry.Position != position)
                throw Bad(
                    $"tensor '{name}' begins at {entry.Position - _dataStart}, expected {position - _dataStart}: "
                    + "the data has a gap or an overlap");
            position += entry.Bytes;
        }
        if (position != fileLength)
            throw Bad($"the tensors take {position - _dataStart} bytes, the file has {fileLength - _dataStart} after its header");
    }
}
