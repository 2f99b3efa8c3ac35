using System.Numerics.Tensors;
using Mamba.Core.Kernels.Attention;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>The feature map of a random-feature attention.</summary>
public enum FavorKernel
{
    /// <summary>Positive features: the mean of their products is the softmax's exponential.</summary>
    Softmax,

    /// <summary>max(p, 0): no approximation of softmax, but as accurate in practice.</summary>
    Relu,
}

/// <summary>Options of a random-feature attention.</summary>
public sealed record FavorOptions
{
    /// <summary>Softmax features; every query attends to every key.</summary>
    public static FavorOptions Default { get; } = new();

    /// <summary>The kind of features.</summary>
    public FavorKernel Kernel { get; init; }

    /// <summary>Whether query i attends to keys 0 to i only.</summary>
    public bool Causal { get; init; }

    /// <summary>Added to each feature; null for 1e-4 with softmax features and 1e-3 with the others.</summary>
    public float? Epsilon { get; init; }

    /// <summary>Added to each sum of the keys' features, if causal.</summary>
    public float NormEpsilon { get; init; } = 1e-6f;
}

public static unsafe partial class Ops
{
    /// <summary>
    /// FAVOR+ (Choromanski et al. 2021), the attention of Performers: y_i = f(q_i) sum(f(k_j) v_j^T) / f(q_i) sum(f(k_j)), in time and
    /// memory linear in the lengths. The gradient treats the stabilizers of the softmax features as constants, as performer-pytorch does.
    /// </summary>
    /// <param name="q">(B, Lq, Heads Dh).</param>
    /// <param name="k">(B, Lk, Heads Dh).</param>
    /// <param name="v">(B, Lk, Heads Dv).</param>
    /// <param name="projection">(Features, Dh): random directions. They get no gradient.</param>
    /// <param name="heads">Number of heads; divides the widths.</param>
    /// <param name="options">Features, causality, epsilons; null for <see cref="FavorOptions.Default"/>.</param>
    /// <returns>(B, Lq, Heads Dv).</returns>
    /// <exception cref="ShapeException">
    /// The shapes do not fit together, there are no keys or no features, or heads have no width; a causal attention needs Lq = Lk.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no heads.</exception>
    public static Tensor FavorAttention(Tensor q, Tensor k, Tensor v, Tensor projection, int heads, FavorOptions? options = null)
    {
        FavorShape s = CheckFavor(q.Shape, k.Shape, v.Shape, projection.Shape, heads, options ?? FavorOptions.Default);
        int batch = q.Shape[0], queries = q.Shape[1], features = projection.Shape[0];
        Tensor y = Tensor.Empty(Shape.Of("FavorAttention", batch, queries, v.Shape[2]));
        if (y.Count == 0) return Independent(y, q, k, v);
        FavorState state = new(
            Tensor.Empty(Shape.Of("FavorAttention", batch, heads, queries, features)),
            Tensor.Empty(Shape.Of("FavorAttention", batch, heads, k.Shape[1], features)),
            Tensor.Empty(batch, heads, queries));
        Launch.Run(
            new FavorForward
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
            },
            s.Batch * s.Heads, 1);
        MultiplyAdds.Add((long)(s.Batch * s.Heads * features * (s.Queries + s.Keys) * (s.HeadWidth + s.Sums)));
        if (Tape.Needs(q, k, v, projection) && (q.NeedsGrad || k.NeedsGrad || v.NeedsGrad))
            Tape.Record(
                y, new FavorStep(q, k, v, projection, y, state, s), static (step, dy) => step.Values.Backward(dy), q, k, v, projection, y,
                state.FeaturesQ, state.FeaturesK, state.Divisors);
        return y;
    }

    private static FavorShape CheckFavor(Shape q, Shape k, Shape v, Shape projection, int heads, FavorOptions options)
    {
        Check.Positive(heads, "FavorAttention", nameof(heads));
        bool fits = q.Rank == 3 && k.Rank == 3 && v.Rank == 3 && k[0] == q[0] && v[0] == q[0] && v[1] == k[1] && k[2] == q[2]
            && k[1] > 0 && q[2] > 0 && q[2] % heads == 0 && v[2] % heads == 0 && (!options.Causal || q[1] == k[1]);
        Check.That(
            fits, "FavorAttention",
            $"q {q}, k {k}, v {v} with {heads} heads; expected (B, Lq, H Dh), (B, Lk, H Dh), (B, Lk, H Dv) with keys, Lq = Lk if causal");
        int width = q[2] / heads;
        Check.That(
            projection.Rank == 2 && projection[0] > 0 && projection[1] == width, "FavorAttention",
            $"projection {projection}; expected (Features, {width})");
        bool relu = options.Kernel == FavorKernel.Relu;
        return new(q[0], q[1], k[1], heads, width, v[2] / heads, projection[0])
        {
            Causal = options.Causal,
            Relu = relu,
            Epsilon = options.Epsilon ?? (relu ? 1e-3f : 1e-4f),
            NormEpsilon = options.NormEpsilon,
        };
    }

    /// <summary>What the backward pass of a random-feature attention needs from its forward pass.</summary>
    private readonly record struct FavorState(Tensor FeaturesQ, Tensor FeaturesK, Tensor Divisors);

    /// <summary>A recorded random-feature attention.</summary>
    private readonly record struct FavorStep(Tensor Q, Tensor K, Tensor V, Tensor Projection, Tensor Y, FavorState State, FavorShape Shape)
    {
        public void Backward(Tensor dy)
        {
            GradSlot? dq = Open(Q), dk = Open(K), dv = Open(V);
            // The kernel adds, since q, k and v may be the same tensor.
            ClearFirst(dq);
            ClearFirst(dk);
            ClearFirst(dv);
            // As in AttentionStep: heads of views with rows of different lengths overlap.
            bool overlap = Same(dq, dv) && Q.Shape != V.Shape;
            using Scratch values = new(overlap ? V.Count : 0);
            Span<float> apart = overlap ? new(values.Pointer, V.Count) : default;
            apart.Clear();
            Launch.Run(
                new FavorBackward
                {
                    Shape = Shape,
                    Q = Q.Pointer,
                    K = K.Pointer,
                    V = V.Pointer,
                    Projection = Projection.Pointer,
                    Y = Y.Pointer,
                    FeaturesQ = State.FeaturesQ.Pointer,
                    FeaturesK = State.FeaturesK.Pointer,
                    Divisors = State.Divisors.Pointer,
                    Dy = dy.Pointer,
                    Dq = dq.Target.Pointer,
                    Dk = dk.Target.Pointer,
                    Dv = overlap ? values.Pointer : dv.Target.Pointer,
                },
                Shape.Batch * Shape.Heads, 1);
            if (overlap) TensorPrimitives.Add(apart, dv!.Value.Span, dv.Value.Span);
        }
    }
}
