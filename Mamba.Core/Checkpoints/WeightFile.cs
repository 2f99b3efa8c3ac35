using System.Runtime.InteropServices;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// A file of named tensors, open for reading: safetensors, either format of <c>torch.save</c>, or an index of shards. All claims of the
/// file are validated when it is opened. Values are read tensor by tensor.
/// </summary>
/// <example><code>
/// using WeightFile file = WeightFile.Open("resnet20.pth");
/// model.Parameters.Load(file);
/// </code></example>
public abstract class WeightFile : IDisposable
{
    /// <summary>The largest number of dimensions of a tensor.</summary>
    public const int MaxRank = 16;

    private const int ChunkBytes = 1 << 16;
    private readonly Stream _stream;
    private readonly Dictionary<string, WeightEntry> _entries = [];
    private readonly List<string> _names = [];

    private protected WeightFile(string path, Stream stream)
    {
        Path = path;
        _stream = stream;
    }

    /// <summary>The path of the file.</summary>
    public string Path { get; }

    /// <summary>The format for messages: <c>safetensors</c>, <c>torch zip</c> or <c>torch stream</c>.</summary>
    public abstract string Form { get; }

    /// <summary>
    /// Data beside the tensors: the strings under <c>__metadata__</c> of safetensors; the plain numbers and strings of a PyTorch
    /// checkpoint, such as <c>epoch</c>. Empty if there is none.
    /// </summary>
    public IReadOnlyDictionary<string, string> Metadata { get; private protected set; } = new Dictionary<string, string>();

    /// <summary>The names of the tensors, in the order of the file.</summary>
    public IReadOnlyList<string> Names => _names;

    private protected IEnumerable<KeyValuePair<string, WeightEntry>> Entries => _entries;

    /// <summary>Opens and validates a file. The format follows from its first bytes; a <c>*.index.json</c> opens all its shards.</summary>
    /// <param name="path">The file.</param>
    /// <param name="key">
    /// The path of the tensors in a PyTorch checkpoint, such as <c>model_ema</c> or <c>nets.generator</c>; searched if null. Other formats
    /// have no keys.
    /// </param>
    /// <returns>The open file.</returns>
    /// <exception cref="CheckpointException">
    /// It cannot be opened, has an unknown format, or is malformed; or a key is given for a format without keys.
    /// </exception>
    public static WeightFile Open(string path, string? key = null) => path.EndsWith(ShardedWeightFile.Extension, StringComparison.Ordinal)
        ? Open(path, (p, stream) => key is null ? ShardedWeightFile.Read(p, stream) : throw HasNoKeys(p, "an index of shards", key))
        : Open(path, (p, stream) => Read(p, stream, key));

    /// <summary>As <see cref="Open(string, string?)"/>, for a stream, which is read to its end and stays open.</summary>
    /// <param name="weights">The file's bytes, from the stream's position on. It need not be seekable.</param>
    /// <param name="name">The name of the file in error messages.</param>
    /// <param name="key">The path of the tensors in a PyTorch checkpoint.</param>
    /// <returns>The open file; it holds a copy of the bytes.</returns>
    /// <exception cref="CheckpointException">
    /// The stream cannot be read, has 2 GiB or more, has an unknown format, or is malformed.
    /// </exception>
    public static WeightFile Open(Stream weights, string name, string? key = null)
    {
        ArgumentNullException.ThrowIfNull(weights);
        MemoryStream copy = new();
        try
        {
            weights.CopyTo(copy);
            copy.Position = 0;
            return Read(name, copy, key);
        }
        catch (Exception e) when (e is (IOException and not CheckpointException) or NotSupportedException or ObjectDisposedException)
        {
            throw new CheckpointException($"{name}: {e.Message}", e);
        }
    }

