using System.Buffers.Binary;
using System.Text;

namespace Mamba.Tests.Models;

/// <summary>WAVE files that tests write.</summary>
internal static class WavSamples
{
    /// <summary>A file of 16 bits, one channel, 8 kHz.</summary>
    public static byte[] Pcm16(short[] samples) =>
        File(1, 16, 1, [.. samples.SelectMany(sample => BitConverter.GetBytes(sample))]);

    /// <summary>A file of any encoding at 8 kHz; further chunks may stand before the data.</summary>
    public static byte[] File(int encoding, int bits, int channels, byte[] data, byte[]? chunk = null, bool extensible = false)
    {
        byte[] format = new byte[extensible ? 40 : 16];
        BinaryPrimitives.WriteUInt16LittleEndian(format, (ushort)(extensible ? 0xFFFE : encoding));
        BinaryPrimitives.WriteUInt16LittleEndian(format.AsSpan(2), (ushort)channels);
        BinaryPrimitives.WriteUInt32LittleEndian(format.AsSpan(4), 8000);
        BinaryPrimitives.WriteUInt32LittleEndian(format.AsSpan(8), (uint)(8000 * channels * bits / 8));
        BinaryPrimitives.WriteUInt16LittleEndian(format.AsSpan(12), (ushort)(channels * bits / 8));
        BinaryPrimitives.WriteUInt16LittleEndian(format.AsSpan(14), (ushort)bits);
        if (extensible) BinaryPrimitives.WriteUInt16LittleEndian(format.AsSpan(24), (ushort)encoding);
        byte[] body = [.. Chunk("fmt ", format), .. chunk ?? [], .. Chunk("data", data)];
        return [.. "RIFF"u8, .. BitConverter.GetBytes(body.Length + 4), .. "WAVE"u8, .. body];
    }

    /// <summary>A chunk; one of odd length is padded.</summary>
    public static byte[] Chunk(string name, byte[] body) =>
        [.. Encoding.ASCII.GetBytes(name), .. BitConverter.GetBytes(body.Length), .. body, .. new byte[body.Length & 1]];
}
