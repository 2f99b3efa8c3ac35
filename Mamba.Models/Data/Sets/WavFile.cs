using System.Buffers.Binary;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// RIFF WAVE files (Microsoft and IBM 1991): PCM of 8, 16, 24 or 32 bits and IEEE floats of 32 or 64, also in the extensible form. Whole
/// numbers become values from -1 to 1.
/// </summary>
public static class WavFile
{
    private const int Head = 12, ChunkHead = 8, Pcm = 1, Float = 3, Extensible = 0xFFFE, LeastFormat = 16, ExtensibleFormat = 40;
    private const uint Streamed = uint.MaxValue; // a writer that could not go back to fill in the size

    /// <summary>Reads a file.</summary>
    /// <param name="path">What errors call it.</param>
    /// <param name="file">The file, at its start.</param>
    /// <returns>The signal; it may be empty.</returns>
    /// <exception cref="DatasetException">It cannot be read, is no WAVE file, is cut, or has another encoding.</exception>
    public static Signal Read(string path, Stream file)
    {
        byte[] bytes = DataFile.Read(path, file, Head, head =>
            head.AsSpan(0, 4).SequenceEqual("RIFF"u8) && head.AsSpan(8, 4).SequenceEqual("WAVE"u8)
                ? file.Length - Head
                : throw new DatasetException($"{path}: no WAVE file; expected RIFF and WAVE in the first {Head} bytes."));
        Format? format = null;
        for (long at = Head; at + ChunkHead <= bytes.Length;)
        {
            ReadOnlySpan<byte> chunk = bytes.AsSpan((int)at);
            uint size = BinaryPrimitives.ReadUInt32LittleEndian(chunk[4..]);
            bool data = chunk[..4].SequenceEqual("data"u8);
            long rest = chunk.Length - ChunkHead, length = data && size == Streamed ? rest : size;
            if (length > rest)
                throw new DatasetException($"{path}: the chunk at byte {at} promises {length} bytes; expected at most {rest}.");
            ReadOnlySpan<byte> body = chunk.Slice(ChunkHead, (int)length);
            if (chunk[..4].SequenceEqual("fmt "u8)) format ??= Format.Read(path, body);
            else if (data)
                return format?.Decode(path, body)
                    ?? throw new DatasetException($"{path}: data before the chunk 'fmt '; expected it first.");
            at += ChunkHead + length + (length & 1); // chunks begin at even bytes
        }
        throw new DatasetException($"{path}: no chunk 'data'; expected the samples.");
    }

    /// <summary>What the chunk 'fmt ' says.</summary>
    private sealed record Format(bool IsFloat, int Bytes, int Channels, int Rate)
    {
        public static Format Read(string path, ReadOnlySpan<byte> chunk)
        {
            if (chunk.Length < LeastFormat)
                throw new DatasetException($"{path}: the chunk 'fmt ' has {chunk.Length} bytes; expected at least {LeastFormat}.");
            int tag = Word(chunk, 0), channels = Word(chunk, 2), block = Word(chunk, 12), bits = Word(chunk, 14);
            uint rate = BinaryPrimitives.ReadUInt32LittleEndian(chunk[4..]);
            if (tag == Extensible && chunk.Length >= ExtensibleFormat) tag = Word(chunk, 24); // the first bytes of the sub-format
            bool known = tag == Pcm ? bits is 8 or 16 or 24 or 32 : tag == Float && bits is 32 or 64;
            if (!known)
                throw new DatasetException(
                    $"{path}: encoding {tag} of {bits} bits; expected PCM (1) of 8, 16, 24 or 32, or floats (3) of 32 or 64.");
            if (channels is < 1 or > Signal.MostChannels || block != channels * (bits / 8) || rate is < 1 or > int.MaxValue)
                throw new DatasetException(
                    $"{path}: {channels} channels in blocks of {block} bytes at {rate} Hz; expected 1 to {Signal.MostChannels} channels of "
                        + $"{bits / 8} bytes.");
            return new Format(tag == Float, bits / 8, channels, (int)rate);
        }

        public Signal Decode(string path, ReadOnlySpan<byte> data)
        {
            if (data.Length % (Bytes * Channels) != 0)
                throw new DatasetException($"{path}: {data.Length} bytes of samples; expected a multiple of {Bytes * Channels}.");
            float[] values = new float[data.Length / Bytes];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = Value(data.Slice(i * Bytes, Bytes));
                if (!float.IsFinite(values[i])) throw new DatasetException($"{path}: value {i} is NaN or infinite; expected a number.");
            }
            return new Signal(values, Channels, Rate);
        }

        private float Value(ReadOnlySpan<byte> sample) => (IsFloat, Bytes) switch
        {
            (true, 4) => BinaryPrimitives.ReadSingleLittleEndian(sample),
            (true, _) => (float)BinaryPrimitives.ReadDoubleLittleEndian(sample),
            (_, 1) => (sample[0] - 128) / 128f, // 8 bits alone are unsigned
            (_, 2) => BinaryPrimitives.ReadInt16LittleEndian(sample) / 32768f,
            (_, 3) => (sample[0] | sample[1] << 8 | (sbyte)sample[2] << 16) / 8388608f,
            _ => BinaryPrimitives.ReadInt32LittleEndian(sample) / 2147483648f,
        };

        private static int Word(ReadOnlySpan<byte> chunk, int at) => BinaryPrimitives.ReadUInt16LittleEndian(chunk[at..]);
    }
}
