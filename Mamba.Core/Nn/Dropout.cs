namespace Mamba.Core.Nn;

/// <summary>
/// Dropout (Srivastava et al. 2014): while the model trains, each element is left out with a probability, and the others count for more, so that the mean
/// stays. Which ones follows from the seed, the layer's place and <see cref="ParameterStore.Step"/>: a resumed run continues as one that was never cut.
/// </summary>
public sealed class Dropout : IModule
{
    private readonly ParameterStore _store;
    private readonly string _name;

    /// <summary>Declares no parameters.</summary>
    /// <param name="scope">The layer's place. A layer that is called twice in a step leaves out the same elements.</param>
    /// <param name="rate">The probability, at least 0 and below 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rate is out of range.</exception>
    public Dropout(Scope scope, double rate)
    {
        if (!(rate is >= 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(rate), rate, "Dropout: expected a rate of at least 0 and below 1.");
        (_store, _name, Rate) = (scope.Store, $"{scope.Path}.dropout", rate);
    }

    /// <summary>The probability that an element is left out.</summary>
    public double Rate { get; }

    /// <summary>Leaves elements out while the model trains.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x; x itself outside of training, or where the rate is 0.</returns>
    public Tensor Forward(Tensor x) => Rate > 0 && _store.Training ? Ops.Dropout(x, Rate, _store.Random(_name)) : x;
}
