using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Simd;
using Mamba.Models.Verification;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class OperatorGoldenTests(VectorWidth width)
{
    // State-space theory, Mamba-2 and Mamba-3: their operators are not built yet.
    private static readonly string[] s_notBuilt =
    [
        "mamba2", "mamba3", "mamba3_siso", "rms_norm_gated", "ssd",
    ];

    public static IEnumerable<string> Files => ReferenceData.Files("goldens/ops", "*.safetensors")
        .Concat(ReferenceData.Files("goldens2/ops", "*.safetensors").Where(file => !s_notBuilt.Contains(Operator(file))));

    public static IEnumerable<string> NotBuilt =>
        ReferenceData.Files("goldens2/ops", "*.safetensors").Where(file => s_notBuilt.Contains(Operator(file)));

    [TestCaseSource(nameof(Files))]
    public void Agrees_with_PyTorch(string file)
    {
        string path = ReferenceData.Path(file);
        using IDisposable _ = Isa.Use(width);
        VerificationResult result = OperatorGolden.Run(path);
        Assert.That(result.Passed, result.Message);
    }

    [TestCaseSource(nameof(NotBuilt))]
    public void An_operator_that_is_not_built_is_unsupported_by_name(string file)
    {
        VerificationResult result = OperatorGolden.Run(ReferenceData.Path(file));
        Assert.That(result.Status, Is.EqualTo(VerificationStatus.Unsupported), "built? take it off the list");
        Assert.That(result.Message, Does.StartWith($"unknown operator '{Operator(file)}"));
    }

    /// <summary>The operator of a file, which is named OPERATOR.CASE.safetensors.</summary>
    private static string Operator(string file) => Path.GetFileName(file).Split('.')[0];
}
