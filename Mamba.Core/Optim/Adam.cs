using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>
/// Adam (Kingma and Ba 2015), with PyTorch's defaults; the weight decay is added to the gradient. <see cref="AdamW"/> decouples it.
/// </summary>
/// <remarks>
/// The bias correction follows from <see cref="Optimizer.Steps"/>, one count for all parameters. A parameter whose first gradient comes
/// late has no correction of its own, as it has in PyTorch.
/// </remarks>
public unsafe class Adam : Optimizer
{
    private readonly Tensor[] _means;
    private readonly Tensor[] _squares;
    private readonly Tensor[]? _largest;

    /// <summary>An optimizer with empty moments.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="weightDecay">The decay.</param>
    public Adam(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate = 1e-3, double weightDecay = 0)
        : base(parameters, learningRate, weightDecay) => (_means, _squares) = (NewState(), NewState());

    /// <summary>Whether the decay acts on the weights (AdamW) or through the gradient.</summary>
    public bool Decoupled { get; init; }

    /// <summary>Whether steps divide by the largest second moment so far (Reddi et al. 2018).</summary>
    public bool AmsGrad
    {
        get => _largest is not null;
        init => _largest = value ? NewState() : null;
    }

    /// <summary>Decay of the running mean of gradients.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not at least 0 and less than 1.</exception>
    public double Beta1
    {
        get;
        init => field = Check.Share(value, nameof(Beta1));
    } = 0.9;

    /// <summary>Decay of the running mean of squared gradients.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not at least 0 and less than 1.</exception>
    public double Beta2
    {
        get;
        init => field = Check.Share(value, nameof(Beta2));
    } = 0.999;

    /// <summary>Added to the square root of the second moment.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, infinite or NaN.</exception>
    public double Eps
    {
        get;
        init => field = Check.NotNegative(value, nameof(Eps));
    } = 1e-8;

    /// <summary>The moments under "mean." and "square."; with <see cref="AmsGrad"/> the largest ones under "largest.".</summary>
    public override IEnumerable<(string Name, Tensor Tensor)> State =>
        [.. Named("mean", _means), .. Named("square", _squares), .. Named("largest", _largest ?? [])];

    /// <inheritdoc/>
    protected sealed override void Update(in ParameterUpdate update) => Launch.Run(
        new AdamStep
        {
            Weight = update.Parameter.Pointer,
            Gradient = update.Gradient.Pointer,
            Mean = _means[update.Index].Pointer,
            Square = _squares[update.Index].Pointer,
            Largest = _largest is null ? null : _largest[update.Index].Pointer,
            Beta1 = (float)Beta1,
            Beta2 = (float)Beta2,
            Eps = (float)Eps,
            GradientScale = update.GradientScale,
            Shrink = Decoupled ? (float)(1 - update.LearningRate * update.WeightDecay) : 1f,
            GradientDecay = Decoupled ? 0f : (float)update.WeightDecay,
            StepSize = (float)(update.LearningRate / (1 - Math.Pow(Beta1, Steps))),
            InverseRootCorrection2 = (float)(1 / Math.Sqrt(1 - Math.Pow(Beta2, Steps))),
        },
        update.Parameter.Count, Launch.ElementGrain);
}

/// <summary>AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay, with PyTorch's default decay.</summary>
public sealed class AdamW : Adam
{
    /// <summary>An optimizer with empty moments.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="weightDecay">The decay.</param>
    public AdamW(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate = 1e-3, double weightDecay = 1e-2)
        : base(parameters, learningRate, weightDecay) => Decoupled = true;
}
