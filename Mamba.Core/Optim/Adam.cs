using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>
/// Adam (Kingma and Ba 2015), with PyTorch's defaults; with <see cref="Decoupled"/> it is AdamW (Loshchilov and Hutter 2019), which shrinks the weights
/// themselves instead of adding the decay to the gradient.
/// </summary>
public sealed unsafe class Adam : Optimizer
{
    private readonly Tensor[] _means;
    private readonly Tensor[] _squares;

    /// <summary>An optimizer with empty moments.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="weightDecay">The decay.</param>
    public Adam(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate = 1e-3, double weightDecay = 0)
        : base(parameters, learningRate)
    {
        WeightDecay = weightDecay;
        (_means, _squares) = (NewState(), NewState());
    }

    /// <summary>AdamW, with PyTorch's default decay.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="weightDecay">The decay.</param>
    /// <returns>The optimizer.</returns>
    public static Adam W(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate = 1e-3, double weightDecay = 1e-2) =>
        new(parameters, learningRate, weightDecay) { Decoupled = true };

    /// <summary>The decay.</summary>
    public double WeightDecay { get; }

    /// <summary>Whether the decay acts on the weights (AdamW) or through the gradient.</summary>
    public bool Decoupled { get; init; }

    /// <summary>Decay of the running mean of gradients.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the running mean of squared gradients.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the root of the second moment.</summary>
    public double Eps { get; init; } = 1e-8;

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Tensor)> State => [.. Named("mean", _means), .. Named("square", _squares)];

    /// <inheritdoc/>
    private protected override void Update(int index, Tensor parameter, Tensor gradient, float gradientScale) => Launch.Run(
        new AdamStep
        {
            Weight = parameter.Pointer,
            Gradient = gradient.Pointer,
            Mean = _means[index].Pointer,
            Square = _squares[index].Pointer,
            Beta1 = (float)Beta1,
            Beta2 = (float)Beta2,
            Eps = (float)Eps,
            GradientScale = gradientScale,
            Shrink = Decoupled ? (float)(1 - LearningRate * WeightDecay) : 1f,
            GradientDecay = Decoupled ? 0f : (float)WeightDecay,
            StepSize = (float)(LearningRate / (1 - Math.Pow(Beta1, Steps))),
            InverseRootCorrection2 = (float)(1 / Math.Sqrt(1 - Math.Pow(Beta2, Steps))),
        },
        parameter.Count, Launch.ElementGrain);
}
