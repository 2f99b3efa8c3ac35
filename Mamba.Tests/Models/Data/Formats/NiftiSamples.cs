using System.IO.Compression;

namespace Mamba.Tests.Models;

/// <summary>NIfTI files, written field by field from nifti1.h and nifti2.h.</summary>
internal static class NiftiSamples
{
    /// <summary>The codes of the types that are read.</summary>
    public static readonly int[] Types = [2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280];

    /// <summary>What a file says; the defaults are a volume of 2 x 3 x 4.</summary>
    public sealed record Spec
    {
        public bool Second { get; init; }

        public bool Big { get; init; }

        public int Type { get; init; } = 4;

        public long[] Dimensions { get; init; } = [3, 2, 3, 4, 1, 1, 1, 1];

        public double[] Sizes { get; init; } = [1, 0.5, 0.75, 3, 0, 0, 0, 0];

        public double Slope { get; init; }

        public double Intercept { get; init; }

        public double? Start { get; init; }

        public int Units { get; init; } = 2;

        public string? Magic { get; init; }

        public int Extensions { get; init; }

        /// <summary>The codes of the quaternion and of the factors: 0 where there are none.</summary>
        public (int Quaternion, int Factors) Codes { get; init; } = (1, 2);

        /// <summary>A quaternion and its offset of 3 numbers each, and 3 rows of 4 factors.</summary>
        public double[] Transformation { get; init; } = [.. Enumerable.Range(0, 18).Select(i => 0.5 * i - 3)];
    }

    public static byte[] File(Spec spec, params double[] values)
    {
        byte[] header = spec.Second ? Header2(spec) : Header1(spec);
        return [.. header, .. new byte[4 + spec.Extensions], .. values.SelectMany(v => Number(spec, v))];
    }

    public static byte[] Gzip(byte[] bytes)
    {
        MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Optimal, leaveOpen: true)) gzip.Write(bytes);
        return packed.ToArray();
    }

    private static byte[] Header1(Spec spec)
    {
        byte[] header = new byte[348];
        Put(header, spec.Big, 0, 4, 348);
        for (int i = 0; i < 8; i++) Put(header, spec.Big, 40 + 2 * i, 2, spec.Dimensions[i]);
        Put(header, spec.Big, 70, 2, spec.Type);
        for (int i = 0; i < 8; i++) PutSingle(header, spec.Big, 76 + 4 * i, spec.Sizes[i]);
        PutSingle(header, spec.Big, 108, spec.Start ?? 352 + spec.Extensions);
        PutSingle(header, spec.Big, 112, spec.Slope);
        PutSingle(header, spec.Big, 116, spec.Intercept);
        header[123] = (byte)spec.Units;
        PutSingle(header, spec.Big, 124, 77); // the brightest value for display
        "kept"u8.CopyTo(header.AsSpan(148)); // a description
        Put(header, spec.Big, 252, 2, spec.Codes.Quaternion);
        Put(header, spec.Big, 254, 2, spec.Codes.Factors);
        for (int i = 0; i < 18; i++) PutSingle(header, spec.Big, 256 + 4 * i, spec.Transformation[i]);
        System.Text.Encoding.Latin1.GetBytes(spec.Magic ?? "n+1\0").CopyTo(header, 344);
        return header;
    }

    private static byte[] Header2(Spec spec)
    {
        byte[] header = new byte[540];
        Put(header, spec.Big, 0, 4, 540);
        System.Text.Encoding.Latin1.GetBytes(spec.Magic ?? "n+2\0\r\n\u001a\n").CopyTo(header, 4);
        Put(header, spec.Big, 12, 2, spec.Type);
        for (int i = 0; i < 8; i++) Put(header, spec.Big, 16 + 8 * i, 8, spec.Dimensions[i]);
        for (int i = 0; i < 8; i++) PutDouble(header, spec.Big, 104 + 8 * i, spec.Sizes[i]);
        Put(header, spec.Big, 168, 8, (long)(spec.Start ?? 544 + spec.Extensions));
        PutDouble(header, spec.Big, 176, spec.Slope);
        PutDouble(header, spec.Big, 184, spec.Intercept);
        PutDouble(header, spec.Big, 192, 77);
        "kept"u8.CopyTo(header.AsSpan(240));
        Put(header, spec.Big, 344, 4, spec.Codes.Quaternion);
        Put(header, spec.Big, 348, 4, spec.Codes.Factors);
        for (int i = 0; i < 18; i++) PutDouble(header, spec.Big, 352 + 8 * i, spec.Transformation[i]);
        Put(header, spec.Big, 500, 4, spec.Units);
        return header;
    }

    private static byte[] Number(Spec spec, double value)
    {
        byte[] bytes = spec.Type switch
        {
            2 => [(byte)value],
            256 => [(byte)(sbyte)value],
            4 => BitConverter.GetBytes((short)value),
            512 => BitConverter.GetBytes((ushort)value),
            8 => BitConverter.GetBytes((int)value),
            768 => BitConverter.GetBytes((uint)value),
            16 => BitConverter.GetBytes((float)value),
            64 => BitConverter.GetBytes(value),
            1024 => BitConverter.GetBytes((long)value),
            _ => BitConverter.GetBytes((ulong)value),
        };
        if (spec.Big) Array.Reverse(bytes);
        return bytes;
    }

    private static void Put(byte[] header, bool big, int at, int size, long value)
    {
        for (int i = 0; i < size; i++) header[big ? at + size - 1 - i : at + i] = (byte)(value >> (8 * i));
    }

    private static void PutSingle(byte[] header, bool big, int at, double value) =>
        Put(header, big, at, 4, BitConverter.SingleToInt32Bits((float)value));

    private static void PutDouble(byte[] header, bool big, int at, double value) =>
        Put(header, big, at, 8, BitConverter.DoubleToInt64Bits(value));
}
