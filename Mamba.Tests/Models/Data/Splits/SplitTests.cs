using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class SplitTests
{
    [TestCase(SplitProtocol.Image, 3, 1, 1, 1), TestCase(SplitProtocol.Image, 5, 3, 1, 1), TestCase(SplitProtocol.Image, 9, 7, 1, 1)]
    [TestCase(SplitProtocol.Image, 10, 8, 1, 1), TestCase(SplitProtocol.Image, 19, 15, 1, 3)]
    [TestCase(SplitProtocol.Image, 3929, 3143, 392, 394)]
    public void Split_sizes(SplitProtocol protocol, int count, int train, int val, int test)
    {
        Split split = Split.Of(new SyntheticLesions(1, count), new SplitOptions { Protocol = protocol, Seed = 37 });
        Assert.That((split.Train.Length, split.Val.Length, split.Test.Length), Is.EqualTo((train, val, test)));
        Assert.That(split[SplitPart.All], Is.EqualTo(Enumerable.Range(0, count)));
        foreach (SplitPart part in new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test }) Assert.That(split[part], Is.Ordered.Ascending);
    }

    [Test]
    public void Patients_stay_on_one_side()
    {
        SyntheticLesions data = new(1, 20 * 33);
        Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Patient, Seed = 5 });
        string[][] patients =
        [
            .. new[] { split.Train, split.Val, split.Test }.Select(part => part.Select(data.Patient).Distinct().ToArray()),
        ];
        Assert.That(patients.Select(p => p.Length), Is.EqualTo(new[] { 26, 3, 4 }));
        Assert.That(patients.SelectMany(p => p), Is.Unique);
        Assert.That(split[SplitPart.All], Has.Length.EqualTo(data.Count));
    }

    [Test]
    public void Splits_depend_on_the_seed_alone_and_limits_choose_before()
    {
        SyntheticLesions data = new(1, 200);
        int[] test = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 5 }).Test;
        Assert.That(Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 5 }).Test, Is.EqualTo(test));
        Assert.That(Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 6 }).Test, Is.Not.EqualTo(test));
        Split limited = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 5, Limit = 30 });
        Assert.That(limited[SplitPart.All], Has.Length.EqualTo(30).And.Ordered.Ascending.And.Unique);
        Assert.That((limited.Train.Length, limited.Val.Length, limited.Test.Length), Is.EqualTo((24, 3, 3)));
        Assert.That(Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 5, Limit = 500 })[SplitPart.All],
            Has.Length.EqualTo(200));
        Assert.That(() => Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 5, Limit = 0 }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(
            () => Split.Of(new SyntheticLesions(1, 40), new SplitOptions { Protocol = SplitProtocol.Patient, Seed = 5 }),
            Throws.TypeOf<DatasetException>().With.Message.Contains("40 images of 2 patients"));
        Assert.That(
            () => Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 5, Limit = 2 }),
            Throws.TypeOf<DatasetException>().With.Message.Contains("at least 3 images"));
    }

    [Test]
    public void The_official_split_is_the_one_of_the_data()
    {
        Split split = Split.Of(new Parts(train: 7, val: 2, test: 3), new SplitOptions { Protocol = SplitProtocol.Official, Seed = 5 });
        Assert.That((split.Train, split.Val, split.Test), Is.EqualTo((Indices(0, 7), Indices(7, 2), Indices(9, 3))));
        // Where one of them is missing, validation and test share the other.
        split = Split.Of(new Parts(train: 4, val: 0, test: 3), new SplitOptions { Protocol = SplitProtocol.Official, Seed = 5 });
        Assert.That((split.Train, split.Val, split.Test), Is.EqualTo((Indices(0, 4), Indices(4, 3), Indices(4, 3))));
        split = Split.Of(new Parts(train: 4, val: 3, test: 0), new SplitOptions { Protocol = SplitProtocol.Official, Seed = 5 });
        Assert.That((split.Train, split.Val, split.Test), Is.EqualTo((Indices(0, 4), Indices(4, 3), Indices(4, 3))));
        Assert.That(
            () => Split.Of(new Parts(train: 0, val: 1, test: 1), new SplitOptions { Protocol = SplitProtocol.Official, Seed = 5 }),
            Throws.TypeOf<DatasetException>().With.Message.Contains(
                "0 for training, 1 for validation and 1 for test in the official split"));
    }

    [TestCase(0), TestCase(6)]
    public void Holdout_takes_a_tenth_of_what_is_not_test_for_validation(int val)
    {
        Parts data = new(train: 50 - val, val, test: 9);
        Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Holdout, Seed = 5 });
        Assert.That((split.Train.Length, split.Val.Length), Is.EqualTo((45, 5)));
        Assert.That(split.Test, Is.EqualTo(Indices(50, 9)));
        Assert.That(split[SplitPart.All], Is.EqualTo(Indices(0, 59)));
        Assert.That(split.Train, Is.Ordered.Ascending);
        Assert.That(split.Val, Is.Ordered.Ascending);
        Assert.That(Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Holdout, Seed = 5 }).Val, Is.EqualTo(split.Val));
        Assert.That(Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Holdout, Seed = 6 }).Val, Is.Not.EqualTo(split.Val));
    }

    [Test]
    public void Strata_are_spread_evenly()
    {
        Strata data = new([.. Enumerable.Range(0, 200).Select(i => i % 10 == 3 ? 1 : 0)]);
        Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 5 });
        Assert.That((split.Train.Length, split.Val.Length, split.Test.Length), Is.EqualTo((160, 20, 20)));
        foreach ((int[] part, int rare) in new[] { (split.Train, 16), (split.Val, 2), (split.Test, 2) })
            Assert.That(part.Count(i => i % 10 == 3), Is.EqualTo(rare).Within(1));
        Assert.That(split[SplitPart.All], Is.EqualTo(Indices(0, 200)));
    }

    [Test]
    public void Each_sample_is_tested_in_one_fold()
    {
        Strata data = new([.. Enumerable.Range(0, 53).Select(i => i % 4 == 0 ? 1 : 0)]);
        List<int> tested = [];
        for (int k = 1; k <= 5; k++)
        {
            Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Patient, Seed = 5, Fold = new Fold(k, 5) });
            Assert.That(split[SplitPart.All], Is.EqualTo(Indices(0, 53)));
            Assert.That(split.Train.Concat(split.Val).Select(data.Patient).Intersect(split.Test.Select(data.Patient)), Is.Empty);
            Assert.That(split.Val, Is.Not.Empty);
            tested.AddRange(split.Test);
        }
        Assert.That(tested.Order(), Is.EqualTo(Indices(0, 53)));
    }

    [TestCase("1/5", true), TestCase("5/5", true), TestCase("0/5", false), TestCase("6/5", false), TestCase("1/1", false),
        TestCase("1", false)]
    public void Folds_are_read(string text, bool valid) => Assert.That(Fold.Parse(text)?.ToString(), Is.EqualTo(valid ? text : null));

    [Test]
    public void Unknown_patients_cannot_be_kept_apart() => Assert.That(
        () => Split.Of(new Parts(5, 5, 5), new SplitOptions { Protocol = SplitProtocol.Patient }),
        Throws.TypeOf<DatasetException>().With.Message.Contains("--patient-pattern"));

    [Test]
    public void A_record_knows_each_sample_again_and_no_other()
    {
        Strata data = new(new int[5000]);
        Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 1 });
        SplitRecord record = SplitRecord.Of(data, split, ["left"], names: true);
        foreach (SplitPart part in new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test })
            Assert.That(split[part].Select(i => record.PartOf(data.Name(i))), Is.All.EqualTo(part));
        Assert.That((record.PartOf("left"), record.PartOf("another")), Is.EqualTo(((SplitPart?)SplitPart.All, (SplitPart?)null)));
        Assert.That(record.Matches(data, split), Is.True);
        Assert.That(record.Matches(data, split with { Train = split.Train[1..] }), Is.False);
        SplitRecord read = new([.. record.Counts], [.. record.Digests], [.. record.Hashes!], record.HashBytes);
        Assert.That(read.PartOf(data.Name(split.Val[0])), Is.EqualTo(SplitPart.Val));
        Assert.That(() => new SplitRecord([1, 0, 0, 0], ["", "", "", ""], [[], [], [], []], 4), Throws.TypeOf<FormatException>());
    }

    /// <summary>Weight files and recipes hold these words, so they do not change with the names in the code.</summary>
    [TestCase(SplitProtocol.Image, "slice"), TestCase(SplitProtocol.Patient, "patient"), TestCase(SplitProtocol.Official, "official")]
    [TestCase(SplitProtocol.Holdout, "holdout")]
    public void The_words_of_the_protocols_stay(SplitProtocol protocol, string word)
    {
        Assert.That(protocol.ToWord(), Is.EqualTo(word));
        Assert.That(SplitProtocolWords.Parse(word), Is.EqualTo(protocol));
        Assert.That(SplitProtocolWords.Parse(word.ToUpperInvariant()), Is.EqualTo(protocol));
    }

    [Test]
    public void Image_means_slice_and_other_words_mean_nothing()
    {
        Assert.That(SplitProtocolWords.Parse("image"), Is.EqualTo(SplitProtocol.Image));
        foreach (string? word in new[] { null, "", "0", "1", "slices" }) Assert.That(SplitProtocolWords.Parse(word), Is.Null, word);
    }

    private static int[] Indices(int first, int count) => [.. Enumerable.Range(first, count)];

    /// <summary>Nothing but strata; three samples are a patient.</summary>
    private sealed class Strata(int[] strata) : IImageData
    {
        public ModelTask Task => ModelTask.Segmentation;

        public IReadOnlyList<string> Labels => ["lesion"];

        public int Count => strata.Length;

        public bool KnowsPatients => true;

        public string Name(int index) => $"s{index}";

        public string Patient(int index) => $"p{index / 3}";

        public int? Stratum(int index) => strata[index];

        public Sample Load(int index) => throw new NotSupportedException();
    }

    /// <summary>Nothing but the parts of an official split, one after another.</summary>
    private sealed class Parts(int train, int val, int test) : IImageData
    {
        public ModelTask Task => ModelTask.Classification;

        public IReadOnlyList<string> Labels { get; } = ["a", "b"];

        public int Count => train + val + test;

        public string Name(int index) => $"{index}";

        public SplitPart? Part(int index) => index < train ? SplitPart.Train : index < train + val ? SplitPart.Val : SplitPart.Test;

        public Sample Load(int index) => new ClassificationSample(new Image(1, 1, 1), 0);
    }
}