    /// <summary>As <see cref="Open(string, string?)"/>, for a seekable stream; the returned file closes it.</summary>
    internal static WeightFile Read(string path, Stream stream, string? key = null)
    {
        Span<byte> head = stackalloc byte[64];
        head = head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        stream.Position = 0;
        if (head.StartsWith("version https://git-lfs"u8))
            throw new CheckpointException(
                $"{path}: is a Git LFS pointer, not the weights; run 'git lfs pull' in its repository, or download the file itself");
        if (head.TrimStart(" \t\r\n\uFEFF"u8) is [(byte)'<', ..])
            throw new CheckpointException($"{path}: is an HTML or XML page, not weights: the download was answered by a web page");
        // A safetensors header is JSON after eight bytes of length; a pickle starts with its protocol.
        if (head.StartsWith("PK\x03\x04"u8)) return new TorchFile(path, stream, zip: true, key);
        if (head is [0x80, >= 2 and <= 5, ..] and not [_, _, _, _, _, _, _, _, (byte)'{', ..])
            return new TorchFile(path, stream, zip: false, key);
        return key is null ? new SafetensorsFile(path, stream) : throw HasNoKeys(path, "not a PyTorch checkpoint", key);
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

    /// <summary>The element type of a tensor by its safetensors name: F32, I64, ...</summary>
    /// <param name="name">The name.</param>
    /// <returns>The type.</returns>
    /// <exception cref="CheckpointException">There is no such tensor.</exception>
    public string DType(string name) => Find(name).Type;

    /// <summary>The number of elements of a tensor.</summary>
    /// <param name="name">The name.</param>
    /// <returns>1 for a scalar.</returns>
    /// <exception cref="CheckpointException">There is no such tensor.</exception>
    public int Count(string name) => Find(name).Count;

    /// <summary>The bytes of a tensor's elements in its own type.</summary>
    /// <param name="name">The name.</param>
    /// <returns>Elements times their size.</returns>
    /// <exception cref="CheckpointException">There is no such tensor.</exception>
    public long ByteCount(string name) => Find(name).Bytes;

    /// <summary>The elements of a tensor, converted to float32.</summary>
    /// <param name="name">The name.</param>
    /// <returns>A new array in row-major order.</returns>
    /// <exception cref="CheckpointException">There is no such tensor.</exception>
    public float[] ReadFloats(string name)
    {
        float[] values = new float[Count(name)];
        ReadFloats(name, values);
        return values;
    }

    /// <summary>Writes the elements of a tensor, converted to float32.</summary>
    /// <param name="name">The name.</param>
    /// <param name="values">One for each element of the tensor.</param>
    /// <exception cref="CheckpointException">There is no such tensor, or the length differs.</exception>
    public void ReadFloats(string name, Span<float> values)
    {
        WeightEntry entry = Find(name);
        if (values.Length != entry.Count) throw Bad($"tensor '{name}' has {entry.Count} elements, asked for {values.Length}");
        if (entry is { Type: "F32", Strides: null } && BitConverter.IsLittleEndian)
        {
            Fetch(entry, 0, MemoryMarshal.AsBytes(values));
            return;
        }
        byte[] chunk = new byte[Math.Min(ChunkBytes, entry.Bytes)];
        ElementReader reader = new(this, entry);
        for (int done = 0; done < values.Length;)
        {
            int count = reader.Read(chunk);
            ElementTypes.ToFloats(entry.Type, chunk, values.Slice(done, count));
            done += count;
        }
    }

    /// <summary>Copies the elements of a tensor unconverted: its own type, little-endian, row-major.</summary>
    /// <param name="name">The name.</param>
    /// <param name="destination">The target stream.</param>
    /// <param name="cancellation">Stops between blocks of the tensor.</param>
    /// <exception cref="CheckpointException">There is no such tensor.</exception>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public void CopyTo(string name, Stream destination, CancellationToken cancellation = default)
    {
        WeightEntry entry = Find(name);
        byte[] chunk = new byte[Math.Min(ChunkBytes, entry.Bytes)];
        ElementReader reader = new(this, entry);
        for (int done = 0; done < entry.Count;)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = reader.Read(chunk);
            destination.Write(chunk, 0, count * entry.ElementSize);
            done += count;
        }
    }

    /// <summary>Whether two names are one place in the file, as tied weights of PyTorch are.</summary>
    internal bool SharePlace(string one, string other)
    {
        WeightEntry a = Find(one), b = Find(other);
        return a.Count == b.Count && a.Type == b.Type && a.Position == b.Position && ReferenceEquals(a.Owner, b.Owner)
            && ReferenceEquals(a.Held, b.Held) && (a.Strides ?? []).AsSpan().SequenceEqual(b.Strides ?? []);
    }

    /// <summary>Makes a tensor use the values in the mapped file.</summary>
    /// <param name="name">The name; its shape is the tensor's.</param>
    /// <param name="tensor">The tensor.</param>
    /// <returns>False if the file is not mapped, or has the values in another format: then they must be read.</returns>
    internal virtual bool TryShare(string name, Tensor tensor) => false;

    /// <summary>Closes the file.</summary>
    public virtual void Dispose()
    {
        _stream.Dispose();
        GC.SuppressFinalize(this);
    }

    private static CheckpointException HasNoKeys(string path, string form, string key) =>
        new($"{path}: is {form}, so it has no dictionary '{key}'; open it without a key");

