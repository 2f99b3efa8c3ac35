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
    private static readonly string[] s_later =
    [
        "discretize", "fft", "hippo", "hippo_nplr", "hippo_online", "irfft", "long_conv", "lti_dense", "lti_scan", "mamba2", "mamba3",
        "mamba3_siso", "rfft",
        "rms_norm_gated", "s4", "s4_kernel", "s4d", "s4d_init", "s4d_kernel", "ssd",
    ];

    public static IEnumerable<string> Files => ReferenceData.Files("goldens/ops", "*.safetensors").Concat(
        ReferenceData.Files("goldens2/ops", "*.safetensors").Where(f => !s_later.Contains(Path.GetFileName(f).Split('.')[0])));

    [TestCaseSource(nameof(Files))]
    public void Agrees_with_PyTorch(string file)
    {
        string path = ReferenceData.Path(file);
        using IDisposable _ = Isa.Use(width);
        VerificationResult result = OperatorGolden.Run(path);
        Assert.That(result.Passed, result.Message);
    }
}
