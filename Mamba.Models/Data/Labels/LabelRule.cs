namespace Mamba.Models.Data.Labels;

/// <summary>A line of a labels file: which values in the masks are a class.</summary>
/// <param name="Low">The smallest value, or the color 0xRRGGBB.</param>
/// <param name="High">The largest value; the same for one value or a color.</param>
/// <param name="IsColor">Whether it is a color.</param>
/// <param name="Name">The class; <c>ignore</c> for pixels that losses and scores leave out.</param>
public sealed record LabelRule(int Low, int High, bool IsColor, string Name)
{
    /// <summary>Whether it stands for pixels of no class.</summary>
    public bool IsIgnored => Name.ToLowerInvariant() is "ignore" or "ignored" or "void" or "unlabeled" or "unlabelled";

    /// <summary>Whether it stands for the background.</summary>
    public bool IsBackground => IsBackgroundName(Name);

    /// <summary>Whether a value belongs to it.</summary>
    /// <param name="value">A value, or a color.</param>
    /// <returns>True if it does.</returns>
    public bool Holds(int value) => value >= Low && value <= High;

    /// <summary>Whether a class of this name is the background.</summary>
    internal static bool IsBackgroundName(string name) => name.ToLowerInvariant() is "background" or "bg" or "_background_";
}
