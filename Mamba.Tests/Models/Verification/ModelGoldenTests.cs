using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using Mamba.Models.Verification;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Every model of the zoo against PyTorch, at the widest vectors; the small ones at every width.</summary>
internal sealed class ModelGoldenTests
{
    private static readonly string[] s_second = // whose values are in the second folder
    [
        "resnet8", "performer", "performer-relu", "alexnet", "vgg11", "googlenet", "inception-v3", "mobilenet-v2", "efficientnet-b0",
        "regnet-x-400mf", "regnet-y-400mf",
    ];

    /// <summary>Some models have half a gigabyte of weights, and as much of gradients.</summary>
    [TearDown]
    public void ReleaseMemory() => MemoryScope.Trim();

    public static IEnumerable<string> Names => Registry.Models.Select(m => m.Name);

    [TestCaseSource(nameof(Names))]
    public void Model_equals_its_original(string name) => Check(name);

    [Test]
    public void Smallest_model_equals_its_original_at_every_width([ValueSource(typeof(Isas), nameof(Isas.All))] VectorWidth width)
    {
        using IDisposable _ = Isa.Use(width);
        Check("ul-vm-unet");
    }

    [TestCase("\"betas\"", "\"bet\""), TestCase("[0.9,0.999]", "[]"), TestCase("\"mode\"", "\"mod\"")]
    [TestCase("\"samples\":[[", "\"samples\":[[-1,0],[")]
    [TestCase("\"samples\":[[", "\"samples\":[[2147483647,0],["), TestCase("\"samples\":[[", "\"samples\":[[0],[")]
    [TestCase("\"samples\":[[", "\"samples\":[[0,1e400],["), TestCase("\"samples\":[[", "\"samples\":[null,[")]
    [TestCase("\"name\":\"input.0\",\"shape\":[1,", "\"name\":\"input.0\",\"shape\":[1000000,")]
    [TestCase("\"name\":\"input.0\",\"shape\":[1,3", "\"name\":\"input.0\",\"shape\":[65536,65536")]
    [TestCase("\"name\":\"input.0\",\"shape\":[1,3", "\"name\":\"input.0\",\"shape\":[1,-3")]
    [TestCase("\"name\":\"input.0\",\"shape\":[1,3", "\"name\":\"input.0\",\"shape\":[1,1,1,1,1,3")]
    [TestCase("\"model\":\"ul-vm-unet\"", "\"model\":null"), TestCase("\"name\":\"input.0\"", "\"name\":\"\\ud800\"")]
    [TestCase("\"tolerance\":{", "\"tolerance\":7,\"x\":{")]
    public void A_malformed_file_is_refused_by_name(string text, string instead)
    {
        string golden = File.ReadAllText(ReferenceData.Path("goldens/models/ul-vm-unet.json")), path = Path.GetTempFileName();
        Assert.That(golden.Contains(text, StringComparison.Ordinal));
        File.WriteAllText(path, golden.Replace(text, instead, StringComparison.Ordinal));
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            Assert.That(() => ModelGolden.Run(path), Throws.TypeOf<CheckpointException>().With.Message.Contains(path));
            Assert.That(
                GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(4 << 20), "no tensor is made before all of the file is read");
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>A file may choose the sizes of a model that has them.</summary>
    [Test]
    public void The_configuration_of_a_file_counts()
    {
        string golden = File.ReadAllText(ReferenceData.Path("goldens2/models/performer.json")), path = Path.GetTempFileName();
        try
        {
            (string Text, string Message)[] changes =
                [("\"features\":96", "expected transformer.layers.0.0.fast_attention.projection_matrix (266, 64)"),
                    ("\"features\":0", "'features' is 0; expected 1 to 4096"), ("\"features\":5000", "'features' is 5000")];
            foreach ((string text, string message) in changes)
            {
                File.WriteAllText(path, golden.Replace("\"features\":266", text, StringComparison.Ordinal));
                VerificationResult result = ModelGolden.Run(path).Single();
                Assert.That(result.Passed, Is.False);
                Assert.That(result.Message, Does.Contain(message));
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static void Check(string name)
    {
        string folder = s_second.Contains(name) ? "goldens2" : "goldens";
        // Torchvision's names have underscores.
        string file = folder == "goldens2" && !name.StartsWith("performer", StringComparison.Ordinal) ? name.Replace('-', '_') : name;
        string path = ReferenceData.Path($"{folder}/models/{file}.json"); // before the scope, in which no test can be skipped
        using (Assert.EnterMultipleScope())
            foreach (VerificationResult result in ModelGolden.Run(path))
                Assert.That(result.Passed, $"{result.Case}: {result.Message}");
    }
}
