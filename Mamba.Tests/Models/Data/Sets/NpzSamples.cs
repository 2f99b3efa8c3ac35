using System.IO.Compression;
using System.Text;

namespace Mamba.Tests.Models;

/// <summary>NumPy's .npz archives, written from the description of the format.</summary>
internal static class NpzSamples
{
    /// <summary>A set of two gray pictures of 4 x 5, one to train and one to test; either array to train may be replaced.</summary>
    public static byte[] Set(bool packed = true, byte[]? images = null, byte[]? labels = null)
    {
        byte[] pixels = Npy("|u1", "1, 4, 5", [.. Enumerable.Range(0, 20).Select(i => (byte)i)]), label = Npy("|u1", "1, 1", [1]);
        return Npz(
            packed, ("train_images", images ?? pixels), ("train_labels", labels ?? label), ("test_images", pixels), ("test_labels", label));
    }

    public static byte[] Npz(bool packed, params (string Name, byte[] Bytes)[] arrays)
    {
        MemoryStream file = new();
        using (ZipArchive archive = new(file, ZipArchiveMode.Create, leaveOpen: true))
            foreach ((string name, byte[] bytes) in arrays)
            {
                using Stream entry = archive.CreateEntry(
                    name + ".npy", packed ? CompressionLevel.Optimal : CompressionLevel.NoCompression).Open();
                entry.Write(bytes);
            }
        return file.ToArray();
    }

    public static byte[] Npy(string type, string shape, byte[] values, string order = "False")
    {
        string text = $"{{'descr': '{type}', 'fortran_order': {order}, 'shape': ({shape}), }}";
        text = text.PadRight((text.Length + 11 + 63) / 64 * 64 - 11) + "\n";
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)text.Length, (byte)(text.Length >> 8), .. Encoding.Latin1.GetBytes(text), .. values];
    }

    public static byte[] Number(string type, int value)
    {
        byte[] bytes = BitConverter.GetBytes((long)value)[..(type[2] - '0')];
        if (type[0] == '>') Array.Reverse(bytes);
        return bytes;
    }
}
