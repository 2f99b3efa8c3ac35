namespace Mamba.Core.Simd;

/// <summary>
/// Whether tests and profiles may see steps and kernels as objects. Both are structs; as objects each brings its methods of comparison and
/// of formatting, 1 MB in a native program. There eng/aot/Substitutions.xml makes this false.
/// </summary>
internal static class Introspection
{
    public static bool IsSupported => true;
}
