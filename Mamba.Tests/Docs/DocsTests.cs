using System.Text.Json.Serialization.Metadata;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using Mamba.Examples;
using Mamba.Models.Language;
using Mamba.Models.Training;
using Mamba.Tests.Support;

namespace Mamba.Tests.Docs;

/// <summary>
/// The examples in docs/ do what their pages say. They are a project of their own, which sees no more of the library than anyone.
/// </summary>
internal sealed class DocsTests
{
    internal const int Pixels = 32 * 32, RecordBytes = 1 + 3 * Pixels;

    [TestCase("your-own-model.md", "MambaCifar.cs"), TestCase("custom-operator.md", "Swish.cs"), TestCase("embedding.md", "Embedding.cs")]
    [TestCase("study.md", "StudyOfYourModel.cs"), TestCase("language-models.md", "Generation.cs")]
    public void A_page_shows_the_code_that_is_compiled(string page, string code)
    {
        string docs = Path.Combine(AppContext.BaseDirectory, "docs"),
            source = File.ReadAllText(Path.Combine(docs, "examples", code)).TrimEnd();
        Assert.That(File.ReadAllText(Path.Combine(docs, page)), Does.Contain($"```csharp\n{source}\n```"));
    }

    [Test]
    public void The_page_of_formats_lists_what_args_json_holds()
    {
        string page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "docs", "formats.md")).ReplaceLineEndings("\n");
        string list = page.Split("The entries, in this order:\n\n")[1].Split("\n\n")[0];
        Assert.That(
            list.TrimEnd('.').Split(',').Select(entry => entry.Trim().Trim('`')),
            Is.EqualTo(RunJson.Default.RunDocument.Properties.Select(property => property.Name)));
    }

    [Test]
    public void The_page_of_formats_lists_the_keys_of_JSON()
    {
        string page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "docs", "formats.md"));
        JsonTypeInfo[] documents =
        [
            ReportJson.Default.GenerateDocument, ReportJson.Default.ScalingDocument, ReportJson.Default.ScalingPointDocument,
            ReportJson.Default.RegionDocument, ReportJson.Default.GroupDocument,
        ];
        foreach (JsonTypeInfo document in documents)
            Assert.That(page, Does.Contain($"`{{{string.Join(", ", document.Properties.Select(property => property.Name))}}}`"));
    }

    // The expected values are those of a forward pass in double precision, written apart from this library, over the checkpoint's float32
    // weights.
    [Test]
    public void The_strangers_checkpoint_gives_the_logits_of_a_forward_pass_in_double_precision()
    {
        MambaCifar model = Pretrained();
        Tensor images = Tensor.Zeros(2, 32, 32, 3);
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++)
                for (int c = 0; c < 3; c++)
                {
                    int at = (y * 32 + x) * 3 + c;
                    images.Span[at] = (60 + 3 * x + 2 * y + 10 * c) / 127.5f - 1;
                    images.Span[3 * Pixels + at] = (220 - ((y - 16) * (y - 16) + (x - 12) * (x - 12)) / 4 - 20 * c) / 127.5f - 1;
                }
        GradCheck.Close(
            [
                2.51753156, -5.810425211, -0.909991654, 2.86839139, 0.648539572, 1.309180507, 0.621041601, -5.638501495, 2.964045531,
                -1.688620514,
                0.225330066, -2.589910311, 0.81481941, 3.478223562, -0.625438021, 1.649807733, 0.668176455, -4.890080082, 0.433681856,
                0.683755108,
            ],
            model.Forward(images).Span, 2e-5, "logits");
        Assert.That(model.Predict(images), Is.EqualTo(new[] { 8, 3 }));
    }

    [Test]
    public void The_strangers_checkpoint_has_its_accuracy_on_the_test_images()
    {
        string file = Environment.GetEnvironmentVariable("MAMBA_CIFAR10") is { Length: > 0 } folder
            ? Path.Combine(folder, "test_batch.bin")
            : ReferenceData.Path("data/cifar-10/test_batch.bin");
        if (!File.Exists(file)) Assert.Ignore($"No '{file}': MAMBA_CIFAR10 names no folder with CIFAR-10's binary version.");
        MambaCifar model = Pretrained();
        byte[] records = File.ReadAllBytes(file);
        int count = records.Length / RecordBytes, right = 0;
        foreach (int[] batch in Enumerable.Range(0, count).Chunk(100))
        {
            int[] classes = model.Predict(Images(records, batch));
            right += batch.Where((image, i) => records[image * RecordBytes] == classes[i]).Count();
        }
        Assert.That(100.0 * right / count, Is.EqualTo(66.47).Within(0.05));
    }

    [Test]
    public void The_model_trains()
    {
        ParameterStore store = new(seed: 1);
        MambaCifar model = new(new Scope(store));
        Assert.That(store.ParameterCount, Is.EqualTo(69_066));
        Adam optimizer = new(store.Parameters, learningRate: 3e-3);
        Tensor images = Numbers.Random(5, 3, 32, 32, 3);
        // red, green, blue
        for (int i = 0; i < images.Count; i++) images.Span[i] = 0.3f * images.Span[i] + (i % 3 == i / (3 * Pixels) ? 0.6f : 0f);
        int[] labels = [0, 1, 2];
        float first = model.TrainStep(optimizer, images, labels), last = first;
        for (int step = 0; step < 40; step++) last = model.TrainStep(optimizer, images, labels);
        Assert.That(model.Predict(images), Is.EqualTo(labels));
        Assert.That(last, Is.LessThan(first / 2));
    }

    [TestCaseSource(typeof(Isas), nameof(Isas.All))]
    public void The_custom_operator_agrees_with_finite_differences(Mamba.Core.Simd.VectorWidth width) => OperatorCheck.Run(
        width,
        x => Swish.Apply(x[0], x[1]),
        x => Array.ConvertAll(x[0], v => v / (1 + Math.Exp(-x[1][0] * v))),
        [Numbers.Uniform(1, -4, 4, 3, 5, 7), Tensor.From([1.5f], 1)]);

    [Test]
    public void The_custom_operator_takes_frozen_inputs_and_refuses_others()
    {
        Tensor x = Numbers.Random(1, 2, 3), beta = Tensor.From([0.5f], 1);
        Func<double[][], double[]> naive = v => Array.ConvertAll(v[0], u => u / (1 + Math.Exp(-v[1][0] * u)));
        GradCheck.Check(v => Swish.Apply(v[0], v[1]), naive, [x, beta], 1e-5, frozen: 0);
        GradCheck.Check(v => Swish.Apply(v[0], v[1]), naive, [x, beta], 1e-5, frozen: 1);
        OperatorCheck.Refuses("Swish", () => Swish.Apply(x, x));
    }

    /// <summary>A model of bytes has no token that ends a text: the limit ends it.</summary>
    [TestCase("mamba-lm", 10, 10), TestCase("transformer-lm", 10, 4)]
    public void A_text_is_continued_up_to_a_limit(string name, int most, int expected)
    {
        using TemporaryFolder folder = new();
        using (LanguageModel model = LanguageRegistry.Find(name).Create(new(256, Width: 16, Depth: 1) { Positions = 6 }, seed: 5))
        {
            model.Parameters["backbone.embedding.weight"].Span[(128 * 16)..].Clear(); // such bytes are not the most probable
            LanguageFolder.Save(folder.Root, name, model);
        }
        Assert.That(Generation.Continue(folder.Root, "abc", most), Has.Length.EqualTo(expected));
    }

    internal static MambaCifar Pretrained()
    {
        MambaCifar model = new(new Scope(new ParameterStore()));
        model.Load(ReferenceData.Path("weights/mamba_cifar.pth"));
        return model;
    }

    /// <summary>Records of CIFAR-10's binary version, a label and three planes each, as the model takes them.</summary>
    internal static Tensor Images(byte[] records, int[] which)
    {
        float[] values = new float[which.Length * 3 * Pixels];
        for (int i = 0; i < which.Length; i++)
            for (int p = 0; p < Pixels; p++)
                for (int c = 0; c < 3; c++)
                    values[(i * Pixels + p) * 3 + c] = records[which[i] * RecordBytes + 1 + c * Pixels + p] / 127.5f - 1;
        return Tensor.From(values, which.Length, 32, 32, 3);
    }
}
