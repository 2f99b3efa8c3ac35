using System.Buffers.Binary;
using System.IO.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Files of the known classification sets, written from their specifications.</summary>
internal static class SetSamples
{
    private const int Record = 3073;

    public static readonly string[] CifarFiles =
    [
        "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin",
    ];

    public static byte[] CifarRecord(int label) =>
        [(byte)label, .. Enumerable.Range(0, Record - 1).Select(i => (byte)(i * 7 + label * 11 + i / 1024))];

    public static void WriteMnist(TemporaryFolder folder, string inside, bool dotted, bool packed, params byte[][] files)
    {
        string[] names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
        for (int i = 0; i < 4; i++)
            folder.Write(
                inside + (dotted ? names[i].Replace("-idx", ".idx") : names[i]) + (packed ? ".gz" : ""),
                packed ? Gzip(files[i]) : files[i]);
    }

    public static byte[] Idx(uint magic, uint[] sizes, byte[] body)
    {
        byte[] head = new byte[4 + 4 * sizes.Length];
        BinaryPrimitives.WriteUInt32BigEndian(head, magic);
        for (int i = 0; i < sizes.Length; i++) BinaryPrimitives.WriteUInt32BigEndian(head.AsSpan(4 + 4 * i), sizes[i]);
        return [.. head, .. body];
    }

    public static byte[] Gzip(byte[] bytes)
    {
        MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Optimal, leaveOpen: true)) gzip.Write(bytes);
        return packed.ToArray();
    }
}
