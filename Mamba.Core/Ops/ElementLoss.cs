using Mamba.Core.Kernels;
using Mamba.Core.Kernels.Losses;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>(prediction - target)^2: PyTorch's mse_loss. Gradients flow to both.</summary>
    /// <param name="prediction">Any shape.</param>
    /// <param name="target">The same shape.</param>
    /// <param name="reduction">How the squares are reduced.</param>
    /// <returns>A scalar; the shape of the prediction without reduction.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static Tensor MeanSquaredError(Tensor prediction, Tensor target, Reduction reduction = Reduction.Mean) =>
        ElementLoss("MeanSquaredError", prediction, target, new SquaredError(), reduction, differentiateTarget: true);

    /// <summary>|prediction - target|: PyTorch's l1_loss. Gradients flow to both; where they are equal, it is 0.</summary>
    /// <inheritdoc cref="MeanSquaredError"/>
    public static Tensor L1Loss(Tensor prediction, Tensor target, Reduction reduction = Reduction.Mean) =>
        ElementLoss("L1Loss", prediction, target, new AbsoluteError(), reduction, differentiateTarget: true);

    /// <summary>
    /// With d = |prediction - target|: d^2 / (2 beta) where d &lt; beta, d - beta / 2 elsewhere (PyTorch's smooth_l1_loss). With beta 0 it
    /// is the <see cref="L1Loss"/>. Gradients flow to both.
    /// </summary>
    /// <param name="prediction">Any shape.</param>
    /// <param name="target">The same shape.</param>
    /// <param name="beta">The distance at which the loss becomes linear; at least 0.</param>
    /// <param name="reduction">How the losses are reduced.</param>
    /// <returns>A scalar; the shape of the prediction without reduction.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">beta is negative or NaN.</exception>
    public static Tensor SmoothL1Loss(Tensor prediction, Tensor target, float beta = 1f, Reduction reduction = Reduction.Mean)
    {
        if (!(beta >= 0f)) throw new ArgumentOutOfRangeException(nameof(beta), beta, "SmoothL1Loss: expected at least 0.");
        return ElementLoss("SmoothL1Loss", prediction, target, new HuberError(beta, 1f), reduction, differentiateTarget: true);
    }

    /// <summary>
    /// With d = |prediction - target|: d^2 / 2 where d &lt;= delta, delta (d - delta / 2) elsewhere (Huber 1964; PyTorch's huber_loss).
    /// Gradients flow to both.
    /// </summary>
    /// <param name="prediction">Any shape.</param>
    /// <param name="target">The same shape.</param>
    /// <param name="delta">The distance at which the loss becomes linear; more than 0.</param>
    /// <param name="reduction">How the losses are reduced.</param>
    /// <returns>A scalar; the shape of the prediction without reduction.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">delta is not a finite number above 0.</exception>
    public static Tensor HuberLoss(Tensor prediction, Tensor target, float delta = 1f, Reduction reduction = Reduction.Mean)
    {
        if (!(delta > 0f && float.IsFinite(delta)))
            throw new ArgumentOutOfRangeException(nameof(delta), delta, "HuberLoss: expected a finite number above 0.");
        return ElementLoss("HuberLoss", prediction, target, new HuberError(delta, delta), reduction, differentiateTarget: true);
    }

    /// <summary>
    /// Binary cross-entropy of logits with a weight for positives: PyTorch's binary_cross_entropy_with_logits with pos_weight.
    /// </summary>
    /// <param name="logits">Any shape.</param>
    /// <param name="target">The same shape, in [0, 1]. It gets no gradient.</param>
    /// <param name="positiveWeight">The weight of positives; that of negatives is 1.</param>
    /// <param name="reduction">How the losses are reduced.</param>
    /// <returns>A scalar; the shape of the logits without reduction.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static Tensor BinaryCrossEntropyWithLogits(Tensor logits, Tensor target, float positiveWeight,
        Reduction reduction = Reduction.Mean) =>
        ElementLoss("BinaryCrossEntropyWithLogits", logits, target, new WeightedLogistic(positiveWeight), reduction,
            differentiateTarget: false);

    /// <summary>
    /// The focal loss of logits (Lin et al. 2017, equation 5): alpha_t (1 - p_t)^gamma times the binary cross-entropy, as torchvision's
    /// sigmoid_focal_loss.
    /// </summary>
    /// <param name="logits">Any shape.</param>
    /// <param name="target">The same shape, in [0, 1]. It gets no gradient.</param>
    /// <param name="alpha">The weight of positives; negatives get 1 - alpha. A negative alpha disables the weights.</param>
    /// <param name="gamma">The focusing exponent: a larger one gives easy elements less weight; at least 0.</param>
    /// <param name="reduction">How the losses are reduced.</param>
    /// <returns>A scalar; the shape of the logits without reduction.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">gamma is negative or NaN.</exception>
    public static Tensor FocalLoss(Tensor logits, Tensor target, float alpha = 0.25f, float gamma = 2f,
        Reduction reduction = Reduction.Mean)
    {
        if (!(gamma >= 0f)) throw new ArgumentOutOfRangeException(nameof(gamma), gamma, "FocalLoss: expected at least 0.");
        return ElementLoss("FocalLoss", logits, target, new FocalLogistic(alpha, gamma), reduction, differentiateTarget: false);
    }

    private static Tensor ElementLoss<TLoss>(string name, Tensor x, Tensor target, TLoss loss, Reduction reduction,
        bool differentiateTarget)
        where TLoss : unmanaged, IElementLoss
    {
        Check.SameShape(x, target, name);
        CheckReduction(name, reduction);
        Tensor y = reduction == Reduction.None ? Tensor.Empty(x.Shape) : Tensor.Empty();
        bool both = differentiateTarget && target.NeedsGrad;
        ElementLossStep<TLoss> step = new(x, target, loss, reduction, both);
        step.Forward(y);
        if (Tape.Needs(x, target) && (x.NeedsGrad || both)) Tape.Record(y, step, static (step, dy) => step.Values.Backward(dy), x, target);
        return y;
    }

    /// <summary>A recorded elementwise loss. The target gets a gradient too where the loss depends only on the difference.</summary>
    private readonly record struct ElementLossStep<TLoss>(Tensor X, Tensor Target, TLoss Loss, Reduction Reduction, bool Both)
        where TLoss : unmanaged, IElementLoss
    {
        private bool OneEach => Reduction == Reduction.None;

        public void Forward(Tensor y)
        {
            nint blocks = Launch.CeilDiv(X.Count, ElementLossForward<TLoss>.Block);
            using Scratch sums = new(OneEach ? 0 : blocks);
            Launch.Run(
                new ElementLossForward<TLoss>
                {
                    X = X.Pointer,
                    Target = Target.Pointer,
                    Loss = Loss,
                    Count = X.Count,
                    Elements = OneEach ? y.Pointer : null,
                    Sums = sums.Pointer,
                },
                blocks, Launch.ElementGrain / ElementLossForward<TLoss>.Block);
            if (OneEach) return;
            double sum = 0;
            for (nint i = 0; i < blocks; i++) sum += sums.Pointer[i];
            y.Span[0] = (float)(Reduction == Reduction.Mean ? sum / X.Count : sum);
        }

        public void Backward(Tensor dy)
        {
            float factor = Reduction == Reduction.Mean ? 1f / X.Count : 1f;
            if (X.NeedsGrad) Differentiate(X.OpenGrad().Target, dy, factor);
            if (Both) Differentiate(Target.OpenGrad().Target, dy, -factor);
        }

        private void Differentiate(GradientTarget gradient, Tensor dy, float factor) => Launch.Run(
            new ElementLossGradient<TLoss>
            {
                X = X.Pointer,
                Target = Target.Pointer,
                Dy = dy.Pointer,
                Dx = gradient,
                Loss = Loss,
                Factor = factor,
                OneEach = OneEach,
            },
            X.Count, Launch.ElementGrain);
    }
}
