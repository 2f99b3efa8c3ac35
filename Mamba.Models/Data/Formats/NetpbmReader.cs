using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// Portable bitmaps, graymaps and pixmaps (PBM, PGM, PPM), binary or text. Read here, since the decoder scales the values of masks and
/// leaves missing ones black.
/// </summary>
internal sealed class NetpbmReader
{
    private readonly byte[] _file;
    private int _at = 2;

    private NetpbmReader(byte[] file) => _file = file;

    public static Raster Read(byte[] file) => new NetpbmReader(file).Read();

    private Raster Read()
    {
        int kind = _file[1] - '0', channels = kind is 3 or 6 ? 3 : 1;
        bool text = kind <= 3, bits = kind is 1 or 4;
        long width = Number(), height = Number();
        ImageFile.CheckSize("PNM", width, height);
        long max = bits ? 1 : Number();
        if (max is < 1 or > 65535) throw new InvalidDataException($"PNM with values up to {max}; expected 1 to 65535.");
        if (!text) _at++; // exactly one space ends the header
        int samples = (int)width * (int)height * channels;
        if ((long)samples > 8L * (_file.Length - _at + 1)) throw Short();
        ushort[] words = new ushort[samples];
        if (text) for (int i = 0; i < samples; i++) words[i] = (ushort)(bits ? Digit() : Number());
        else if (bits) Bits(words, (int)width, (int)height);
        else Binary(words, max > 255);
        foreach (ushort word in words)
            if (word > max) throw new InvalidDataException($"PNM value {word}; expected at most {max}.");
        if (bits) for (int i = 0; i < samples; i++) words[i] = (ushort)(1 - words[i]); // 1 is black
        Raster raster = new((int)width, (int)height, channels);
        return max > 255 ? raster with { Words = words }
            : raster with { Bytes = Array.ConvertAll(words, v => (byte)((v * 255 + max / 2) / max)), Max = (int)max };
    }

    private void Binary(ushort[] words, bool wide)
    {
        if (_at + (long)words.Length * (wide ? 2 : 1) > _file.Length) throw Short();
        for (int i = 0; i < words.Length; i++)
            words[i] = wide ? BinaryPrimitives.ReadUInt16BigEndian(_file.AsSpan(_at + 2 * i)) : _file[_at + i];
    }

    private void Bits(ushort[] words, int width, int height)
    {
        int stride = (width + 7) / 8;
        if (_at + (long)stride * height > _file.Length) throw Short();
        for (int i = 0; i < words.Length; i++)
        {
            int x = i % width;
            words[i] = (ushort)(_file[_at + i / width * stride + x / 8] >> 7 - x % 8 & 1);
        }
    }

    private void SkipSpace()
    {
        for (; _at < _file.Length; _at++)
        {
            if (_file[_at] == '#') while (_at + 1 < _file.Length && _file[_at] is not ((byte)'\n' or (byte)'\r')) _at++;
            else if (_file[_at] is not ((byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t' or 11 or 12)) return;
        }
    }

    private long Number()
    {
        SkipSpace();
        long value = 0;
        int first = _at;
        for (; _at < _file.Length && _file[_at] is >= (byte)'0' and <= (byte)'9' && _at - first < 10; _at++)
            value = 10 * value + _file[_at] - '0';
        if (_at == first) throw Short();
        return value;
    }

    private int Digit()
    {
        SkipSpace();
        return _at < _file.Length && _file[_at] is (byte)'0' or (byte)'1' ? _file[_at++] - '0' : throw Short();
    }

    private InvalidDataException Short() => new($"PNM: no number at byte {_at} of {_file.Length}; expected more image data.");
}
