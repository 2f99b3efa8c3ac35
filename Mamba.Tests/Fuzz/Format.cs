using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using System.Text;
using Mamba.Tests.Core;

namespace Mamba.Fuzz;

/// <summary>What the mutations know of a kind of file.</summary>
internal class Format
{
    /// <summary>Pieces of such files, put in anywhere.</summary>
    public byte[][] Words { get; init; } = [];

    /// <summary>Whether numbers stand in it as text.</summary>
    public bool Text { get; init; }

    /// <summary>The parts that a file consists of, side by side; none where they are not known.</summary>
    public virtual List<Range> Parts(byte[] file) => [];

    /// <summary>Repairs lengths and checksums, for which a corrupted file would be refused at once.</summary>
    public virtual byte[] Repair(byte[] file, Random random) => file;

    /// <summary>Makes a picture small where a few bytes may claim a large one, whose decoding takes a hundred times as long.</summary>
    public virtual void Shrink(byte[] file)
    {
    }
}

/// <summary>Chunks with a length in front and a checksum behind.</summary>
internal sealed class PngFormat : Format
{
    public override List<Range> Parts(byte[] file)
    {
        List<Range> parts = [];
        for (int at = 8; at + 12 <= file.Length;)
        {
            uint length = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at));
            if (length > file.Length - at - 12) break;
            parts.Add(at..(at + 12 + (int)length));
            at += 12 + (int)length;
        }
        return parts;
    }

    public override byte[] Repair(byte[] file, Random random)
    {
        foreach (Range part in Parts(file))
        {
            Span<byte> chunk = file.AsSpan(part);
            BinaryPrimitives.WriteUInt32BigEndian(chunk[^4..], Crc32.HashToUInt32(chunk[4..^4]));
        }
        return file;
    }
}

/// <summary>Chunks with a length behind their name, and the length of all of them in the head.</summary>
internal sealed class WebpFormat : Format
{
    public override List<Range> Parts(byte[] file)
    {
        List<Range> parts = [];
        for (long at = 12; at + 8 <= file.Length;)
        {
            long length = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan((int)at + 4)), end = at + 8 + length + (length & 1);
            if (end > file.Length) break;
            parts.Add((int)at..(int)end);
            at = end;
        }
        return parts;
    }

    /// <summary>Lets the last chunk reach to the end of the file.</summary>
    public override byte[] Repair(byte[] file, Random random)
    {
        if (file.Length < 20) return file;
        int last = Parts(file) is { Count: > 0 } parts && parts[^1].End.Value + 8 > file.Length ? parts[^1].Start.Value : 12;
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(4), file.Length - 8);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(last + 4), file.Length - last - 8);
        return file;
    }

    /// <summary>Keeps the lowest eight of fourteen bits of each side.</summary>
    public override void Shrink(byte[] file)
    {
        foreach (Range part in Parts(file))
        {
            Span<byte> chunk = file.AsSpan(part);
            if (chunk.StartsWith("VP8L"u8) && chunk.Length >= 13)
                BinaryPrimitives.WriteUInt32LittleEndian(
                    chunk[9..], BinaryPrimitives.ReadUInt32LittleEndian(chunk[9..]) & ~(0x3F00u | 0x3F00u << 14));
            else if (chunk.StartsWith("VP8 "u8) && chunk.Length >= 18) (chunk[15], chunk[17]) = (0, 0);
        }
    }
}

/// <summary>Segments that begin with a marker, and the data of scans behind theirs.</summary>
internal sealed class JpegFormat : Format
{
    public override List<Range> Parts(byte[] file)
    {
        List<int> begins = [];
        for (int at = 2; at + 1 < file.Length; at++)
            if (file[at] == 0xFF && file[at + 1] is not (0 or 0xFF)) begins.Add(at);
        return [.. begins.Select((begin, i) => begin..(i + 1 < begins.Count ? begins[i + 1] : file.Length))];
    }

