using System.IO.Compression;
using System.Text;

namespace Mamba.Tests.Models;

/// <summary>NumPy's .npz archives, written from the description of the format.</summary>
internal static class NpzSamples
{
    /// <summary>Written by Python's zipfile as numpy.savez does: with 64-bit sizes in each header, whatever the size.</summary>
    public const string Python =
        "UEsDBC0AAAAAAAAAIQD9aZmG//////////8QABQAdHJhaW5faW1hZ2VzLm5weQEAEACoAAAAAAAAAKgAAAAAAAAAk05VTVBZAQB2AHsnZGVzY3"
        + "InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDQsIDUpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAg"
        + "ICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoCCRAXHiUsMzpBSE9WXWRrcnmAh46VnKOqsbi/xs3U2+Lp8Pf+BQwTUEsDBC0AAAAAAAAAIQ"
        + "CDF7Ll//////////8QABQAdHJhaW5fbGFiZWxzLm5weQEAEACCAAAAAAAAAIIAAAAAAAAAk05VTVBZAQB2AHsnZGVzY3InOiAnfHUxJywgJ2Zv"
        + "cnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDEpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"
        + "AgICAgICAgICAgICAgIAoAAVBLAwQtAAAAAAAAACEAl6Xl+v//////////DgAUAHZhbF9pbWFnZXMubnB5AQAQAJQAAAAAAAAAlAAAAAAAAACT"
        + "TlVNUFkBAHYAeydkZXNjcic6ICd8dTEnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMSwgNCwgNSksIH0gICAgICAgICAgIC"
        + "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgCgEIDxYdJCsyOUBHTlVcY2pxeH+GUEsDBC0AAAAAAAAAIQCMVoXH"
        + "//////////8OABQAdmFsX2xhYmVscy5ucHkBABAAgQAAAAAAAACBAAAAAAAAAJNOVU1QWQEAdgB7J2Rlc2NyJzogJ3x1MScsICdmb3J0cmFuX2"
        + "9yZGVyJzogRmFsc2UsICdzaGFwZSc6ICgxLCAxKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg"
        + "ICAgICAgICAKAFBLAwQtAAAAAAAAACEAl6Xl+v//////////DwAUAHRlc3RfaW1hZ2VzLm5weQEAEACUAAAAAAAAAJQAAAAAAAAAk05VTVBZAQ"
        + "B2AHsnZGVzY3InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDEsIDQsIDUpLCB9ICAgICAgICAgICAgICAgICAg"
        + "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoBCA8WHSQrMjlAR05VXGNqcXh/hlBLAwQtAAAAAAAAACEAjFaFx/////////"
        + "//DwAUAHRlc3RfbGFiZWxzLm5weQEAEACBAAAAAAAAAIEAAAAAAAAAk05VTVBZAQB2AHsnZGVzY3InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXIn"
        + "OiBGYWxzZSwgJ3NoYXBlJzogKDEsIDEpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"
        + "AgIAoAUEsBAi0DLQAAAAAAAAAhAP1pmYaoAAAAqAAAABAAAAAAAAAAAAAAAIABAAAAAHRyYWluX2ltYWdlcy5ucHlQSwECLQMtAAAAAAAAACEA"
        + "gxey5YIAAACCAAAAEAAAAAAAAAAAAAAAgAHqAAAAdHJhaW5fbGFiZWxzLm5weVBLAQItAy0AAAAAAAAAIQCXpeX6lAAAAJQAAAAOAAAAAAAAAA"
        + "AAAACAAa4BAAB2YWxfaW1hZ2VzLm5weVBLAQItAy0AAAAAAAAAIQCMVoXHgQAAAIEAAAAOAAAAAAAAAAAAAACAAYICAAB2YWxfbGFiZWxzLm5w"
        + "eVBLAQItAy0AAAAAAAAAIQCXpeX6lAAAAJQAAAAPAAAAAAAAAAAAAACAAUMDAAB0ZXN0X2ltYWdlcy5ucHlQSwECLQMtAAAAAAAAACEAjFaFx4"
        + "EAAACBAAAADwAAAAAAAAAAAAAAgAEYBAAAdGVzdF9sYWJlbHMubnB5UEsFBgAAAAAGAAYAbgEAANoEAAAAAA==";

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
