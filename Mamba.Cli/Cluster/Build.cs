using System.Reflection;
using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Models.Training;

namespace Mamba.Cli.Cluster;

/// <summary>What this program is: two silos with other kernels would give other bits.</summary>
internal static class Build
{
    /// <summary>
    /// The version, and the identity of the compiled code of Core and Models: a hash of the sources and the compiler, which a version
    /// number that nobody raised does not stand in for.
    /// </summary>
    public static string Program { get; } =
        $"mamba {typeof(Tensor).Assembly.GetName().Version!.ToString(3)} build {Short(typeof(Tensor))}-{Short(typeof(Trainer))}";

    /// <summary>The width of vectors that this process uses.</summary>
    public static string Width => Isa.Current.ToString().ToLowerInvariant();

    private static string Short(Type type) => type.Module.ModuleVersionId.ToString("N")[..8];
}
