using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>Stochastic gradient descent with momentum, in PyTorch's form.</summary>
public sealed unsafe class Sgd : Optimizer
{
    private readonly Tensor[] _velocities;
    private readonly double _momentum;

    /// <summary>An optimizer with zero velocities.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="momentum">The factor on the previous velocity.</param>
    /// <param name="weightDecay">Added to the gradient, times the weight.</param>
    public Sgd(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate, double momentum = 0.9, double weightDecay = 0)
        : base(parameters, learningRate, weightDecay)
    {
        _momentum = Check.NotNegative(momentum, nameof(momentum));
        _velocities = NewState();
    }

    /// <summary>
    /// Whether to use Nesterov momentum: a step follows the gradient plus the momentum times the new velocity, as in PyTorch.
    /// </summary>
    /// <exception cref="ArgumentException">The momentum is 0.</exception>
    public bool Nesterov
    {
        get;
        init => field = !value || _momentum > 0
            ? value
            : throw new ArgumentException("Sgd: Nesterov's form needs a momentum above 0.", nameof(Nesterov));
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Tensor)> State => Named("velocity", _velocities);

    /// <inheritdoc/>
    protected override void Update(in ParameterUpdate update) => Launch.Run(
        new SgdStep
        {
            Weight = update.Parameter.Pointer,
            Gradient = update.Gradient.Pointer,
            Velocity = _velocities[update.Index].Pointer,
            Rate = (float)update.LearningRate,
            Momentum = (float)_momentum,
            Decay = (float)update.WeightDecay,
            GradientScale = update.GradientScale,
            Nesterov = Nesterov,
        },
        update.Parameter.Count, Launch.ElementGrain);
}
