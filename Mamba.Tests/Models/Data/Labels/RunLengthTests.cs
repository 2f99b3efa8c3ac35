using System.Text;
using Mamba.Models.Data.Labels;

namespace Mamba.Tests.Models;

internal sealed class RunLengthTests
{
    [Test]
    public void Runs_go_down_the_columns()
    {
        byte[] map = [9, 0, 0, 0, 0, 0];
        RunLength.Decode(map, 3, 2, [1, 2, 2, 1], 5); // columns 0 5, 5 0, 0 5
        Assert.That(map, Is.EqualTo(new byte[] { 9, 5, 0, 5, 0, 5 }));
        RunLength.Decode(map, 3, 2, [0, 6], 7);
        Assert.That(map, Is.All.EqualTo(7));
        Assert.That(() => RunLength.Decode(new byte[6], 3, 2, [1, 4], 1), Throws.ArgumentException.With.Message.Contains("6 pixels long"));
        Assert.That(() => RunLength.Decode(new byte[6], 3, 2, [7, -1], 1), Throws.ArgumentException);
        Assert.That(() => RunLength.Decode(new byte[5], 3, 2, [6], 1), Throws.ArgumentException);
    }

    [Test]
    public void Packed_runs_are_unpacked()
    {
        // By hand: 6 is '6'; 1 is '1'; 40 = 8 + 32 needs two characters, 8 + more = 'X' and 1 = '1'; then 4 - 1 = 3 and 30 - 40 = -10 = 22
        // in five bits with the sign bit set, 'F'.
        Assert.That(RunLength.Unpack("61X13F"), Is.EqualTo(new[] { 6, 1, 40, 4, 30 }));
        Assert.That(RunLength.Unpack(""), Is.Empty);
        Random random = new(3);
        for (int round = 0; round < 200; round++)
        {
            int[] counts = [.. Enumerable.Range(0, random.Next(1, 30)).Select(_ => random.Next(1 << random.Next(1, 31)))];
            Assert.That(RunLength.Unpack(Pack(counts)), Is.EqualTo(counts));
        }
    }

    [TestCase("6X", "ends within the number at character 1")]
    [TestCase("6 ", "character ' ' at 1")]
    [TestCase("6\u00e9", "at 1")]
    [TestCase("F", "a run of -10 pixels at character 0")]
    [TestCase("oooooooooooooooo0", "more than 32 bits")]
    [TestCase("oooooo3", "a run of")]
    public void Malformed_runs_are_refused(string packed, string says) =>
        Assert.That(() => RunLength.Unpack(packed), Throws.TypeOf<FormatException>().With.Message.Contains(says));

    /// <summary>The reverse, from the description of the format.</summary>
    internal static string Pack(int[] counts)
    {
        StringBuilder text = new();
        for (int i = 0; i < counts.Length; i++)
        {
            long number = i > 2 ? counts[i] - (long)counts[i - 2] : counts[i];
            bool more;
            do
            {
                int bits = (int)(number & 31);
                number >>= 5;
                more = (bits & 16) != 0 ? number != -1 : number != 0;
                text.Append((char)(48 + (more ? bits | 32 : bits)));
            }
            while (more);
        }
        return text.ToString();
    }
}
