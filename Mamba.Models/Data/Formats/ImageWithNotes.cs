namespace Mamba.Models.Data.Formats;

/// <summary>A picture, and what a user should know about how it was read.</summary>
/// <param name="Image">The picture.</param>
/// <param name="Notes">Each a few words, such as "a stack; the first of 5 pages is taken"; none for a usual file.</param>
public sealed record ImageWithNotes(Image Image, IReadOnlyList<string> Notes);
