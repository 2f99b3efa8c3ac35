using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>Targa. It has no signature, so only the name tells. Header and rows are checked here.</summary>
internal static class TgaReader
{
    private const int Head = 18, Packed = 8;

    public static Raster Read(byte[] file)
    {
        if (file.Length < Head) throw new InvalidDataException($"TGA of {file.Length} bytes; expected a header of {Head}.");
        int kind = file[2], bits = file[16], mapBits = file[7], map = file[1] == 1 ? UInt16(file, 5) : 0;
        (int Width, int Height) size = (UInt16(file, 12), UInt16(file, 14));
        ImageFile.CheckSize("TGA", size.Width, size.Height);
        bool known = (kind & ~Packed) switch
        {
            1 => bits == 8 && map > 0 && mapBits is 16 or 24 or 32 && UInt16(file, 3) == 0,
            2 => bits is 16 or 24 or 32,
            3 => bits == 8,
            _ => false,
        };
        if (!known || file[1] > 1 || (kind & ~(Packed | 3)) != 0)
            throw new InvalidDataException($"TGA of type {kind} with {bits} bits, which is not read; {ImageFile.Convert("tga", "png")}");
        int start = Head + file[0] + map * ((mapBits + 7) / 8), bytes = (bits + 7) / 8;
        long need = (long)size.Width * size.Height;
        if (start > file.Length) throw new InvalidDataException("TGA that ends before its pixels; expected more image data.");
        long have = (kind & Packed) == 0 ? (file.Length - start) / bytes : Runs(file.AsSpan(start), bytes, need);
        if (have < need) throw new InvalidDataException($"TGA with {have} of {need} pixels; expected more image data.");
        if ((kind & ~Packed) == 1) CheckIndices(file, start, map, need);
        if ((kind & ~Packed) == 3) return new Raster(size.Width, size.Height, 1) { Bytes = Codec.Gray8<Codec.Tga>(file, size) };
        if (bits != 32) return new Raster(size.Width, size.Height, 3) { Bytes = Codec.Rgb8<Codec.Tga>(file, size) };
        (byte[] colors, byte[] opacities) = Opacity.Split(Codec.Rgba8<Codec.Tga>(file, size), 4);
        return new Raster(size.Width, size.Height, 3) { Bytes = colors, Alpha = opacities };
    }

    /// <summary>The pixels of runs: a head byte, then one pixel that is repeated, or as many as it says.</summary>
    private static long Runs(ReadOnlySpan<byte> packed, int bytes, long need)
    {
        long have = 0;
        for (int at = 0; at < packed.Length && have < need;)
        {
            int count = (packed[at] & 0x7F) + 1;
            at += 1 + (packed[at] >= 128 ? bytes : count * bytes);
            if (at <= packed.Length) have += count;
        }
        return have;
    }

    private static void CheckIndices(byte[] file, int start, int colors, long need)
    {
        if ((file[2] & Packed) != 0)
            throw new InvalidDataException($"TGA with a palette and packed runs, which is not read; {ImageFile.Convert("tga", "png")}");
        for (int i = 0; i < need; i++)
            if (file[start + i] >= colors) throw new InvalidDataException($"TGA color {file[start + i]}; expected less than {colors}.");
    }

    private static int UInt16(byte[] file, int at) => BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(at));
}