    private protected static T Open<T>(string path, Func<string, Stream, T> parse)
    {
        Stream? stream = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            return parse(path, stream);
        }
        catch (Exception e) when (e is (IOException and not CheckpointException) or UnauthorizedAccessException or NotSupportedException)
        {
            stream?.Dispose();
            throw new CheckpointException(
                $"{path}: {(e is FileNotFoundException or DirectoryNotFoundException ? "no such file" : e.Message)}", e);
        }
        catch
        {
            stream?.Dispose();
            throw;
        }
    }

    private protected bool TryAdd(string name, WeightEntry entry)
    {
        if (!_entries.TryAdd(name, entry)) return false;
        _names.Add(name);
        return true;
    }

    /// <summary>An entry of another file, read through this one.</summary>
    private protected static WeightEntry Share(WeightFile owner, string name) => owner.Find(name) with { Owner = owner };

    /// <summary>Throws for a shape with too many elements.</summary>
    private protected int[] CheckedShape(string name, IReadOnlyCollection<long> extents)
    {
        if (extents.Count > MaxRank) throw Bad($"{name} has {extents.Count} dimensions, at most {MaxRank} are accepted");
        long count = 1;
        foreach (long extent in extents)
        {
            if (extent is < 0 or > int.MaxValue) throw Bad($"{name} has extent {extent}");
            if (extent != 0 && count > Array.MaxLength / extent)
                throw Bad($"{name} of shape ({string.Join(", ", extents)}) has too many elements");
            count *= extent;
        }
        return [.. extents.Select(e => (int)e)];
    }

    private protected CheckpointException Bad(string problem) => new($"{Path}: {problem}");

    /// <summary>Reads bytes of an entry, from an offset into it.</summary>
    private void Fetch(WeightEntry entry, long offset, Span<byte> bytes)
    {
        if (entry.Held is { } held)
        {
            held.CopyTo(offset, bytes);
            return;
        }
        WeightFile owner = entry.Owner ?? this;
        Stream stream = owner._stream;
        try
        {
            if (stream.Position != entry.Position + offset) stream.Position = entry.Position + offset;
            stream.ReadExactly(bytes);
        }
        catch (IOException e)
        {
            // The file was truncated after it was opened, or the disk failed.
            throw new CheckpointException($"{owner.Path}: cannot be read: {e.Message}", e);
        }
    }

    private protected WeightEntry Find(string name) => _entries.TryGetValue(name, out WeightEntry? entry)
        ? entry
        : throw Bad($"no tensor '{name}'");

    /// <summary>Reads the elements of a tensor in row-major order, chunk by chunk.</summary>
    private sealed class ElementReader
    {
        private readonly WeightFile _file;
        private readonly WeightEntry _entry;
        private readonly byte[] _span = []; // for a strided tensor: all bytes from its first element to its last
        private readonly int[] _index;
        private int _left;
        private long _done;

        public ElementReader(WeightFile file, WeightEntry entry)
        {
            (_file, _entry, _left, _index) = (file, entry, entry.Count, new int[entry.Shape.Length]);
            if (entry.Strides is null || entry.Count == 0) return;
            _span = new byte[entry.SpanBytes];
            file.Fetch(entry, 0, _span);
        }

        /// <summary>Fills a chunk as far as there are elements.</summary>
        /// <returns>The number of elements written.</returns>
        public int Read(Span<byte> chunk)
        {
            int size = _entry.ElementSize, count = Math.Min(_left, chunk.Length / size);
            _left -= count;
            if (_entry.Strides is null)
            {
                _file.Fetch(_entry, _done, chunk[..(count * size)]);
                _done += count * size;
            }
            else
                for (int i = 0; i < count; i++)
                {
                    long offset = 0;
                    for (int d = 0; d < _index.Length; d++) offset += _index[d] * _entry.Strides[d];
                    _span.AsSpan((int)(offset * size), size).CopyTo(chunk[(i * size)..]);
                    for (int d = _index.Length - 1; d >= 0 && ++_index[d] == _entry.Shape[d]; d--) _index[d] = 0;
                }
            return count;
        }
    }
}

/// <summary>The location of a tensor's elements in its file.</summary>
/// <param name="Type">The element type.</param>
/// <param name="Shape">The extents; their product fits an int.</param>
/// <param name="Position">The position of the first element in bytes.</param>
/// <param name="Strides">The stride of each dimension in elements; null if the elements are contiguous.</param>
internal sealed record WeightEntry(string Type, int[] Shape, long Position, long[]? Strides = null)
{
    public int ElementSize { get; } = ElementTypes.SizeOf(Type);

    public int Count { get; } = Shape.Aggregate(1, (product, extent) => product * extent);

    public long Bytes => (long)Count * ElementSize;

    /// <summary>The file that holds the elements, if it is another one: a shard.</summary>
    public WeightFile? Owner { get; init; }

    /// <summary>The elements, if they are inside a pickle; null if they are at <see cref="Position"/>.</summary>
    public PickledBytes? Held { get; init; }

    /// <summary>Bytes from the first element to the end of the last.</summary>
    public long SpanBytes => Count == 0
        ? 0
        : Strides is null
        ? Bytes
        : (1 + Shape.Zip(Strides, (extent, stride) => (extent - 1) * stride).Sum()) * ElementSize;
}
