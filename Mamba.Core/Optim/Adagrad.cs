using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>
/// Adagrad (Duchi et al. 2011), with PyTorch's defaults: the gradient divided by the square root of the sum of all its squares so far.
/// </summary>
public sealed unsafe class Adagrad : Optimizer
{
    private readonly Tensor[] _sums;
    private readonly double _rateDecay;

    /// <summary>An optimizer before its first gradient.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="learningRateDecay">Step t has the rate learningRate / (1 + (t - 1) learningRateDecay).</param>
    /// <param name="weightDecay">Added to the gradient, times the weight.</param>
    /// <param name="initialSum">The initial value of the sums of squares.</param>
    public Adagrad(
        IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate = 1e-2, double learningRateDecay = 0,
            double weightDecay = 0,
        double initialSum = 0)
        : base(parameters, learningRate, weightDecay)
    {
        _rateDecay = Check.NotNegative(learningRateDecay, nameof(learningRateDecay));
        _sums = NewState((float)Check.NotNegative(initialSum, nameof(initialSum)));
    }

    /// <summary>Added to the square root.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, infinite or NaN.</exception>
    public double Eps
    {
        get;
        init => field = Check.NotNegative(value, nameof(Eps));
    } = 1e-10;

    /// <summary>The sums of squares under "sum.".</summary>
    public override IEnumerable<(string Name, Tensor Tensor)> State => Named("sum", _sums);

    /// <inheritdoc/>
    protected override void Update(in ParameterUpdate update) => Launch.Run(
        new AdagradStep
        {
            Weight = update.Parameter.Pointer,
            Gradient = update.Gradient.Pointer,
            Squares = _sums[update.Index].Pointer,
            Rate = (float)(update.LearningRate / (1 + (Steps - 1) * _rateDecay)),
            Eps = (float)Eps,
            Decay = (float)update.WeightDecay,
            GradientScale = update.GradientScale,
        },
        update.Parameter.Count, Launch.ElementGrain);
}
