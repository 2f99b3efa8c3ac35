using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// Gives parts of a TIFF to the decoder, under a directory of ours that stands behind a copy of the file: nothing in it comes from the
/// file unchecked, and no other directory is reached from it.
/// </summary>
internal sealed class TiffForDecoder
{
    private const int Short = 3, Long = 4, Rational = 5, DirectoryRoom = 18 * 12 + 6 + 64;

    private readonly byte[] _file;
    private readonly TiffDirectory _directory;
    private readonly int _photometric, _bits, _samples;

    public TiffForDecoder(byte[] file, TiffDirectory directory, int photometric, int bits, int samples) =>
        (_file, _directory, _photometric, _bits, _samples) = (file, directory, photometric, bits, samples);

    private bool Little => _directory.LittleEndian;

    private int Compression => (int)_directory.One(TiffEntry.Compression, 1) is var c && c == 32946 ? 8 : c;

    /// <summary>Decodes strips.</summary>
    /// <param name="parts">The strips, all channels or one plane.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows of all strips together.</param>
    /// <param name="rowsPerStrip">Rows of each but the last.</param>
    /// <returns>byte[] or ushort[], channels interleaved, opacity included.</returns>
    public Array Strips(TiffPart[] parts, int width, int height, int rowsPerStrip)
    {
        int at = _file.Length + (_file.Length & 1);
        byte[] copy = new byte[at + DirectoryRoom + 8 * parts.Length];
        _file.CopyTo(copy, 0);
        Write16(copy, 2, 42);
        Write32(copy, 4, (uint)at);
        List<(TiffEntry Tag, int Type, uint[] Values)> entries = Entries(parts, width, height, rowsPerStrip);
        Write16(copy, at, (ushort)entries.Count);
        int entry = at + 2, data = entry + 12 * entries.Count + 4;
        foreach ((TiffEntry tag, int type, uint[] values) in entries)
        {
            int size = type == Short ? 2 : 4, count = type == Rational ? values.Length / 2 : values.Length;
            Write16(copy, entry, (ushort)tag);
            Write16(copy, entry + 2, (ushort)type);
            Write32(copy, entry + 4, (uint)count);
            int place = values.Length * size <= 4 ? entry + 8 : data;
            if (place == data)
            {
                Write32(copy, entry + 8, (uint)data);
                data += (values.Length * size + 1) & ~1;
            }
            for (int i = 0; i < values.Length; i++)
            {
                if (type == Short) Write16(copy, place + 2 * i, (ushort)values[i]);
                else Write32(copy, place + 4 * i, values[i]);
            }
            entry += 12;
        }
        return Decode(copy, (width, height));
    }

    private Array Decode(byte[] copy, (int Width, int Height) size) => (_photometric, _samples, _bits > 8) switch
    {
        (2, 4, true) => Codec.Rgba16<Codec.Tiff>(copy, size),
        (2, 4, false) => Codec.Rgba8<Codec.Tiff>(copy, size),
        (2, _, true) => Codec.Rgb16<Codec.Tiff>(copy, size),
        (2 or 6, _, _) => Codec.Rgb8<Codec.Tiff>(copy, size),
        (_, _, true) => Codec.Gray16<Codec.Tiff>(copy, size),
        _ => Codec.Gray8<Codec.Tiff>(copy, size),
    };

    private List<(TiffEntry Tag, int Type, uint[] Values)> Entries(TiffPart[] parts, int width, int height, int rowsPerStrip)
    {
        List<(TiffEntry, int, uint[])> entries =
        [
            (TiffEntry.Width, Long, [(uint)width]), (TiffEntry.Height, Long, [(uint)height]),
            (TiffEntry.Bits, Short, [.. Enumerable.Repeat((uint)_bits, _samples)]), (TiffEntry.Compression, Short, [(uint)Compression]),
            (TiffEntry.Photometric, Short, [(uint)_photometric]),
        ];
        Copy(TiffEntry.FillOrder, Short);
        entries.Add((TiffEntry.StripOffsets, Long, Array.ConvertAll(parts, p => (uint)p.Offset)));
        entries.Add((TiffEntry.Samples, Short, [(uint)_samples]));
        entries.Add((TiffEntry.RowsPerStrip, Long, [(uint)rowsPerStrip]));
        entries.Add((TiffEntry.StripCounts, Long, Array.ConvertAll(parts, p => (uint)p.Count)));
        entries.Add((TiffEntry.Planar, Short, [1]));
        Copy(TiffEntry.T4Options, Long);
        Copy(TiffEntry.T6Options, Long);
        Copy(TiffEntry.Predictor, Short);
        if (_samples == 4) entries.Add((TiffEntry.ExtraSamples, Short, [2]));
        if (_photometric == 6) Ycbcr(entries);
        return entries;

        void Copy(TiffEntry tag, int type)
        {
            if (_directory.Has(tag)) entries.Add((tag, type, [(uint)_directory.One(tag, 0)]));
        }
    }

    private void Ycbcr(List<(TiffEntry, int, uint[])> entries)
    {
        Fractions(TiffEntry.YcbcrCoefficients, 3);
        if (_directory.Has(TiffEntry.YcbcrSubsampling))
            entries.Add((TiffEntry.YcbcrSubsampling, Short, Array.ConvertAll(_directory.Values(TiffEntry.YcbcrSubsampling), v => (uint)v)));
        Fractions(TiffEntry.ReferenceBlackWhite, 6);

        void Fractions(TiffEntry tag, int count)
        {
            byte[] bytes = _directory.Fractions(tag, count);
            if (bytes.Length == 0) return;
            uint[] values = new uint[2 * count];
            for (int i = 0; i < values.Length; i++)
                values[i] = Little ? BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(4 * i))
                    : BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(4 * i));
            entries.Add((tag, Rational, values));
        }
    }

    /// <summary>Decodes a strip or tile that is a JPEG, whose tables may stand in the directory.</summary>
    /// <returns>Gray, or red, green and blue.</returns>
    public byte[] Jpeg(TiffPart part, int photometric)
    {
        byte[] tables = _directory.Has(TiffEntry.JpegTables) ? _directory.Bytes(TiffEntry.JpegTables).ToArray() : [];
        byte[] samples = JpegReader.Strip(_file.AsSpan(part.Offset, part.Count), tables, (part.Width, part.Height), rgb: photometric == 2);
        if (samples.Length != part.Width * part.Height * (photometric is 2 or 6 ? 3 : 1))
            throw new InvalidDataException("TIFF with a JPEG of another number of channels than the directory says.");
        return photometric == 0 ? Array.ConvertAll(samples, v => (byte)(255 - v)) : samples;
    }

    private void Write16(byte[] to, int at, ushort value)
    {
        if (Little) BinaryPrimitives.WriteUInt16LittleEndian(to.AsSpan(at), value);
        else BinaryPrimitives.WriteUInt16BigEndian(to.AsSpan(at), value);
    }

    private void Write32(byte[] to, int at, uint value)
    {
        if (Little) BinaryPrimitives.WriteUInt32LittleEndian(to.AsSpan(at), value);
        else BinaryPrimitives.WriteUInt32BigEndian(to.AsSpan(at), value);
    }
}
