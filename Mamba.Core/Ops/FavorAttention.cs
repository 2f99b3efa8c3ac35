using Mamba.Core.Kernels.Attention;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>The function that a random-feature attention approximates, or takes in place of it.</summary>
public enum FavorKernel
{
    /// <summary>Positive features, whose product has the softmax's exponential as its mean.</summary>
    Softmax,

    /// <summary>max(p, 0): no approximation of softmax, but as good in practice.</summary>
    Relu,
}

/// <summary>How an attention by random features is computed.</summary>
public sealed record FavorOptions
{
    /// <summary>Softmax features, every query sees every key.</summary>
    public static FavorOptions Default { get; } = new();

    /// <summary>The kind of features.</summary>
    public FavorKernel Kernel { get; init; }

    /// <summary>Whether query i sees the keys up to i alone.</summary>
    public bool Causal { get; init; }

    /// <summary>Added to each feature; null for 1e-4 with softmax features and 1e-3 with the others.</summary>
    public float? Epsilon { get; init; }

    /// <summary>Added to each sum of the keys' features, where causal.</summary>
    public float NormEpsilon { get; init; } = 1e-6f;
}

public static unsafe partial class Ops
{
    /// <summary>
    /// FAVOR+ (Choromanski et al. 2021), the attention of Performers: y_i = f(q_i) sum(f(k_j) v_j^T) / f(q_i) sum(f(k_j)), in time and
    /// memory linear in the
    /// lengths. The stabilizers of the softmax features count as constants in the gradient, as in performer-pytorch.
    /// </summary>
    /// <param name="q">(B, Lq, Heads Dh).</param>
    /// <param name="k">(B, Lk, Heads Dh).</param>
    /// <param name="v">(B, Lk, Heads Dv).</param>
    /// <param name="projection">(Features, Dh): random directions. They get no gradient.</param>
    /// <param name="heads">How many heads; it divides the widths.</param>
    /// <param name="options">Features, causal order, small numbers; null for <see cref="FavorOptions.Default"/>.</param>
    /// <returns>(B, Lq, Heads Dv).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together; a causal attention needs Lq = Lk.</exception>
    public static Tensor FavorAttention(Tensor q, Tensor k, Tensor v, Tensor projection, int heads, FavorOptions? options = null)
    {
        FavorOptions o = options ?? FavorOptions.Default;
        Check.Rank(q, 3, "FavorAttention", "q (B, Lq, Heads Dh)");
        bool fits = k.Shape.Rank == 3 && v.Shape.Rank == 3 && k.Shape[0] == q.Shape[0] && v.Shape[0] == q.Shape[0]
            && v.Shape[1] == k.Shape[1]
            && k.Shape[2] == q.Shape[2] && k.Count > 0 && heads > 0 && q.Shape[2] % heads == 0 && v.Shape[2] % heads == 0
            && (!o.Causal || q.Shape[1] == k.Shape[1]);
        Check.That(
            fits, "FavorAttention",
            $"q {q.Shape}, k {k.Shape}, v {v.Shape} with {heads} heads; expected (B, Lq, H Dh), (B, Lk, H Dh), (B, Lk, H Dv), "
            + $"Lq = Lk if causal");
        int width = q.Shape[2] / heads, features = projection.Shape.Rank == 2 ? projection.Shape[0] : 0;
        Check.That(features > 0 && projection.Shape[1] == width, "FavorAttention",
            $"projection {projection.Shape}; expected (Features, {width})");
        FavorShape s = new(q.Shape[0], q.Shape[1], k.Shape[1], heads, width, v.Shape[2] / heads, features)
        {
            Causal = o.Causal,
            Relu = o.Kernel == FavorKernel.Relu,
            Epsilon = o.Epsilon ?? (o.Kernel == FavorKernel.Relu ? 1e-3f : 1e-4f),
            NormEpsilon = o.NormEpsilon,
        };
        Tensor y = Tensor.Empty(q.Shape[0], q.Shape[1], v.Shape[2]), divisors = Tensor.Empty(q.Shape[0], heads, q.Shape[1]);
        Tensor featuresQ = Tensor.Empty(q.Shape[0], heads, q.Shape[1], features),
            featuresK = Tensor.Empty(q.Shape[0], heads, k.Shape[1], features);
        Launch.Run(
            new FavorForward
            {
                Shape = s,
                Q = q.Pointer,
                K = k.Pointer,
                V = v.Pointer,
                Projection = projection.Pointer,
                Y = y.Pointer,
                FeaturesQ = featuresQ.Pointer,
                FeaturesK = featuresK.Pointer,
                Divisors = divisors.Pointer,
            },
            s.Batch * s.Heads, 1);
        MultiplyAdds.Add((long)(s.Batch * s.Heads * features * (s.Queries + s.Keys) * (s.HeadWidth + s.Sums)));
        if (Tape.Needs(q, k, v, projection) && (q.NeedsGrad || k.NeedsGrad || v.NeedsGrad))
            Tape.Push(y, (q, k, v, projection, y, new FavorState(featuresQ, featuresK, divisors), s), static (context, dy) =>
            {
                (Tensor q, Tensor k, Tensor v, Tensor projection, Tensor y, FavorState state, FavorShape s) = context;
                Launch.Run(
                    new FavorBackward
                    {
                        Shape = s,
                        Q = q.Pointer,
                        K = k.Pointer,
                        V = v.Pointer,
                        Projection = projection.Pointer,
                        Y = y.Pointer,
                        FeaturesQ = state.FeaturesQ.Pointer,
                        FeaturesK = state.FeaturesK.Pointer,
                        Divisors = state.Divisors.Pointer,
                        Dy = dy.Pointer,
                        Dq = Cleared(q),
                        Dk = Cleared(k),
                        Dv = Cleared(v),
                    },
                    s.Batch * s.Heads, 1);
            }, q, k, v, projection, y, featuresQ, featuresK, divisors);
        return y;

        // The kernel adds, since q, k and v may be one tensor.
        static float* Cleared(Tensor x)
        {
            if (!x.NeedsGrad) return null;
            GradSlot slot = x.OpenGrad();
            if (!slot.Accumulate) slot.Span.Clear();
            return slot.Pointer;
        }
    }

    /// <summary>What the backward pass of an attention by random features reads of its forward pass.</summary>
    private readonly record struct FavorState(Tensor FeaturesQ, Tensor FeaturesK, Tensor Divisors);
}
