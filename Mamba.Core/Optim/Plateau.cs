namespace Mamba.Core.Optim;

/// <summary>
/// Reduces the learning rate when a loss stops improving: PyTorch's ReduceLROnPlateau. A loss is an improvement if it is below (1 - 1e-4)
/// times the lowest so far.
/// </summary>
/// <param name="factor">The factor of each reduction.</param>
/// <param name="patience">Epochs without improvement before a reduction.</param>
public sealed class Plateau(double factor = 0.1, int patience = 5)
{
    /// <summary>The factor on the base learning rate; 1 at first.</summary>
    public double Scale => State.Scale;

    /// <summary>The lowest loss, the epochs since then, and the factor. Set when a run resumes from a checkpoint.</summary>
    public (double Lowest, int Waited, double Scale) State { get; set; } = (double.PositiveInfinity, 0, 1);

    /// <summary>Records the loss of an epoch.</summary>
    /// <param name="loss">The validation loss; NaN is no improvement.</param>
    public void Observe(double loss)
    {
        (double lowest, int waited, double scale) = State;
        State = loss < lowest * (1 - 1e-4) ? (loss, 0, scale)
            : waited < patience ? (lowest, waited + 1, scale)
            : (lowest, 0, scale * factor);
    }
}
