namespace Mamba.Models.Data;

/// <summary>Writes a mask at the size of a model's input.</summary>
public interface IMaskWriter
{
    /// <summary>Writes a mask; each pixel takes the value of the nearest one if the mask has another size.</summary>
    /// <param name="mask">One channel, 0 or 255.</param>
    /// <param name="to">(H, W, 1) of the model, 0 or 1.</param>
    void Mask(Image mask, Span<float> to);
}
