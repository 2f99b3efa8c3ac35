namespace Mamba.Models.Data;

/// <summary>How far the voxels of a volume are apart, seen from its slices; in millimeters where the volume says so.</summary>
/// <param name="Slice">From a slice to the next.</param>
/// <param name="Row">From a row of a slice to the next.</param>
/// <param name="Column">From a column of a slice to the next.</param>
public readonly record struct VoxelSpacing(double Slice, double Row, double Column)
{
    /// <summary>1 along each axis: distances in voxels, or in the pixels of one picture.</summary>
    public static VoxelSpacing One { get; } = new(1, 1, 1);
}
