using System.Globalization;

namespace Mamba.Models.Data.Formats;

/// <summary>Where the voxels of a NIfTI file lie in the patient.</summary>
/// <param name="spacing">Millimeters between voxels.</param>
/// <param name="affine">See <see cref="NiftiHeader.Affine"/>; null where the file does not say it.</param>
internal sealed class NiftiGeometry((float X, float Y, float Z) spacing, double[]? affine)
{
    // How nnU-Net compares scan and mask: |a - b| <= Absolute + Relative |b|.
    private const double Relative = 1e-3, Absolute = 1e-4;

    private static readonly double[] s_identity = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];

    private readonly double[] _spacing = [spacing.X, spacing.Y, spacing.Z];
    private readonly double[]? _affine = affine;

    /// <summary>Where the axes of the file point, such as RAS for right, front and top; null where the file does not say it.</summary>
    public string? Orientation => _affine is null ? null : string.Concat(Enumerable.Range(0, 3).Select(Direction));

    /// <summary>Reads a header.</summary>
    public static NiftiGeometry Of(NiftiHeader header) => new(header.Spacing, header.Affine);

    /// <summary>
    /// Whether it says nothing: voxels of 1 mm, and no transformation or the identity, mirrored or not. Programs that know none write so.
    /// </summary>
    public bool IsBlank => _spacing.All(size => size == 1)
        && (_affine is null || _affine.Select(factor => Math.Abs(factor)).SequenceEqual(s_identity));

    /// <summary>Whether voxels are as far apart as those of another, up to rounding.</summary>
    public bool HasSpacingOf(NiftiGeometry other) => AreClose(_spacing, other._spacing);

    /// <summary>Whether the transformation is that of another, up to rounding. One that a file does not say differs from none.</summary>
    public bool HasPlaceOf(NiftiGeometry other) => _affine is null || other._affine is null || AreClose(_affine, other._affine);

    /// <summary>The spacing, and the three rows of the transformation.</summary>
    public override string ToString()
    {
        string apart = string.Create(CultureInfo.InvariantCulture, $"{_spacing[0]:G4} x {_spacing[1]:G4} x {_spacing[2]:G4} mm");
        return _affine is null ? apart : $"{apart}, {Orientation} [{string.Join("; ", _affine.Chunk(4).Select(Row))}]";
    }

    private static string Row(double[] factors) =>
        string.Join(' ', factors.Select(factor => factor.ToString("G4", CultureInfo.InvariantCulture)));

    private static bool AreClose(double[] ones, double[] others) =>
        ones.Zip(others).All(pair => Math.Abs(pair.First - pair.Second) <= Absolute + Relative * Math.Abs(pair.Second));

    /// <summary>The direction of the patient that an axis points in for the most part.</summary>
    private char Direction(int axis)
    {
        int most = Enumerable.Range(0, 3).MaxBy(row => Math.Abs(_affine![4 * row + axis]));
        return "LPIRAS"[_affine![4 * most + axis] > 0 ? 3 + most : most];
    }
}
