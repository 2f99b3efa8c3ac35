namespace Mamba.Models.Data.Formats;

/// <summary>A strip or tile of a TIFF.</summary>
/// <param name="X">Its first column in the picture.</param>
/// <param name="Y">Its first row.</param>
/// <param name="Width">Columns; those of a tile may reach beyond the picture.</param>
/// <param name="Height">Rows.</param>
/// <param name="Offset">Its place in the file.</param>
/// <param name="Count">Its bytes there.</param>
internal readonly record struct TiffPart(int X, int Y, int Width, int Height, int Offset, int Count);
