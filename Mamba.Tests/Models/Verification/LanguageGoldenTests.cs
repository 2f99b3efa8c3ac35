using Mamba.Core.Simd;
using Mamba.Models.Verification;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The language models against PyTorch, at every width of vectors.</summary>
internal sealed class LanguageGoldenTests
{
    [Test]
    public void Language_model_equals_its_original(
        [Values("mamba-lm", "transformer-lm")] string name, [ValueSource(typeof(Isas), nameof(Isas.All))] VectorWidth width)
    {
        using IDisposable _ = Isa.Use(width);
        string path = ReferenceData.Path($"goldens2/models/{name}.json"); // before the scope, in which no test can be skipped
        IReadOnlyList<VerificationResult> results = ModelGolden.Run(path);
        Assert.That(
            results.Select(r => r.Case), Is.EqualTo(new[] { "parameters", "eval", "eval-2", "loss", "optimize", "generate" }));
        using (Assert.EnterMultipleScope())
            foreach (VerificationResult result in results) Assert.That(result.Passed, $"{result.Case}: {result.Message}");
    }

    [TestCase("\"tokens\":[[", "\"tokens\":[[51,", "generate"), TestCase("\"loss\":4.", "\"loss\":5.", "loss")]
    [TestCase("\"losses\":[4.", "\"losses\":[3.", "optimize"), TestCase("\"d_conv\":4", "\"d_conv\":3", "parameters")]
    public void A_wrong_number_fails_its_case(string text, string instead, string failing)
    {
        using TemporaryFolder folder = new();
        string golden = File.ReadAllText(ReferenceData.Path("goldens2/models/mamba-lm.json")), path = Path.Combine(folder.Root, "lm.json");
        Assert.That(golden.Contains(text, StringComparison.Ordinal));
        File.WriteAllText(path, golden.Replace(text, instead, StringComparison.Ordinal));
        Assert.That(ModelGolden.Run(path).Where(r => !r.Passed).Select(r => r.Case), Is.EqualTo(new[] { failing }));
    }

    [TestCase("\"d_model\":32", "\"d_model\":\"wide\""), TestCase("\"n_layer\":2", "\"layers\":2")]
    public void A_configuration_without_its_sizes_is_unsupported_by_name(string text, string instead)
    {
        using TemporaryFolder folder = new();
        string golden = File.ReadAllText(ReferenceData.Path("goldens2/models/mamba-lm.json")), path = Path.Combine(folder.Root, "lm.json");
        File.WriteAllText(path, golden.Replace(text, instead, StringComparison.Ordinal));
        VerificationResult result = ModelGolden.Run(path).Single();
        Assert.That(result.Status, Is.EqualTo(VerificationStatus.Unsupported));
        Assert.That(result.Message, Does.Contain(text[1..text.IndexOf('"', 1)]));
    }
}
