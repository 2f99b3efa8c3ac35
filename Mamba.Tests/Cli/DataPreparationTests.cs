using Mamba.Cli;
using Mamba.Cli.Commands;
using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary>What is said of images before a training, and what follows from it.</summary>
internal sealed class DataPreparationTests
{
    [Test]
    public void Pages_that_are_left_out_are_told_once()
    {
        using TemporaryFolder folder = new();
        for (int i = 0; i < 10; i++)
        {
            byte[] first = Pictures.Marked(8, 6, 1, 100 + i).Pixels;
            folder.Write($"a/{i}.png", Pictures.Marked(8, 6, 1, i));
            folder.Write($"b/{i}.tif", Pictures.TiffStack(8, 6, [first, first]));
        }
        using StringWriter output = new();
        PreparedData.Request request = new(new SplitOptions { Protocol = SplitProtocol.Image }, OnBadImage.Fail, CacheBytes: 1 << 20);
        new DataPreparation(new Terminal(output, TextWriter.Null), new ClassFolder(folder.Root), request, CancellationToken.None).Read();
        string[] notes = [.. output.ToString().Split('\n').Select(line => line.Trim())
            .Where(line => line.StartsWith("note: ", StringComparison.Ordinal))];
        Assert.That(notes, Does.Contain("note: 10 files, the first b/0.tif: a stack; the first of 2 pages is taken"));
        Assert.That(notes.Count(note => note.Contains("b/0.tif")), Is.EqualTo(1));
    }

    [TestCase(-32768, 31_744, 1, -1024, 3071), TestCase(0, 31_744, 1, 31_744, 35_839), TestCase(-32768, 32_768, 1, 0, 4095)]
    [TestCase(0, 0, 1, 0, 4095), TestCase(0, 900, 1, 0, 8191)]
    [TestCase(0, 0, 16, null, null), TestCase(0, 15_000, 10, null, null), TestCase(-32768, 0, 16, null, null)]
    public void A_range_that_uses_little_of_16_bits_is_scaled(int origin, int first, int step, int? low, int? high)
    {
        Image image = Ramp(origin, first, step);
        List<string> said = [];
        PreparedData prepared = Prepared(said, image, image, image);
        string window = $"window:{low},{high}";
        Assert.That($"{prepared.Intensity(null)}", Is.EqualTo(low is null ? "none" : window));
        Assert.That(
            string.Join('\n', said),
            Is.EqualTo(low is null ? "" : $"intensity: values {low} to {high} become 0 to 1 (--intensity {window})"));
        Assert.That(prepared.Intensity(Intensity.Range), Is.SameAs(Intensity.Range), "what is asked for holds");
    }

    [Test]
    public void Signed_values_beside_8_bits_are_refused()
    {
        Image image = Ramp(-32768, 31_744, 1);
        Assert.That(
            () => Prepared([], image, new Image(64, 64, 1), image).Intensity(null),
            Throws.TypeOf<DatasetException>().With.Message.StartsWith(
                "2 of 3 images have values -1024 to 3071 in files of 16, the others 8; say how to compare them"));
    }

    [Test]
    public void A_balanced_run_is_resumed_with_the_meaning_that_its_masks_had()
    {
        using TemporaryFolder folder = new();
        for (int i = 0; i < 3; i++)
        {
            folder.Write($"{i}.png", Pictures.Marked(2, 2, 3, i));
            folder.Write($"{i}_mask.png", new Image(2, 2, 1, [0, 0, 1, (byte)i]));
        }
        folder.Write("classes.txt", "road\ncar\ntree\nsky"u8.ToArray());
        SegmentationFolder data = new(folder.Root);
        Assert.That(() => data.ReadMasks([0, 1, 2]), Throws.TypeOf<DatasetException>(), "the first name may be that of 0 or of 1");
        MaskMeaning meaning = MaskMeaning.Of(MaskEncoding.Gray, null, [0, 1, 2], [0, 1, 2], ["background", "1", "2"]);
        data.Meaning = meaning;
        string path = Path.Combine(folder.Root, "split.json");
        SplitFile.Of(data, new Split([0], [1], [2]), new Dictionary<string, string>(), meaning).Write(path);
        PreparedData.Request request = new(new SplitOptions { Protocol = SplitProtocol.Image }, OnBadImage.Fail, CacheBytes: 1 << 20)
        {
            Balance = true,
        };
        PreparedData prepared = PreparedData.Resume(path, new SegmentationFolder(folder.Root), request);
        Assert.That(prepared.Images.Labels, Is.EqualTo(meaning.Labels));
        Assert.That(prepared.Images.Stratum(2), Is.EqualTo(2));
    }

    [Test]
    public void A_name_that_is_twice_in_test_is_refused_in_a_file_of_the_user_alone()
    {
        Image image = new(8, 8, 1);
        Given data = new([image, image, image]);
        SplitFile user = new(["0"], ["1"], ["2", "2"]), run = user with { Labels = ["a", "b"] };
        Assert.That(() => user.Of("s", data), Throws.TypeOf<DatasetException>().With.Message.StartsWith("s: '2' is listed twice"));
        Assert.That(run.Of("s", data).Test, Is.EqualTo(new[] { 2, 2 }), "older versions wrote it so");
        Assert.That(
            () => (run with { Test = ["2", "0"] }).Of("s", data),
            Throws.TypeOf<DatasetException>().With.Message.StartsWith("s: '0' is listed twice"));
    }

    private static Image Ramp(int origin, int first, int step)
    {
        ushort[] samples = [.. Enumerable.Range(0, 4096).Select(i => (ushort)(first + step * i))];
        return new Image(64, 64, 1, samples) { Origin = origin };
    }

    private static PreparedData Prepared(List<string> said, params Image[] images)
    {
        Given data = new(images);
        return new PreparedData(data, new CachedData(data, 0), new Split([0], [1], [2]))
        {
            File = new SplitFile([], [], []),
            Survey = DataSurvey.Of(data, [.. Enumerable.Range(0, images.Length)], OnBadImage.Fail),
            Tell = said.Add,
        };
    }

    private sealed class Given(Image[] images) : IImageData
    {
        public ModelTask Task => ModelTask.Classification;

        public IReadOnlyList<string> Labels { get; } = ["a", "b"];

        public int Count => images.Length;

        public string Name(int index) => $"{index}";

        public Sample Load(int index) => new ClassificationSample(images[index], 0);
    }
}
