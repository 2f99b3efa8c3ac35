using BitMiracle.LibTiff.Classic;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class BmpTests : FormatTest
{
    [TestCase(true), TestCase(false)]
    public void Bmp_of_every_depth(bool topDown)
    {
        Image color = Pictures.Random(7, 5, 3);
        byte[] Row(int y, int stride, int bytes)
        {
            byte[] row = new byte[stride];
            for (int x = 0; x < 7; x++)
                for (int c = 0; c < 3; c++) row[x * bytes + c] = color.Pixels[(y * 7 + x) * 3 + 2 - c];
            return row;
        }
        AssertSame(Load("24.bmp", Pictures.Bmp(7, 5, 24, topDown, [], (y, stride) => Row(y, stride, 3))), color);
        AssertSame(Load("32.bmp", Pictures.Bmp(7, 5, 32, topDown, [], (y, stride) => Row(y, stride, 4))), color);
        byte[] grays = [.. Enumerable.Range(0, 256).SelectMany(v => new[] { (byte)v, (byte)v, (byte)v, (byte)0 })];
        Image gray = Pictures.Random(7, 5, 1);
        AssertSame(Load("8.bmp", Pictures.Bmp(7, 5, 8, topDown, grays, (y, stride) => [.. gray.Pixels.Skip(7 * y).Take(7), 0])), gray);
        byte[] Bits(int y, int stride) => [.. new byte[] { (byte)(0b10110010 >> y << y) }, .. new byte[stride - 1]];
        byte[] bits =
        [
            .. Enumerable.Range(0, 35).Select(i => (0b10110010 >> (i / 7) << (i / 7) >> (7 - i % 7) & 1) != 0 ? (byte)255 : (byte)0),
        ];
        AssertSame(Load("1.bmp", Pictures.Bmp(7, 5, 1, topDown, [0, 0, 0, 0, 255, 255, 255, 0], Bits)), new Image(7, 5, 1, bits));
        byte[] red = [0, 0, 0, 0, 0, 0, 255, 0];
        Assert.That(Load("red.bmp", Pictures.Bmp(7, 5, 1, topDown, red, Bits)).Pixels[..3], Is.EqualTo(new byte[] { 255, 0, 0 }));
    }
}
