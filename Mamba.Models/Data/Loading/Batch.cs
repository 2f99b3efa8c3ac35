using Mamba.Core;

namespace Mamba.Models.Data.Loading;

/// <summary>Samples ready for a model.</summary>
/// <param name="Images">(B, H, W, C), normalized.</param>
/// <param name="Targets">Masks, (B, H, W, 1) of 0 and 1; or probabilities of the classes, (B, Classes).</param>
/// <param name="Indices">The samples' indices in their data set.</param>
public sealed record Batch(Tensor Images, Tensor Targets, int[] Indices) : IDisposable
{
    /// <summary>Gives the tensors' memory back.</summary>
    public void Dispose()
    {
        Images.Dispose();
        Targets.Dispose();
    }
}
