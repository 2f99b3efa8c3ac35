using System.Buffers.Binary;
using System.IO.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class SyntheticShapesTests
{
    [Test]
    public void Shapes_are_a_function_of_seed_index_and_size()
    {
        SyntheticShapes data = new(3, 50, 24, 40), again = new(3, 500, 24, 40), other = new(4, 50, 24, 40);
        data.Load(12);
        ClassificationSample sample = data.Load(7);
        Assert.That((sample.Image.Width, sample.Image.Height, sample.Image.Channels, sample.Label), Is.EqualTo((40, 24, 3, 7)));
        Assert.That(again.Load(7).Image.Pixels, Is.EqualTo(sample.Image.Pixels));
        Assert.That(other.Load(7).Image.Pixels, Is.Not.EqualTo(sample.Image.Pixels));
        Assert.That(Enumerable.Range(0, 50).CountBy(i => data.Load(i).Label).Select(c => c.Value), Is.All.EqualTo(5));
        Assert.That((data.Labels.Count, data.Labels.Distinct().Count(), data.Name(49)), Is.EqualTo((10, 10, "shape_00050")));
        Assert.That(Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 1 }).Train, Has.Length.EqualTo(40));
        Assert.That(() => data.Load(50), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new SyntheticShapes(3, 5, 15, 40), Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
