using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Measurement;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Verification;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Robustness;

/// <summary>
/// Every call of the library that may take longer than a second can be stopped, at once, and leaves no file half written.
/// </summary>
[NonParallelizable] // memory that is rented is counted over all threads
internal sealed class CancellationTests
{
    private static readonly TrainingPlan s_plan = new(TrainingRecipe.UNet, Objective.Segmentation(LossKind.Dice), 1e-3, Epochs: 2);

    private static readonly Dictionary<string, Action<string, CancellationToken>> s_calls = new()
    {
        ["Safetensors.Write"] = (f, stop) =>
            Safetensors.Write(In(f, "new"), [("a", Tensor.Zeros(9))], new Dictionary<string, string>(), stop),
        ["Safetensors.WriteSealed"] = (f, stop) =>
            Safetensors.WriteSealed(In(f, "new"), [("a", Tensor.Zeros(9))], new Dictionary<string, string>(), stop),
        ["Safetensors.Write of a file"] = (f, stop) =>
        {
            using WeightFile source = WeightFile.Open(In(f, "unet"));
            Safetensors.Write(In(f, "new"), source, new Dictionary<string, string>(), stop);
        },
        ["WeightFile.CopyTo"] = (f, stop) =>
        {
            using WeightFile source = WeightFile.Open(In(f, "unet"));
            source.CopyTo(source.Names[0], Stream.Null, stop);
        },
        ["SafetensorsFile.OpenSealed"] = (f, stop) => SafetensorsFile.OpenSealed(In(f, "sealed"), stop),
        ["ModelFile.Save"] = (f, stop) => ModelFile.Save(In(f, "unet"), Small("unet"), Info("unet"), stop),
        ["ModelFile.Load"] = (f, stop) => ModelFile.Load(In(f, "unet"), stop),
        ["ModelFile.LoadForeign"] = (f, stop) =>
        {
            using WeightFile source = WeightFile.Open(In(f, "unet"));
            ModelFile.LoadForeign(source, new ForeignModel(Registry.Find("unet"), NormalizationKind.None), stop);
        },
        ["ModelFile.Convert"] = (f, stop) =>
        {
            using WeightFile source = WeightFile.Open(In(f, "unet"));
            ModelFile.Convert(In(f, "vit"), source, Info("unet"), stop);
        },
        ["Segmenter.Load"] = (f, stop) => Segmenter.Load(In(f, "unet"), stop),
        ["Classifier.Load"] = (f, stop) => Classifier.Load(In(f, "vit"), stop),
        ["ImageFile.Find"] = (f, stop) => ImageFile.Find(In(f, "pairs"), stop),
        ["SegmentationFolder"] = (f, stop) => _ = new SegmentationFolder(In(f, "pairs"), cancellation: stop),
        ["ClassFolder"] = (f, stop) => _ = new ClassFolder(In(f, "classes"), stop),
        ["Cifar10"] = (f, stop) => _ = new Cifar10(In(f, "cifar"), stop),
        ["Mnist"] = (f, stop) => _ = new Mnist(In(f, "mnist"), stop),
        ["ImageDataSource.Open"] = (f, stop) => ImageDataSource.Open(In(f, "pairs"), cancellation: stop),
        ["SegmentationFolder.ReadMasks"] = (f, stop) => new SegmentationFolder(In(f, "pairs")).ReadMasks([0], cancellation: stop),
        ["DataSurvey.Of"] = (f, stop) => DataSurvey.Of(Slices(), [0, 1], OnBadImage.Skip, cancellation: stop),
        ["BatchLoader.Epoch"] = (f, stop) =>
        {
            using BatchLoader loader = Loader(Slices());
            loader.Epoch(0, cancellation: stop).First().Dispose();
        },
        ["Evaluator.Run"] = (f, stop) =>
        {
            using BatchLoader loader = Loader(Slices());
            Evaluator.Run(Small("unet"), loader, Objective.Segmentation(LossKind.Dice), cancellation: stop);
        },
        ["Trainer.Save"] = (f, stop) =>
        {
            using BatchLoader loader = Loader(Slices());
            Trainer trainer = new(Small("unet"), loader, loader, s_plan);
            trainer.Save(In(f, "sealed"), trainer.State, stop);
        },
        ["ModelMeasurement.Of"] = (f, stop) => ModelMeasurement.Of(StepConfig.Of(Registry.Find("resnet20"), training: false), 1, stop),
        ["PassTimes.Measure"] = (f, stop) => PassTimes.Measure(() => { }, 1, stop),
        ["Verifier.Find"] = (f, stop) => Verifier.Find([f], stop),
        ["Verifier.Run"] = (f, stop) => Verifier.Run(In(f, "golden.json"), stop),
        ["ModelGolden.Run"] = (f, stop) => ModelGolden.Run(In(f, "golden.json"), stop),
    };

