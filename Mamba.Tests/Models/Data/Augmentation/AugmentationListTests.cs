using System.Security.Cryptography;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Sets;
using Mamba.Models.Tasks;
using Mamba.Models.Training;

namespace Mamba.Tests.Models;

/// <summary>Lists of augmentations, from text to strengths and back.</summary>
internal sealed class AugmentationListTests
{
    private const string Defaults =
        "flips,turns,rotate:15,scale:0.8-1.25,shift:0.1,elastic:1,brightness:0.2,contrast:0.2,gamma:0.7-1.5,noise:0.05,blur:1";

    [Test]
    public void A_word_without_a_strength_has_its_default()
    {
        SegmentationAugment all = SegmentationAugment.Parse(string.Join(',', SegmentationAugment.Words));
        Assert.That(all.ToString(), Is.EqualTo(Defaults));
        Assert.That(all, Is.EqualTo(SegmentationAugment.Parse(Defaults)));
        Assert.That(all.AtModelSize);
        Assert.That(all with { Rotate = 0 }, Is.Not.EqualTo(all));
    }

    [TestCase("blur:2,flips", "flips,blur:2"), TestCase(" noise , turns ", "turns,noise:0.05"), TestCase("rotate:180", "rotate:180")]
    [TestCase("scale:0.1-10", "scale:0.1-10"), TestCase("scale:2-2", "scale:2-2"), TestCase("noise:0.00001", "noise:1E-05")]
    [TestCase("shift:0.123456789", "shift:0.12345679"), TestCase("flips,rotate:0,gamma:1-1", "flips")]
    [TestCase("none", "none"), TestCase("rotate:0,scale:1-1,noise:0", "none"), TestCase("basic", "basic"), TestCase("crop", "crop")]
    [TestCase("randaugment", "randaugment")]
    public void Text_is_written_in_one_order_and_read_again(string text, string expected)
    {
        AugmentChoice choice = AugmentChoice.Parse(text);
        Assert.That(choice.ToString(), Is.EqualTo(expected));
        Assert.That(AugmentChoice.Parse(expected), Is.EqualTo(choice));
        Assert.That(choice.List is null, Is.EqualTo(expected is "none" or "basic" or "crop" or "randaugment"));
    }

    [TestCase("flips,rotat:3", "unknown operation 'rotat'; did you mean rotate? Expected flips, turns, rotate, scale, shift, elastic,")]
    [TestCase("flips,zzzzzzzz", "unknown operation 'zzzzzzzz'; expected flips, turns,")]
    [TestCase("basik", "unknown word 'basik'; did you mean basic? Expected one of none, crop, basic, randaugment, or a list of flips,")]
    [TestCase("", "unknown word ''; expected one of none, crop"), TestCase("flips,", "unknown operation ''; expected flips")]
    [TestCase("flips,basic", "basic stands alone; expected one of none, crop, basic, randaugment, or a list without it")]
    [TestCase("flips,flips", "flips is repeated in 'flips,flips'"), TestCase("flips:1", "flips:1; expected flips without a strength")]
    [TestCase("rotate:181", "rotate:181; expected a number from 0 to 180, as rotate:15")]
    [TestCase("rotate:-1", "expected a number from 0 to 180"), TestCase("rotate:", "expected a number from 0 to 180")]
    [TestCase("shift:NaN", "expected a number from 0 to 1, as shift:0.1"), TestCase("elastic:6", "from 0 to 5")]
    [TestCase("blur:11", "from 0 to 10")]
    [TestCase("noise:1.1", "from 0 to 1"), TestCase("brightness:2", "from 0 to 1"), TestCase("contrast:1e3", "from 0 to 1")]
    [TestCase("scale:1.2", "scale:1.2; expected LOW-HIGH from 0.1 to 10, as scale:0.8-1.25")]
    [TestCase("scale:1.2-0.8", "expected LOW-HIGH"), TestCase("gamma:0.01-1", "gamma:0.01-1; expected LOW-HIGH")]
    [TestCase("gamma:1-11", "LOW-HIGH")]
    public void What_is_no_list_is_refused_in_a_line(string text, string message)
    {
        string error = Assert.Throws<ArgumentException>(() => AugmentChoice.Parse(text)).Message;
        Assert.That(error, Does.Contain(message).And.Not.Contain("\n"));
    }

    [Test]
    public void Strengths_outside_of_their_range_are_refused()
    {
        Assert.That(() => new SegmentationAugment { Rotate = 181 }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new SegmentationAugment { Shift = -1 }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new SegmentationAugment { Elastic = float.NaN }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new SegmentationAugment { Scale = default }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new SegmentationAugment { Gamma = new FactorRange(2, 1) }, Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_list_serves_both_tasks_and_words_one()
    {
        AugmentChoice list = AugmentChoice.Parse("flips,noise");
        Assert.That(list.For(ModelTask.Segmentation, "m"), Is.SameAs(list.List));
        Assert.That(list.For(ModelTask.Classification, "m"), Is.SameAs(list.List));
        AugmentChoice crop = AugmentKind.Crop, none = AugmentKind.None;
        Assert.That(crop.For(ModelTask.Classification, "m"), Is.EqualTo(new ClassificationAugment { Flip = false }));
        Assert.That(() => crop.For(ModelTask.Segmentation, "m"), Throws.ArgumentException.With.Message.Contains("m is for segmentation"));
        Assert.That(none.For(ModelTask.Segmentation, "m"), Is.Null);
    }

    [Test]
    public void Basic_has_the_bits_of_earlier_versions_and_is_a_list()
    {
        SyntheticLesions data = new(2, 4, 32, 32);
        AugmentChoice basic = AugmentKind.Basic;
        foreach (IAugmentation augment in new[]
        {
            basic.For(ModelTask.Segmentation, "m")!, SegmentationAugment.Parse("flips,turns,brightness:0.1,contrast:0.1"),
        })
        {
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            for (int epoch = 0; epoch < 8; epoch++)
                for (int i = 0; i < 4; i++)
                {
                    var changed = (SegmentationSample)augment.Apply(data.Load(i), 1, epoch, i);
                    hash.AppendData(changed.Image.Pixels);
                    hash.AppendData(changed.Mask.Classes);
                }
            Assert.That(
                Convert.ToHexStringLower(hash.GetCurrentHash()),
                Is.EqualTo("669c6795b5036defa046c346124099a6d174a8926ea7b347013b8ec890918bf1"));
        }
    }
}
