using System.Buffers.Binary;
using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Training;

namespace Mamba.Cli.Reports;

/// <summary>
/// Writes the results of a run as TensorBoard reads them: records (length, masked CRC-32C, data, masked CRC-32C) of protocol buffers
/// <c>tensorflow.Event</c>, a scalar in each. The times are those of the training, from 0, so that the same run gives the same file.
/// </summary>
internal static class TensorBoard
{
    private const uint CastagnoliReversed = 0x82F63B78;

    private static readonly uint[] s_crc = [.. Enumerable.Range(0, 256).Select(i =>
    {
        uint value = (uint)i;
        for (int bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? value >> 1 ^ CastagnoliReversed : value >> 1;
        return value;
    })];

    /// <summary>Writes the epochs; the file appears whole or not at all.</summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="epochs">The epochs.</param>
    public static void Write(string path, IReadOnlyList<EpochResult> epochs) => AtomicFile.Write(path, stream =>
    {
        Record(stream, [.. Double(1, 0), .. Text(3, "brain.Event:2")]);
        double seconds = 0;
        foreach (EpochResult epoch in epochs)
        {
            seconds += epoch.Seconds;
            Scalar("loss/train", epoch.TrainLoss);
            Scalar("loss/val", epoch.Validation.Loss);
            Scalar("lr", epoch.LearningRate);
            foreach ((string name, double value) in epoch.Validation.Scores.Values) Scalar($"val/{name}", value);

            void Scalar(string tag, double value)
            {
                byte[] summary = Bytes(1, [.. Text(1, tag), .. Float(2, (float)value)]);
                Record(stream, [.. Double(1, seconds), .. Number(2, epoch.Epoch), .. Bytes(5, summary)]);
            }
        }
    });

    private static void Record(Stream stream, byte[] data)
    {
        Span<byte> head = stackalloc byte[12];
        BinaryPrimitives.WriteInt64LittleEndian(head, data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], MaskedCrc(head[..8]));
        stream.Write(head);
        stream.Write(data);
        Span<byte> tail = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(tail, MaskedCrc(data));
        stream.Write(tail);
    }

    /// <summary>CRC-32C, rotated and shifted, so that the checksum of data that hold checksums is not degenerate.</summary>
    private static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in data) crc = crc >> 8 ^ s_crc[(byte)(crc ^ b)];
        crc = ~crc;
        return (crc >> 15 | crc << 17) + 0xA282EAD8;
    }

    // Fields of a protocol buffer: number and kind (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes), then the value.
    private static byte[] Text(int field, string text) => Bytes(field, Encoding.UTF8.GetBytes(text));

    private static byte[] Bytes(int field, byte[] value) => [(byte)(field << 3 | 2), .. Varint((ulong)value.Length), .. value];

    private static byte[] Number(int field, long value) => [(byte)(field << 3), .. Varint((ulong)value)];

    private static byte[] Double(int field, double value)
    {
        byte[] bytes = new byte[9];
        bytes[0] = (byte)(field << 3 | 1);
        BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(1), value);
        return bytes;
    }

    private static byte[] Float(int field, float value)
    {
        byte[] bytes = new byte[5];
        bytes[0] = (byte)(field << 3 | 5);
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(1), value);
        return bytes;
    }

    private static List<byte> Varint(ulong value)
    {
        List<byte> bytes = [];
        for (; value > 0x7F; value >>= 7) bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        return bytes;
    }
}
