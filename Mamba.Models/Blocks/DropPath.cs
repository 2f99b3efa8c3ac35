using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// Stochastic depth (Huang et al. 2016). In training, a branch is dropped for random images of a batch, and scaled up for the others to
/// keep its mean. The choice depends on the seed, the branch's path and <see cref="ParameterStore.Step"/>, so a resumed run repeats it.
/// </summary>
public sealed class DropPath : IModule
{
    private readonly ParameterStore _store;
    private readonly string _name;
    private readonly RandomStream _random;
    private readonly double _rate;

    /// <summary>Declares no parameters.</summary>
    /// <param name="scope">The branch's scope.</param>
    /// <param name="rate">The probability of dropping the branch for an image, at least 0 and below 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rate is out of range.</exception>
    public DropPath(Scope scope, double rate)
    {
        if (!(rate is >= 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(rate), rate, "DropPath: expected a rate of at least 0 and below 1.");
        (_store, _name, _rate) = (scope.Store, $"{scope.Path}.drop_path", rate);
        _random = _store.Random(_name);
    }

    /// <summary>The rate of one of several branches, growing linearly from 0 at the first to the full rate at the last.</summary>
    /// <param name="rate">The full rate.</param>
    /// <param name="index">The index of the branch, from 0.</param>
    /// <param name="count">The number of branches.</param>
    /// <returns>The rate of that branch.</returns>
    public static double Growing(double rate, int index, int count) => count == 1 ? 0 : rate * index / (count - 1);

    private bool Drops => _rate > 0 && _store.Training;

    /// <summary>Zeroes the branch for random images.</summary>
    /// <param name="x">(B, L, C) or (B, H, W, C), the branch's result.</param>
    /// <returns>The shape of x: zeros, or x / (1 - rate), per image; x itself outside of training.</returns>
    public Tensor Forward(Tensor x)
    {
        if (!Drops) return x;
        Tensor weight = x.Shape.Rank == 4 ? Tensor.Empty(x.Shape[0], 1, 1, 1) : Tensor.Empty(x.Shape[0], 1, 1);
        _store.Restart(_random, _name);
        foreach (ref float value in weight.Span) value = _random.NextDouble() < _rate ? 0f : (float)(1 / (1 - _rate));
        return Ops.Multiply(x, weight);
    }

    /// <summary>
    /// The residual to fuse into the branch's last layer: x, unless the branch may be dropped. In that case <see cref="Join"/> adds it.
    /// </summary>
    /// <param name="x">(B, L, C), the input of the branch.</param>
    /// <returns>x or null.</returns>
    public Tensor? Residual(Tensor x) => Drops ? null : x;

    /// <summary>The sum of x and a branch whose last layer got <see cref="Residual"/>.</summary>
    /// <param name="branch">(B, L, C), the branch's result.</param>
    /// <param name="x">(B, L, C).</param>
    /// <returns>(B, L, C).</returns>
    public Tensor Join(Tensor branch, Tensor x) => Drops ? Ops.Add(Forward(branch), x) : branch;
}
