using Mamba.Core.Simd;
using Mamba.Models.Verification;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The classifiers of sequences against PyTorch, at every width of vectors.</summary>
internal sealed class ClassifierGoldenTests
{
    [Test]
    public void Classifier_equals_its_original(
        [Values("s4d-classifier", "s4d-classifier-prenorm")] string name, [ValueSource(typeof(Isas), nameof(Isas.All))] VectorWidth width)
    {
        using IDisposable _ = Isa.Use(width);
        string path = ReferenceData.Path($"goldens2/models/{name}.json"); // before the scope, in which no test can be skipped
        IReadOnlyList<VerificationResult> results = ModelGolden.Run(path);
        Assert.That(
            results.Select(r => r.Case), Is.EqualTo(new[] { "parameters", "eval", "eval-2", "train", "optimize", "optimize-2" }));
        using (Assert.EnterMultipleScope())
            foreach (VerificationResult result in results) Assert.That(result.Passed, $"{result.Case}: {result.Message}");
    }

    [TestCase("\"losses\":[2.", "\"losses\":[3.", "optimize")]
    [TestCase("\"lr\":0.001,\"weight_decay\":0.0}]", "\"lr\":0.1,\"weight_decay\":0.0}]", "optimize-2")]
    [TestCase("\"d_state\":64", "\"d_state\":32", "parameters")]
    public void A_wrong_number_fails_its_case(string text, string instead, string failing)
    {
        using TemporaryFolder folder = new();
        string golden = File.ReadAllText(ReferenceData.Path("goldens2/models/s4d-classifier.json"));
        string path = Path.Combine(folder.Root, "s4d.json");
        int at = golden.IndexOf(text, StringComparison.Ordinal);
        Assert.That(at, Is.Not.Negative);
        File.WriteAllText(path, golden[..at] + instead + golden[(at + text.Length)..]); // the first one alone
        Assert.That(ModelGolden.Run(path).Where(r => !r.Passed).Select(r => r.Case), Is.EqualTo(new[] { failing }));
    }

    [TestCase("\"d_model\":16", "\"d_model\":\"wide\""), TestCase("\"n_layers\":2", "\"layers\":2")]
    public void A_configuration_without_its_sizes_is_unsupported_by_name(string text, string instead)
    {
        using TemporaryFolder folder = new();
        string golden = File.ReadAllText(ReferenceData.Path("goldens2/models/s4d-classifier.json"));
        string path = Path.Combine(folder.Root, "s4d.json");
        File.WriteAllText(path, golden.Replace(text, instead, StringComparison.Ordinal));
        VerificationResult result = ModelGolden.Run(path).Single();
        Assert.That(result.Status, Is.EqualTo(VerificationStatus.Unsupported));
        Assert.That(result.Message, Does.Contain(text[1..text.IndexOf('"', 1)]));
    }
}
