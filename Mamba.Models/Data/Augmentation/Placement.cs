namespace Mamba.Models.Data.Augmentation;

/// <summary>Where a picture is moved to: turned and enlarged about its center, then shifted.</summary>
/// <param name="Degrees">The angle, counter-clockwise.</param>
/// <param name="Zoom">The factor on lengths; above 1 enlarges.</param>
/// <param name="Right">The shift to the right, as a share of the width.</param>
/// <param name="Down">The shift downwards, as a share of the height.</param>
internal readonly record struct Placement(double Degrees, double Zoom, double Right, double Down)
{
    /// <summary>The picture stays where it is.</summary>
    public static Placement Unchanged => new(0, 1, 0, 0);
}
