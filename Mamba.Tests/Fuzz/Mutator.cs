using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Mamba.Fuzz;

/// <summary>Spoils files: bits, numbers, lengths and whole parts of them, a few changes at a time.</summary>
/// <param name="random">Where chance comes from.</param>
/// <param name="format">What is known of the files: their parts, the words they are made of.</param>
internal sealed class Mutator(Random random, Format format)
{
    private const int LongestFile = 1 << 15;

    private static readonly long[] s_boundaries =
    [
        0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 511, 512, 1023, 1024, 4095, 4096, 8191,
        8192, 32767, 32768, 65534, 65535, 65536,
        1 << 20, (1 << 24) - 1, 1 << 24, (1 << 26) + 1, int.MaxValue - 1L, int.MaxValue, 1L << 31, uint.MaxValue - 1L, uint.MaxValue,
        1L << 32, 1L << 40, 1L << 61, long.MaxValue, long.MinValue, -1, -2, -8,
    ];

    /// <summary>A corrupted copy.</summary>
    /// <param name="file">A file.</param>
    /// <param name="other">Another, parts of which may be put into the copy.</param>
    public byte[] Corrupt(byte[] file, byte[] other)
    {
        List<byte> bytes = [.. file];
        int changes = random.Next(2) == 0 ? 1 : 1 + random.Next(4);
        if (random.Next(16) == 0) changes += random.Next(32);
        for (int i = 0; i < changes; i++) Change(bytes, other);
        if (bytes.Count > LongestFile) bytes.RemoveRange(LongestFile, bytes.Count - LongestFile);
        byte[] corrupted = [.. bytes];
        if (random.Next(2) != 0) corrupted = format.Repair(corrupted, random);
        if (random.Next(256) != 0) format.Shrink(corrupted);
        return corrupted;
    }

    private void Change(List<byte> bytes, byte[] other)
    {
        if (bytes.Count == 0) bytes.Add(0);
        int at = random.Next(bytes.Count);
        switch (random.Next(15))
        {
            case 0 or 1: bytes[at] ^= (byte)(1 << random.Next(8)); break;
            case 2: bytes[at] = (byte)random.Next(256); break;
            case 3 or 4: Number(bytes, at, Boundary(bytes.Count)); break;
            case 5: Number(bytes, at, null); break;
            case 6: bytes.RemoveRange(at, Length(bytes.Count - at)); break;
            case 7: bytes.InsertRange(random.Next(bytes.Count + 1), bytes.GetRange(at, Length(bytes.Count - at))); break;
            case 8: bytes.InsertRange(at, Enumerable.Range(0, 1 + random.Next(8)).Select(_ => (byte)random.Next(256))); break;
            case 9 when random.Next(4) == 0: bytes.RemoveRange(at, bytes.Count - at); break;
            case 10: Splice(bytes, at, other); break;
            case 11 or 12: Part(bytes, other); break;
            case 13 when format.Words.Length > 0: Word(bytes, at); break;
            case 14 when format.Text: Digits(bytes, at); break;
            default: bytes[at] = random.Next(2) == 0 ? (byte)0 : (byte)255; break;
        }
    }

    /// <summary>Writes a number of 1, 2, 4 or 8 bytes in either order, or adds a little to the one that stands there.</summary>
    private void Number(List<byte> bytes, int at, long? value)
    {
        int size = 1 << random.Next(4);
        if (at + size > bytes.Count) return;
        bool little = random.Next(2) == 0;
        Span<byte> number = stackalloc byte[8];
        long was = 0;
        for (int i = 0; i < size; i++) was |= (long)bytes[at + (little ? i : size - 1 - i)] << (8 * i);
        BinaryPrimitives.WriteInt64LittleEndian(number, value ?? was + random.Next(-16, 17));
        for (int i = 0; i < size; i++) bytes[at + (little ? i : size - 1 - i)] = number[i];
    }

    private long Boundary(int length) =>
        random.Next(5) == 0 ? length + random.Next(-20, 3) : s_boundaries[random.Next(s_boundaries.Length)];

    private int Length(int most) =>
        Math.Min(most, random.Next(3) switch { 0 => 1, 1 => 1 + random.Next(8), _ => 1 + random.Next(Math.Max(1, most)) });

    private void Splice(List<byte> bytes, int at, byte[] other)
    {
        int from = random.Next(other.Length), length = Length(other.Length - from);
        if (random.Next(2) == 0) bytes.RemoveRange(at, Math.Min(length, bytes.Count - at));
        bytes.InsertRange(at, other.AsSpan(from, Math.Min(length, other.Length - from)).ToArray());
    }

    /// <summary>Takes a part of the file's structure away, repeats it, puts it elsewhere, or puts another file's in its place.</summary>
    private void Part(List<byte> bytes, byte[] other)
    {
        byte[] file = [.. bytes];
        List<Range> parts = format.Parts(file), others = format.Parts(other);
        if (parts.Count == 0) return;
        List<byte[]> all = [.. parts.Select(range => file[range])];
        int head = parts[0].Start.Value, tail = parts[^1].End.Value, one = random.Next(all.Count), two = random.Next(all.Count);
        switch (random.Next(5))
        {
            case 0: all.RemoveAt(one); break;
            case 1: all.Insert(two, all[one]); break;
            case 2: (all[one], all[two]) = (all[two], all[one]); break;
            case 3 when others.Count > 0: all.Insert(one, other[others[random.Next(others.Count)]]); break;
            case 4 when others.Count > 0: all[one] = other[others[random.Next(others.Count)]]; break;
        }
        bytes.Clear();
        bytes.AddRange([.. file.AsSpan(0, head), .. all.SelectMany(part => part), .. file.AsSpan(tail)]);
    }

    private void Word(List<byte> bytes, int at)
    {
        byte[] word = format.Words[random.Next(format.Words.Length)];
        if (random.Next(2) == 0) bytes.RemoveRange(at, Math.Min(word.Length, bytes.Count - at));
        bytes.InsertRange(at, word);
    }

    /// <summary>Puts another number in the place of one in a text.</summary>
    private void Digits(List<byte> bytes, int at)
    {
        int begin = bytes.FindIndex(at, b => b is >= (byte)'0' and <= (byte)'9');
        if (begin < 0) return;
        int end = begin;
        while (end < bytes.Count && bytes[end] is >= (byte)'0' and <= (byte)'9') end++;
        bytes.RemoveRange(begin, end - begin);
        bytes.InsertRange(begin, Encoding.ASCII.GetBytes(random.Next(8) switch
        {
            0 => "1e9",
            1 => "0.5",
            2 => ulong.MaxValue.ToString(CultureInfo.InvariantCulture),
            _ => Boundary(bytes.Count).ToString(CultureInfo.InvariantCulture),
        }));
    }
}
