using Mamba.Core.Checkpoints;
using Mamba.Core.Simd;
using Mamba.Models.Verification;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Every model of the zoo against PyTorch, at the widest vectors; the small ones at every width.</summary>
internal sealed class ModelGoldenTests
{
    private static readonly string[] s_second = ["resnet8"]; // whose values are in the second folder

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

    private static void Check(string name)
    {
        string folder = s_second.Contains(name) ? "goldens2" : "goldens";
        string path = ReferenceData.Path($"{folder}/models/{name}.json"); // before the scope, in which no test can be skipped
        using (Assert.EnterMultipleScope())
            foreach (VerificationResult result in ModelGolden.Run(path))
                Assert.That(result.Passed, $"{result.Case}: {result.Message}");
    }
}
