using Mamba.Models.Data;

namespace Mamba.Models.Inference;

/// <summary>The result of a <see cref="Segmenter"/>.</summary>
/// <param name="Mask">One channel of the picture's size: 255 where the probability is at least one half, 0 elsewhere.</param>
/// <param name="Area">Pixels of the mask that are 255.</param>
/// <param name="Milliseconds">Time of the model, without decoding.</param>
public sealed record Segmentation(Image Mask, int Area, double Milliseconds);
