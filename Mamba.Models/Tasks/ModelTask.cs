namespace Mamba.Models.Tasks;

/// <summary>The task of a model.</summary>
public enum ModelTask
{
    /// <summary>Segmentation: a class per pixel.</summary>
    Segmentation,

    /// <summary>Classification: a class per image.</summary>
    Classification,
}
