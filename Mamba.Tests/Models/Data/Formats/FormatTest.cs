using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>A folder for each test, and what tests of every format ask.</summary>
internal abstract class FormatTest
{
    protected TemporaryFolder Folder { get; private set; } = null!;

    [SetUp]
    public void MakeFolder() => Folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => Folder.Dispose();

    protected Image Load(string name, byte[] bytes) => ImageFile.Load(Folder.Write(name, bytes));

    protected void AssertRefused(string name, byte[] bytes, string says) =>
        Assert.That(() => Load(name, bytes), Throws.TypeOf<ImageException>().With.Message.Contains(name).And.Message.Contains(says));

    protected static void AssertSame(Image actual, Image expected)
    {
        Assert.That((actual.Width, actual.Height, actual.Channels), Is.EqualTo((expected.Width, expected.Height, expected.Channels)));
        Assert.That(actual.Is16Bit, Is.EqualTo(expected.Is16Bit), "bits");
        if (expected.Is16Bit) Assert.That(actual.Samples16, Is.EqualTo(expected.Samples16));
        else Assert.That(
            actual.Pixels.AsSpan().SequenceEqual(expected.Pixels),
            $"first difference at sample {actual.Pixels.AsSpan().CommonPrefixLength(expected.Pixels)}");
    }
}
