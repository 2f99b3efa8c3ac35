using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>RMSprop (Tieleman and Hinton 2012), with PyTorch's defaults: the gradient divided by its running root mean square.</summary>
public sealed unsafe class RmsProp : Optimizer
{
    private readonly Tensor[] _squares;
    private readonly Tensor[]? _means, _velocities;
    private readonly double _momentum;

    /// <summary>An optimizer with empty averages.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="momentum">The factor on the previous velocity.</param>
    /// <param name="weightDecay">Added to the gradient, times the weight.</param>
    public RmsProp(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate = 1e-2, double momentum = 0,
        double weightDecay = 0)
        : base(parameters, learningRate, weightDecay)
    {
        _momentum = Check.NotNegative(momentum, nameof(momentum));
        _squares = NewState();
        if (momentum != 0) _velocities = NewState();
    }

    /// <summary>
    /// Whether the square of the mean gradient is subtracted, which makes the divisor a standard deviation (Graves 2013).
    /// </summary>
    public bool Centered
    {
        get => _means is not null;
        init => _means = value ? NewState() : null;
    }

    /// <summary>Decay of the running averages; PyTorch's alpha.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not at least 0 and less than 1.</exception>
    public double Smoothing
    {
        get;
        init => field = Check.Share(value, nameof(Smoothing));
    } = 0.99;

    /// <summary>Added to the square root.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, infinite or NaN.</exception>
    public double Eps
    {
        get;
        init => field = Check.NotNegative(value, nameof(Eps));
    } = 1e-8;

    /// <summary>
    /// The averages under "square." and, if <see cref="Centered"/>, "mean."; with momentum the velocities under "velocity.".
    /// </summary>
    public override IEnumerable<(string Name, Tensor Tensor)> State =>
        [.. Named("square", _squares), .. Named("mean", _means ?? []), .. Named("velocity", _velocities ?? [])];

    /// <inheritdoc/>
    protected override void Update(in ParameterUpdate update) => Launch.Run(
        new RmsPropStep
        {
            Weight = update.Parameter.Pointer,
            Gradient = update.Gradient.Pointer,
            Square = _squares[update.Index].Pointer,
            Mean = _means is null ? null : _means[update.Index].Pointer,
            Velocity = _velocities is null ? null : _velocities[update.Index].Pointer,
            Rate = (float)update.LearningRate,
            Smoothing = (float)Smoothing,
            Eps = (float)Eps,
            Momentum = (float)_momentum,
            Decay = (float)update.WeightDecay,
            GradientScale = update.GradientScale,
        },
        update.Parameter.Count, Launch.ElementGrain);
}
