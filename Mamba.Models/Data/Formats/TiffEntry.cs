namespace Mamba.Models.Data.Formats;

/// <summary>The entries of a TIFF directory that are read.</summary>
internal enum TiffEntry
{
    NewSubfileType = 254, Width = 256, Height = 257, Bits = 258, Compression = 259, Photometric = 262, FillOrder = 266, Description = 270,
    StripOffsets = 273, Orientation = 274, Samples = 277, RowsPerStrip = 278, StripCounts = 279, Planar = 284, T4Options = 292,
    T6Options = 293, Predictor = 317, Palette = 320, TileWidth = 322, TileHeight = 323, TileOffsets = 324, TileCounts = 325,
    ExtraSamples = 338, SampleFormat = 339, JpegTables = 347, YcbcrCoefficients = 529, YcbcrSubsampling = 530, ReferenceBlackWhite = 532,
}
