using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class SplitTests
{
    [TestCase(SplitProtocol.Image, 3, 1, 1, 1), TestCase(SplitProtocol.Image, 5, 3, 1, 1), TestCase(SplitProtocol.Image, 9, 7, 1, 1)]
    [TestCase(SplitProtocol.Image, 10, 8, 1, 1), TestCase(SplitProtocol.Image, 19, 15, 1, 3), TestCase(SplitProtocol.Image, 3929, 3143, 392, 394)]
    public void Split_sizes(SplitProtocol protocol, int count, int train, int val, int test)
    {
        Split split = Split.Of(new SyntheticLesions(1, count), protocol, 37);
        Assert.That((split.Train.Length, split.Val.Length, split.Test.Length), Is.EqualTo((train, val, test)));
        Assert.That(split[SplitPart.All], Is.EqualTo(Enumerable.Range(0, count)));
        foreach (SplitPart part in new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test }) Assert.That(split[part], Is.Ordered.Ascending);
    }

    [Test]
    public void Patients_stay_on_one_side()
    {
        SyntheticLesions data = new(1, 20 * 33);
        Split split = Split.Of(data, SplitProtocol.Patient, 5);
        string[][] patients = [.. new[] { split.Train, split.Val, split.Test }.Select(part => part.Select(data.Patient).Distinct().ToArray())];
        Assert.That(patients.Select(p => p.Length), Is.EqualTo(new[] { 26, 3, 4 }));
        Assert.That(patients.SelectMany(p => p), Is.Unique);
        Assert.That(split[SplitPart.All], Has.Length.EqualTo(data.Count));
    }

    [Test]
    public void Splits_depend_on_the_seed_alone_and_limits_choose_before()
    {
        SyntheticLesions data = new(1, 200);
        int[] test = Split.Of(data, SplitProtocol.Image, 5).Test;
        Assert.That(Split.Of(data, SplitProtocol.Image, 5).Test, Is.EqualTo(test));
        Assert.That(Split.Of(data, SplitProtocol.Image, 6).Test, Is.Not.EqualTo(test));
        Split limited = Split.Of(data, SplitProtocol.Image, 5, limit: 30);
        Assert.That(limited[SplitPart.All], Has.Length.EqualTo(30).And.Ordered.Ascending.And.Unique);
        Assert.That((limited.Train.Length, limited.Val.Length, limited.Test.Length), Is.EqualTo((24, 3, 3)));
        Assert.That(Split.Of(data, SplitProtocol.Image, 5, limit: 500)[SplitPart.All], Has.Length.EqualTo(200));
        Assert.That(() => Split.Of(data, SplitProtocol.Image, 5, limit: 0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Split.Of(new SyntheticLesions(1, 40), SplitProtocol.Patient, 5), Throws.TypeOf<DatasetException>().With.Message.Contains("40 images of 2 patients"));
        Assert.That(() => Split.Of(data, SplitProtocol.Image, 5, limit: 2), Throws.TypeOf<DatasetException>().With.Message.Contains("at least 3 images"));
    }
}
