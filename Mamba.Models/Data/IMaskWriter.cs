namespace Mamba.Models.Data;

/// <summary>Writes a mask at the size of a model's input.</summary>
public interface IMaskWriter
{
    /// <summary>Writes a mask; each pixel takes the value of the nearest one if the mask has another size.</summary>
    /// <param name="mask">The class of each pixel.</param>
    /// <param name="to">(H, W, 1) of the model: class indices, or <see cref="LabelMap.Ignored"/>.</param>
    void Mask(LabelMap mask, Span<float> to);
}
