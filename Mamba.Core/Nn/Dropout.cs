namespace Mamba.Core.Nn;

/// <summary>
/// Dropout (Srivastava et al. 2014): while the model trains, each element is zeroed with some probability and the others are scaled to keep
/// the mean. The mask depends on the seed, the layer's path and <see cref="ParameterStore.Step"/>, so a resumed run continues like an
/// uninterrupted one.
/// </summary>
public sealed class Dropout : IModule
{
    private readonly ParameterStore _store;
    private readonly string _name;
    private readonly RandomStream _random;

    /// <summary>Declares no parameters.</summary>
    /// <param name="scope">The layer's scope. A layer that is called twice in a step zeroes the same elements.</param>
    /// <param name="rate">The probability, at least 0 and below 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rate is out of range.</exception>
    public Dropout(Scope scope, double rate)
    {
        if (!(rate is >= 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(rate), rate, "Dropout: expected a rate of at least 0 and below 1.");
        (_store, _name, Rate) = (scope.Store, $"{scope.Path}.dropout", rate);
        _random = _store.Random(_name);
    }

    /// <summary>The probability that an element is zeroed.</summary>
    public double Rate { get; }

    /// <summary>Applies dropout while the model trains.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x; x itself outside of training, or where the rate is 0.</returns>
    public Tensor Forward(Tensor x)
    {
        if (Rate == 0 || !_store.Training) return x;
        _store.Restart(_random, _name);
        return Ops.Dropout(x, Rate, _random);
    }
}
