using System.Buffers.Binary;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// Reads a range of a file sequentially; every length is checked against the remaining bytes before anything is allocated.
/// </summary>
internal sealed class BoundedReader
{
    private readonly string _path;
    private readonly Stream _stream;
    private readonly byte[] _number = new byte[8];

    /// <summary>Seeks to the start of the range.</summary>
    public BoundedReader(string path, Stream stream, long start, long length)
    {
        (_path, _stream, Position, Remaining) = (path, stream, start, length);
        stream.Position = start;
    }

    /// <summary>The position of the next byte in the file.</summary>
    public long Position { get; private set; }

    /// <summary>Remaining bytes.</summary>
    public long Remaining { get; private set; }

    public byte Byte() => Number(1)[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Number(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Number(4));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Number(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Number(8));

    public double DoubleBigEndian() => BinaryPrimitives.ReadDoubleBigEndian(Number(8));

    /// <summary>Reads bytes into a new array.</summary>
    public byte[] Bytes(ulong count)
    {
        if (count <= (ulong)Remaining && count > (ulong)Array.MaxLength)
            throw Bad($"a value of {count} bytes; at most {Array.MaxLength} are accepted");
        Advance(count);
        byte[] bytes = new byte[count];
        _stream.ReadExactly(bytes);
        return bytes;
    }

    public void Skip(ulong count)
    {
        Advance(count);
        _stream.Position = Position;
    }

    /// <summary>Reads up to the next line feed, which is consumed.</summary>
    public byte[] Line(int longest)
    {
        List<byte> line = [];
        for (byte next = Byte(); next != '\n'; next = Byte())
        {
            if (line.Count == longest) throw Bad($"a name of more than {longest} bytes");
            line.Add(next);
        }
        return [.. line];
    }

    /// <summary>An error that names the file and the position.</summary>
    public CheckpointException Bad(string problem) => new($"{_path}: byte {Position}: {problem}");

    private ReadOnlySpan<byte> Number(int size)
    {
        Advance((ulong)size);
        Span<byte> bytes = _number.AsSpan(0, size);
        _stream.ReadExactly(bytes);
        return bytes;
    }

    private void Advance(ulong count)
    {
        if (count > (ulong)Remaining) throw Bad($"{count} bytes expected, {Remaining} are left");
        Position += (long)count;
        Remaining -= (long)count;
    }
}
