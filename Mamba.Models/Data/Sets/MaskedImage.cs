namespace Mamba.Models.Data.Sets;

/// <summary>An image and the file of its mask.</summary>
/// <param name="Name">The unique name, with '/' between folders.</param>
/// <param name="Image">The image's file.</param>
/// <param name="Mask">The mask's file; null if the image has none and all of it is background.</param>
/// <param name="Part">The part of the official split; null without one.</param>
internal sealed record MaskedImage(string Name, string Image, string? Mask, SplitPart? Part);
