using System.Globalization;

namespace Mamba.Models.Data.Formats;

/// <summary>Where the voxels of a NIfTI file lie in the patient.</summary>
/// <param name="spacing">Millimeters between voxels.</param>
/// <param name="affine">See <see cref="NiftiHeader.Affine"/>; null where the file does not say it.</param>
internal sealed class NiftiGeometry((float X, float Y, float Z) spacing, double[]? affine)
{
    // How nnU-Net compares scan and mask: |a - b| <= Absolute + Relative |b|.
    private const double Relative = 1e-3, Absolute = 1e-4;

    /// <summary>How far a step along an axis may end beside that of another, in parts of the step; along a mirrored axis it is 2.</summary>
    private const double MostTurn = 0.01;

    private readonly double[] _spacing = [spacing.X, spacing.Y, spacing.Z];
    private readonly double[]? _affine = affine;

    /// <summary>Where the axes of the file point, such as RAS for right, front and top; null where the file does not say it.</summary>
    public string? Orientation => _affine is null ? null : string.Concat(Enumerable.Range(0, 3).Select(Direction));

    /// <summary>Reads a header.</summary>
    public static NiftiGeometry Of(NiftiHeader header) => new(header.Spacing, header.Affine);

    /// <summary>
    /// Whether voxels are as far apart as those of another, and axes point the same way. What a file does not say differs from nothing.
    /// </summary>
    public bool HasGridOf(NiftiGeometry other)
    {
        if (!_spacing.Zip(other._spacing).All(pair => IsClose(pair.First, pair.Second))) return false;
        if (_affine is null || other._affine is not { } theirs) return true;
        for (int axis = 0; axis < 3; axis++)
        {
            double turn = 0, size = 0;
            for (int at = axis; at < _affine.Length; at += 4)
            {
                turn += (_affine[at] - theirs[at]) * (_affine[at] - theirs[at]);
                size += _affine[at] * _affine[at];
            }
            if (turn > MostTurn * MostTurn * size) return false;
        }
        return true;
    }

    /// <summary>Whether all factors are those of another, up to rounding.</summary>
    public bool IsThatOf(NiftiGeometry other) =>
        _affine is null || other._affine is null || _affine.Zip(other._affine).All(pair => IsClose(pair.First, pair.Second));

    /// <summary>The spacing, and the three rows of the transformation.</summary>
    public override string ToString()
    {
        string apart = string.Create(CultureInfo.InvariantCulture, $"{_spacing[0]:G4} x {_spacing[1]:G4} x {_spacing[2]:G4} mm");
        return _affine is null ? apart : $"{apart}, {Orientation} [{string.Join("; ", _affine.Chunk(4).Select(Row))}]";
    }

    private static string Row(double[] factors) =>
        string.Join(' ', factors.Select(factor => factor.ToString("G4", CultureInfo.InvariantCulture)));

    private static bool IsClose(double one, double other) => Math.Abs(one - other) <= Absolute + Relative * Math.Abs(other);

    /// <summary>The direction of the patient that an axis points in for the most part.</summary>
    private char Direction(int axis)
    {
        int most = Enumerable.Range(0, 3).MaxBy(row => Math.Abs(_affine![4 * row + axis]));
        return "LPIRAS"[_affine![4 * most + axis] > 0 ? 3 + most : most];
    }
}
