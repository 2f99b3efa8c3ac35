using System.Buffers.Binary;
using System.Text;

namespace Mamba.Tests.Core;

/// <summary>Writes checkpoints as torch.save does, and as it does not, byte by byte.</summary>
internal static class CheckpointsBytes
{
    public const string Dictionary = "}", OrderedDictionary = "ccollections\nOrderedDict\n)R";

    /// <summary>A pickle of protocol 2: opcodes as Latin-1 characters.</summary>
    public static byte[] Pickle(string opcodes) => Encoding.Latin1.GetBytes($"\u0080\u0002{opcodes}.");

    /// <summary>A dictionary of texts and values.</summary>
    public static string Pairs(string dictionary, params (string Key, string Value)[] pairs) =>
        $"{dictionary}({string.Concat(pairs.Select(p => Text(p.Key) + p.Value))}u";

    public static string Text(string text) =>
        "X" + Int32(Encoding.UTF8.GetByteCount(text)) + Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

    public static string Integer(long value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return "\u008a\u0008" + Encoding.Latin1.GetString(bytes);
    }

    /// <summary>A view of a storage.</summary>
    public static string Tensor(string storage, string key, long count, long offset, long[] shape, long[] strides) =>
        $"ctorch._utils\n_rebuild_tensor_v2\n({PersistentId(storage, key, count)}{Integer(offset)}"
        + $"{Tuple(shape)}{Tuple(strides)}\u0089{OrderedDictionary}tR";

    public static string PersistentId(string storage, string key, long count, string part = "") =>
        $"({Text("storage")}ctorch\n{storage}\n{Text(key)}{Text("cpu")}{Integer(count)}{part}tQ";

    public static string Tuple(params long[] values) => $"({string.Concat(values.Select(Integer))}t";

    /// <summary>The zip form.</summary>
    public static byte[] Zip(string pickle, params (string Key, byte[] Bytes)[] storages) =>
        Archive([("archive/data.pkl", Pickle(pickle)), ("archive/byteorder", "little"u8.ToArray()),
            .. storages.Select(s => ($"archive/data/{s.Key}", s.Bytes))]);

    /// <summary>The stream form; storages say how many elements they have.</summary>
    public static byte[] Stream(string pickle, params (string Key, long Count, byte[] Bytes)[] storages) =>
        Stream("\u0088", pickle, storages);

    public static byte[] Stream(string littleEndian, string pickle, params (string Key, long Count, byte[] Bytes)[] storages) =>
    [
        .. Pickle("\u008a\nl\u00fc\u009cF\u00f9 j\u00a8P\u0019"),
            .. Pickle("M\u00e9\u0003"), .. Pickle(Pairs("}", ("protocol_version", "M\u00e9\u0003"), ("little_endian", littleEndian))),
        .. Pickle(pickle), .. Pickle($"]({string.Concat(storages.Select(s => Text(s.Key)))}e"),
        .. storages.SelectMany(s => BitConverter.GetBytes(s.Count).Concat(s.Bytes)),
    ];

    public static byte[] Bytes(params float[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    /// <summary>
    /// A zip archive of stored entries. <paramref name="edit"/> may corrupt the fields of an entry in its own header and in the directory.
    /// </summary>
    public static byte[] Archive((string Name, byte[] Bytes)[] entries, Action<int, Entry>? edit = null)
    {
        using MemoryStream zip = new();
        List<Entry> directory = [];
        for (int i = 0; i < entries.Length; i++)
        {
            Entry entry = new(entries[i].Name, (uint)zip.Length, (uint)entries[i].Bytes.Length);
            edit?.Invoke(i, entry);
            directory.Add(entry);
            byte[] name = Encoding.UTF8.GetBytes(entries[i].Name);
            zip.Write([.. "PK\u0003\u0004"u8, .. U16(0), .. U16(0), .. U16(entry.LocalMethod), .. new byte[8],
                .. U32(entry.LocalSize), .. U32(entry.LocalSize), .. U16(name.Length), .. U16(0), .. name, .. entries[i].Bytes]);
        }
        uint start = (uint)zip.Length;
        foreach (Entry entry in directory)
        {
            byte[] name = Encoding.UTF8.GetBytes(entry.Name);
            zip.Write(
                [.. "PK\u0001\u0002"u8, .. U16(0), .. U16(0), .. U16(entry.Flags), .. U16(entry.Method), .. new byte[8], .. U32(entry.Size),
                .. U32(entry.Size), .. U16(name.Length),
                .. U16(entry.Extra.Length), .. new byte[10], .. U32(entry.Offset), .. name, .. entry.Extra]);
        }
        zip.Write([.. "PK\u0005\u0006"u8, .. new byte[4], .. U16(entries.Length),
            .. U16(entries.Length), .. U32((uint)zip.Length - start), .. U32(start), .. U16(0)]);
        return zip.ToArray();
    }

    public static byte[] U16(int value) => BitConverter.GetBytes((ushort)value);

    public static byte[] U32(uint value) => BitConverter.GetBytes(value);

    private static string Int32(int value) => Encoding.Latin1.GetString(BitConverter.GetBytes(value));

    /// <summary>What an archive says of an entry.</summary>
    public sealed class Entry(string name, uint offset, uint size)
    {
        public string Name { get; set; } = name;

        public uint Offset { get; set; } = offset;

        public uint Size { get; set; } = size;

        public uint LocalSize { get; set; } = size;

        public int Method { get; set; }

        public int LocalMethod { get; set; }

        public int Flags { get; set; }

        public byte[] Extra { get; set; } = [];
    }
}
