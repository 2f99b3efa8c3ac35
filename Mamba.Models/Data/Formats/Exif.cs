namespace Mamba.Models.Data.Formats;

/// <summary>The one entry of EXIF that pixels depend on: how the camera was held.</summary>
internal static class Exif
{
    /// <summary>The orientation that a block of EXIF tells.</summary>
    /// <param name="block">A TIFF directory without pixels, as in PNG and WebP; in JPEG, 'Exif' stands before it.</param>
    /// <returns>1 to 8; 1 where it tells none, or is damaged.</returns>
    public static int Orientation(ReadOnlySpan<byte> block)
    {
        if (block.StartsWith("Exif\0\0"u8)) block = block[6..];
        try
        {
            TiffDirectory directory = TiffDirectory.First(block.ToArray());
            long value = directory.One(TiffEntry.Orientation, 1);
            return value is >= 1 and <= 8 ? (int)value : 1;
        }
        catch (InvalidDataException)
        {
            return 1; // viewers show such pictures as they are
        }
    }
}
