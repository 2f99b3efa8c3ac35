using Mamba.Core.Simd;

namespace Mamba.Tests.Support;

/// <summary>The vector widths of this machine, as a test source: every operator runs at each of them in one process.</summary>
internal static class Isas
{
    public static IEnumerable<VectorWidth> All => Isa.Supported;
}
