using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Simd;
using Mamba.Models.Verification;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class OperatorGoldenTests(VectorWidth width)
{
    public static IEnumerable<string> Files => ReferenceData.Files("goldens/ops", "*.safetensors")
        .Concat(ReferenceData.Files("goldens2/ops", "*.safetensors"));

    [TestCaseSource(nameof(Files))]
    public void Agrees_with_PyTorch(string file)
    {
        string path = ReferenceData.Path(file);
        using IDisposable _ = Isa.Use(width);
        VerificationResult result = OperatorGolden.Run(path);
        Assert.That(result.Passed, result.Message);
    }
}
