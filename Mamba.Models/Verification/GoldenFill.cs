using System.Text;

namespace Mamba.Models.Verification;

/// <summary>
/// The elements of weights and inputs in model goldens. They are a function of name and index, so that no weights need to be stored.
/// </summary>
internal static class GoldenFill
{
    /// <summary>
    /// Element i is low + (high - low) u, with u the upper 24 bits of a SplitMix64 stream that starts at the FNV-1a hash of the name.
    /// </summary>
    public static void Fill(string name, double low, double high, Span<float> values)
    {
        ulong state = 0xCBF29CE484222325;
        foreach (byte b in Encoding.UTF8.GetBytes(name)) state = (state ^ b) * 0x100000001B3;
        foreach (ref float value in values)
        {
            ulong z = state += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            z ^= z >> 31;
            value = (float)(low + (high - low) * ((z >> 40) * (1.0 / (1 << 24))));
        }
    }
}
