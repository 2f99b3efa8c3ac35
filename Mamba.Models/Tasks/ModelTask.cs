namespace Mamba.Models.Tasks;

/// <summary>What a model decides.</summary>
public enum ModelTask
{
    /// <summary>A mask: a class a pixel.</summary>
    Segmentation,

    /// <summary>A class an image.</summary>
    Classification,
}