    private string _folder = null!;

    private static IEnumerable<string> Calls => s_calls.Keys;

    [OneTimeSetUp]
    public void MakeFiles()
    {
        _folder = Directory.CreateTempSubdirectory("mamba-").FullName;
        foreach (string name in new[] { "unet", "vit" }) ModelFile.Save(In(_folder, name), Small(name), Info(name));
        Safetensors.WriteSealed(In(_folder, "sealed"), [("a", Tensor.Zeros(9))], new Dictionary<string, string>());
        foreach (string folder in new[] { "pairs", "classes/a", "classes/b", "cifar", "mnist" })
            Directory.CreateDirectory(In(_folder, folder));
        foreach (string picture in new[] { "pairs/x", "pairs/x_mask", "classes/a/x", "classes/b/x" })
            ImageFile.SavePng(In(_folder, picture + ".png"), Pictures.Smooth(32, 32, 1));
        foreach (string name in new[] { "data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch" })
            File.WriteAllBytes(In(_folder, "cifar", name + ".bin"), new byte[3073]);
        foreach (string part in new[] { "train", "t10k" })
        {
            File.WriteAllBytes(In(_folder, "mnist", $"{part}-images-idx3-ubyte"), [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7]);
            File.WriteAllBytes(In(_folder, "mnist", $"{part}-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 1, 7]);
        }
        File.Copy(ReferenceData.Path("goldens/models/ul-vm-unet.json"), In(_folder, "golden.json"));
    }

    [OneTimeTearDown]
    public void RemoveFiles() => Directory.Delete(_folder, recursive: true);

    [TestCaseSource(nameof(Calls))]
    public void A_call_that_is_stopped_says_so_and_changes_nothing(string call)
    {
        Dictionary<string, byte[]> before = Contents();
        Assert.That(() => s_calls[call](_folder, new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Contents(), Is.EqualTo(before));
    }

    [Test]
    public void The_files_are_good_if_nobody_stops()
    {
        // Else a call could end for another reason than its token.
        string[] calls =
        [
            "SafetensorsFile.OpenSealed", "ModelFile.Load", "ModelFile.LoadForeign", "Segmenter.Load", "Classifier.Load",
            "SegmentationFolder", "ClassFolder", "Cifar10", "Mnist", "BatchLoader.Epoch",
        ];
        foreach (string call in calls)
            Assert.That(() => s_calls[call](_folder, CancellationToken.None), Throws.Nothing, call);
    }

    [Test]
    public void A_conversion_that_is_stopped_midway_leaves_the_file_that_was_there()
    {
        const int Numbers = 3 << 20;
        string source = In(_folder, "large"), target = In(_folder, "target");
        Safetensors.Write(source, [("a", Tensor.Full(1f, Numbers)), ("b", Tensor.Full(1f, Numbers))], new Dictionary<string, string>());
        File.WriteAllText(target, "what was there");
        Dictionary<string, byte[]> before = Contents();
        using CancellationTokenSource stop = new();
        using Tripwire stream = new(File.ReadAllBytes(source), at: 4 * Numbers, stop.Cancel);
        using WeightFile file = WeightFile.Read("large", stream);
        Assert.That(
            () => Safetensors.Write(target, file, new Dictionary<string, string>(), stop.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(stream.Position, Is.InRange(4 * Numbers, 8 * Numbers - 1), "it had begun, and did not go on to the end");
        Assert.That(Contents(), Is.EqualTo(before));
    }

    [Test]
    public void A_data_file_that_is_stopped_midway_is_not_read_to_its_end()
    {
        const int Records = 4000; // 12 MB
        using CancellationTokenSource stop = new();
        using Tripwire stream = new(new byte[3073 * Records], at: 2 << 20, stop.Cancel);
        Assert.That(() => Cifar10.ReadRecords("file", stream, stop.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(stream.Position, Is.LessThan(4 << 20));
    }

    [Test]
    public void An_evaluation_that_is_stopped_takes_no_further_batch()
    {
        using CancellationTokenSource stop = new();
        using BatchLoader loader = Loader(Slices());
        VisionModel model = Small("unet");
        List<int> seen = [];
        void Progress(int images)
        {
            seen.Add(images);
            stop.Cancel();
        }

        Assert.That(
            () => Evaluator.Run(model, loader, Objective.Segmentation(LossKind.Dice), Progress, cancellation: stop.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(seen, Is.EqualTo(new[] { 2 }));
        Assert.That(model.Parameters.IsFrozen, Is.False, "as it was before");
        Assert.That(loader.Epoch(0).Count(), Is.EqualTo(4), "the loader can be used again");
    }

    [Test]
    public void Who_waits_for_a_batch_is_let_go()
    {
        using CancellationTokenSource stop = new();
        using BatchLoader loader = Loader(new Watched(Slices(), stop.Cancel, at: 5));
        List<int[]> seen = [];
        Assert.That(
            () =>
            {
                foreach (Batch batch in loader.Epoch(0, cancellation: stop.Token))
                {
                    seen.Add(batch.Indices);
                    batch.Dispose();
                }
            },
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(seen, Has.Count.LessThan(3)); // sample 5 is of the third batch
    }

    [Test]
    public void What_is_disposed_gives_its_memory_back_and_is_not_used_again()
    {
        long before = RentedMemory.OfTheLiving();
        Segmenter segmenter = new(Small("unet"), Info("unet"));
        Classifier classifier = new(Small("vit"), Info("vit"));
        Assert.That(BufferPool.Rented, Is.GreaterThan(before));
        segmenter.Dispose();
        classifier.Dispose();
        Assert.That(BufferPool.Rented, Is.EqualTo(before));
        segmenter.Dispose(); // once more does nothing
        Assert.That(() => segmenter.Segment(Pictures.Smooth(32, 32, 3)), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => classifier.Classify(Pictures.Smooth(32, 32, 3)), Throws.TypeOf<ObjectDisposedException>());
    }

    private static string In(params string[] parts) => Path.Combine(parts);

    private Dictionary<string, byte[]> Contents() =>
        Directory.GetFiles(_folder, "*", SearchOption.AllDirectories).ToDictionary(path => path, File.ReadAllBytes);

    private static SyntheticLesions Slices() => new(seed: 1, count: 8, 32, 32);

    private static BatchLoader Loader(IImageData data) =>
        new(data, [.. Enumerable.Range(0, data.Count)], new BatchOptions { BatchSize = 2, Height = 32, Width = 32 });

    private static ModelConfig Config(string name) => Registry.Find(name).Config with { Width = name == "vit" ? 24 : 4, Depth = 2 };

    private static VisionModel Small(string name) => Registry.Find(name).Create(Config(name));

    private static ModelInfo Info(string name) =>
        new(
            name, Config(name), [.. Enumerable.Range(0, Config(name).Classes).Select(i => $"class {i}")], Normalization.None(3),
            new RunData(SplitProtocol.Image, 0, null, 32, 32));

    /// <summary>A data set in which somebody asks to stop while one sample is read.</summary>
    private sealed class Watched(IImageData source, Action reached, int at) : IImageData
    {
        public ModelTask Task => source.Task;

        public IReadOnlyList<string> Labels => source.Labels;

        public int Count => source.Count;

        public string Name(int index) => source.Name(index);

        public Sample Load(int index)
        {
            if (index == at) reached();
            return source.Load(index);
        }
    }

    /// <summary>Bytes during the reading of which somebody asks to stop.</summary>
    private sealed class Tripwire(byte[] bytes, int at, Action reached) : MemoryStream(bytes, writable: false)
    {
        public override int Read(byte[] buffer, int offset, int count) // into a span comes here, too
        {
            int read = base.Read(buffer, offset, count);
            if (Position >= at) reached();
            return read;
        }
    }
}
