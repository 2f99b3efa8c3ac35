using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>Stochastic gradient descent with momentum, in PyTorch's form.</summary>
public sealed unsafe class Sgd : Optimizer
{
    private readonly Tensor[] _velocities;
    private readonly double _momentum;
    private readonly double _weightDecay;

    /// <summary>An optimizer at rest.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="momentum">How much of the last step's velocity stays.</param>
    /// <param name="weightDecay">Added to the gradient, times the weight.</param>
    public Sgd(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate, double momentum = 0.9, double weightDecay = 0)
        : base(parameters, learningRate)
    {
        (_momentum, _weightDecay) = (momentum, weightDecay);
        _velocities = NewState();
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Tensor)> State => Named("velocity", _velocities);

    /// <inheritdoc/>
    private protected override void Update(int index, Tensor parameter, Tensor gradient, float gradientScale) => Launch.Run(
        new SgdStep
        {
            Weight = parameter.Pointer,
            Gradient = gradient.Pointer,
            Velocity = _velocities[index].Pointer,
            Rate = (float)LearningRate,
            Momentum = (float)_momentum,
            Decay = (float)_weightDecay,
            GradientScale = gradientScale,
        },
        parameter.Count, Launch.ElementGrain);
}
