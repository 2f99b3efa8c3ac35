namespace Mamba.Core.Optim;

/// <summary>
/// Lowers the learning rate when a loss stops falling: PyTorch's ReduceLROnPlateau. A loss counts as lower if it is below (1 - 1e-4) times the lowest so far.
/// </summary>
/// <param name="factor">What the learning rate is multiplied by.</param>
/// <param name="patience">Epochs without a lower loss that are let pass.</param>
public sealed class Plateau(double factor = 0.1, int patience = 5)
{
    private double _lowest = double.PositiveInfinity;
    private int _waited;

    /// <summary>The factor on the base learning rate; 1 at first.</summary>
    public double Scale { get; private set; } = 1;

    /// <summary>Takes note of an epoch.</summary>
    /// <param name="loss">Its validation loss; one that is no number is not lower.</param>
    public void Observe(double loss)
    {
        if (loss < _lowest * (1 - 1e-4)) (_lowest, _waited) = (loss, 0);
        else if (++_waited > patience)
        {
            Scale *= factor;
            _waited = 0;
        }
    }
}
