using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Docs;

/// <summary>A checkpoint of others in the class that the documentation shows. Apart, so that emulators run these tests alone.</summary>
internal sealed class StrangersCheckpointTests
{
    /// <summary>Every width, and every kind of processor, names the classes that x64 named.</summary>
    [TestCaseSource(typeof(Isas), nameof(Isas.All))]
    public void It_names_the_same_classes_of_100_images_at_every_width(VectorWidth width)
    {
        const int Count = 100;
        byte[] records = new byte[Count * DocsTests.RecordBytes];
        for (int i = 0; i < Count; i++)
            for (int c = 0; c < 3; c++)
                for (int p = 0; p < DocsTests.Pixels; p++)
                {
                    int stripes = p % 32 * (i % 9) + p / 32 * (i % 11) + 40 * c * (i % 4), disc = (p % 32 - i % 32) * (p / 32 - 16);
                    records[i * DocsTests.RecordBytes + 1 + c * DocsTests.Pixels + p] =
                        (byte)Math.Min(255, Math.Abs(stripes % 200 + disc / (1 + i % 3)));
                }
        Assert.That(Named(width), Is.EqualTo(Named(VectorWidth.Scalar)));
        Assert.That(Named(width), Does.StartWith("8525000201602266221600245206800023108090089022653220223408605"));

        string Named(VectorWidth at)
        {
            using IDisposable _ = Isa.Use(at);
            return string.Concat(DocsTests.Pretrained().Predict(DocsTests.Images(records, [.. Enumerable.Range(0, Count)])));
        }
    }
}