    /// <summary>Lets the length of each segment reach to the next marker.</summary>
    public override byte[] Repair(byte[] file, Random random)
    {
        foreach (Range part in Parts(file))
        {
            (int at, int length) = part.GetOffsetAndLength(file.Length);
            if (length >= 4 && file[at + 1] is 0xC4 or 0xDB or 0xDD or 0xC0 or 0xC1 or 0xC2 && length <= ushort.MaxValue)
                BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(at + 2), (ushort)(length - 2));
        }
        return file;
    }
}

/// <summary>Entries of 12 bytes in a directory.</summary>
internal sealed class TiffFormat : Format
{
    public override List<Range> Parts(byte[] file)
    {
        if (file.Length < 8) return [];
        bool little = file[0] == 'I';
        long at = little ? BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(4)) : BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(4));
        if (at > file.Length - 2) return [];
        int count = little
            ? BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan((int)at))
            : BinaryPrimitives.ReadUInt16BigEndian(file.AsSpan((int)at)),
            first = (int)at + 2;
        return [.. Enumerable.Range(0, Math.Min(count, (file.Length - first) / 12)).Select(i => (first + 12 * i)..(first + 12 * i + 12))];
    }
}

/// <summary>A JSON text: its parts end at commas. Where a length stands in front, as in safetensors, it is set right.</summary>
internal sealed class JsonFormat(bool prefixed) : Format
{
    private int Start => prefixed ? 8 : 0;

    public override List<Range> Parts(byte[] file)
    {
        List<Range> parts = [];
        for (int at = Start, begin = at; at < End(file); at++)
        {
            if (file[at] is not ((byte)',' or (byte)'{' or (byte)'}')) continue;
            parts.Add(begin..(at + 1));
            begin = at + 1;
        }
        return parts;
    }

    public override byte[] Repair(byte[] file, Random random)
    {
        if (prefixed && file.Length >= 8) BinaryPrimitives.WriteInt64LittleEndian(file, End(file) - 8);
        return file;
    }

    /// <summary>The text ends where control characters begin, as numbers are.</summary>
    private int End(byte[] file)
    {
        int end = Start;
        while (end < file.Length && file[end] >= ' ') end++;
        return Math.Min(end, file.Length);
    }
}

/// <summary>Entries of an archive, or, in a stream of pickles, what ends with a full stop.</summary>
internal sealed class TorchFormat : Format
{
    public override List<Range> Parts(byte[] file)
    {
        ReadOnlySpan<byte> zip = "PK\x03\x04"u8;
        List<int> begins = [];
        bool archive = file.AsSpan().StartsWith(zip);
        for (int at = 0; at + 1 < file.Length; at++)
            if (archive ? file[at] == 'P' && file[at + 1] == 'K' : file[at] == 0x80 && file[at + 1] is >= 2 and <= 5) begins.Add(at);
        return [.. begins.Select((begin, i) => begin..(i + 1 < begins.Count ? begins[i + 1] : file.Length))];
    }

    /// <summary>Writes the archive anew around the data of its entries, so that changes of their lengths go unnoticed.</summary>
    public override byte[] Repair(byte[] file, Random random)
    {
        List<(string, byte[])> entries = [];
        foreach (Range part in Parts(file))
        {
            ReadOnlySpan<byte> bytes = file.AsSpan(part);
            if (bytes.Length < 30 || !bytes.StartsWith("PK\x03\x04"u8)) continue;
            int name = BinaryPrimitives.ReadUInt16LittleEndian(bytes[26..]),
                data = 30 + name + BinaryPrimitives.ReadUInt16LittleEndian(bytes[28..]);
            if (data <= bytes.Length) entries.Add((Encoding.UTF8.GetString(bytes.Slice(30, name)), bytes[data..].ToArray()));
        }
        return entries.Count == 0 ? file : CheckpointsBytes.Archive([.. entries]);
    }
}

/// <summary>An array of bytes, sometimes packed by gzip.</summary>
internal sealed class IdxFormat : Format
{
    public override byte[] Repair(byte[] file, Random random)
    {
        if (random.Next(4) != 0) return file;
        MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(file);
        return packed.ToArray();
    }
}
