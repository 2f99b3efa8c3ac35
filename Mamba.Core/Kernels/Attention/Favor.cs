using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Attention;

/// <summary>Sizes of a random-feature attention; heads are column ranges of tokens, read in place.</summary>
internal record struct FavorShape(nint Batch, nint Queries, nint Keys, nint Heads, nint HeadWidth, nint ValueWidth, nint Features)
{
    // Tokens of a causal block. Pairs inside a block are a product of block x block; earlier tokens enter through the running sums.
    private const nint CausalBlock = 64;

    public bool Causal { readonly get; init; }

    public bool Relu { readonly get; init; }

    /// <summary>Epsilon is added to each feature, NormEpsilon to the sum of the keys' features if causal.</summary>
    public float Epsilon { readonly get; init; }

    /// <inheritdoc cref="Epsilon"/>
    public float NormEpsilon { readonly get; init; }

    /// <summary>Columns of the values plus a column of ones, whose sum is the divisor.</summary>
    public readonly nint Sums => ValueWidth + 1;

    /// <summary>Tokens processed together: all of them unless causal.</summary>
    public readonly nint Block => Causal ? CausalBlock : Math.Max(Queries, Keys);

    public readonly nint PanelDepth => Math.Max(Math.Max(Math.Min(Block, Math.Max(Queries, Keys)), Features), Math.Max(HeadWidth, Sums));

    public readonly float InputScale => 1f / MathF.Sqrt(MathF.Sqrt(HeadWidth));

    public readonly float FeatureScale => Relu ? 1f : 1f / MathF.Sqrt(Features);
}

/// <summary>
/// FAVOR+ (Choromanski et al. 2021): with features f of queries and keys, y_i = f(q_i) S / f(q_i) z. Here S = sum(f(k_j) v_j^T) and z =
/// sum(f(k_j)), over j up to i if causal. With v~ = (v, 1) both are one sum, (S, z). One item is a head of an image.
/// </summary>
internal unsafe struct FavorForward : IKernel
{
    public FavorShape Shape;
    public float* Q, K, V, Projection, Y;

    /// <summary>(B, Heads, Queries or Keys, Features).</summary>
    public float* FeaturesQ, FeaturesK;

    /// <summary>(B, Heads, Queries): the divisors.</summary>
    public float* Divisors;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<TVector>(nint begin, nint end) where TVector : unmanaged
    {
        FavorShape s = Shape;
        nint m = s.Features, columns = s.Sums, block = s.Block;
        using Scratch panel = new(Gemm.PanelSize<TVector>(s.PanelDepth)), values = new(s.Keys * columns), sums = new(m * columns),
            y = new(s.Queries * columns);
        using Scratch near = new(s.Causal ? block * block : 0);
        for (nint item = begin; item < end; item++)
        {
            nint head = item % s.Heads, image = item / s.Heads;
            float* fq = FeaturesQ + item * s.Queries * m, fk = FeaturesK + item * s.Keys * m;
            FavorFeatures.Run<TVector>(s, Q, Projection, fq, image, head, s.Queries, keys: false, panel.Pointer);
            FavorFeatures.Run<TVector>(s, K, Projection, fk, image, head, s.Keys, keys: true, panel.Pointer);
            FavorFeatures.ValuesAndOnes(s, V, values.Pointer, image, head);
            FavorFeatures.FirstSums(s, sums.Pointer);
            Matrix state = new(sums.Pointer, columns);
            for (nint first = 0; first < (s.Causal ? s.Queries : Math.Max(s.Queries, 1)); first += block)
            {
                nint rows = Math.Min(block, s.Queries - first), keys = s.Causal ? rows : s.Keys;
                Matrix q = new(fq + first * m, m), k = new(fk + (s.Causal ? first * m : 0), m),
                    v = new(values.Pointer + (s.Causal ? first * columns : 0), columns);
                Matrix to = new(y.Pointer + first * columns, columns);
                if (!s.Causal) Gemm.Serial<TVector>(m, columns, keys, k.Transposed, v, state, panel.Pointer, add: true);
                Gemm.Serial<TVector>(rows, columns, m, q, state, to, panel.Pointer, add: false);
                if (!s.Causal) continue;
                Matrix pairs = new(near.Pointer, rows);
                Gemm.Serial<TVector>(rows, rows, m, q, k.Transposed, pairs, panel.Pointer, add: false);
                FavorFeatures.ClearAbove(near.Pointer, rows);
                Gemm.Serial<TVector>(rows, columns, rows, pairs, v, to, panel.Pointer, add: true);
                Gemm.Serial<TVector>(m, columns, rows, k.Transposed, v, state, panel.Pointer, add: true);
            }
            for (nint i = 0; i < s.Queries; i++)
            {
                float* from = y.Pointer + i * columns, to = Y + ((image * s.Queries + i) * s.Heads + head) * s.ValueWidth;
                float divisor = Divisors[item * s.Queries + i] = from[s.ValueWidth];
                for (nint c = 0; c < s.ValueWidth; c++) to[c] = from[c] / divisor;
            }
        }
    }
}

/// <summary>
/// With dn = (dy, -dy y) / divisor: df(q) = dn (S, z)^T, d(S, z) = sum(f(q)^T dn), df(k) = v~ d(S, z)^T, dv~ = f(k) d(S, z). Each sums over
/// the tokens it depends on. The gradients then pass through the features, with constant stabilizers. Gradients that are not needed are
/// null.
/// </summary>
internal unsafe struct FavorBackward : IKernel
{
    public FavorShape Shape;
    public float* Q, K, V, Projection, Y, FeaturesQ, FeaturesK, Divisors, Dy, Dq, Dk, Dv;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<TVector>(nint begin, nint end) where TVector : unmanaged
    {
        FavorShape s = Shape;
        nint m = s.Features, columns = s.Sums, block = s.Block;
        using Scratch panel = new(Gemm.PanelSize<TVector>(s.PanelDepth)), values = new(s.Keys * columns), sums = new(m * columns),
            dn = new(s.Queries * columns);
        using Scratch near = new(s.Causal ? 2 * block * block : 0), dq = new(s.Queries * m), dk = new(s.Keys * m),
            dv = new(s.Keys * columns);
        for (nint item = begin; item < end; item++)
        {
            nint head = item % s.Heads, image = item / s.Heads;
            float* fq = FeaturesQ + item * s.Queries * m, fk = FeaturesK + item * s.Keys * m;
            FavorFeatures.ValuesAndOnes(s, V, values.Pointer, image, head);
            Numerators(s, dn.Pointer, image, head, Divisors + item * s.Queries);
            FavorFeatures.FirstSums(s, sums.Pointer);
            Matrix state = new(sums.Pointer, columns);

            // Forward order, to recompute the sums that each query sees.
            for (nint first = 0; first < (s.Causal ? s.Queries : Math.Max(s.Queries, 1)); first += block)
            {
                nint rows = Math.Min(block, s.Queries - first);
                Matrix k = new(fk + (s.Causal ? first * m : 0), m), v = new(values.Pointer + (s.Causal ? first * columns : 0), columns);
                Matrix n = new(dn.Pointer + first * columns, columns);
                if (!s.Causal) Gemm.Serial<TVector>(m, columns, s.Keys, k.Transposed, v, state, panel.Pointer, add: true);
                Gemm.Serial<TVector>(rows, m, columns, n, state.Transposed, new Matrix(dq.Pointer + first * m, m), panel.Pointer,
                    add: false);
                if (s.Causal) Gemm.Serial<TVector>(m, columns, rows, k.Transposed, v, state, panel.Pointer, add: true);
            }

            // Reverse order, to sum over the queries that see each key.
            new Span<float>(sums.Pointer, (int)(m * columns)).Clear();
            if (!s.Causal)
            {
                Gemm.Serial<TVector>(m, columns, s.Queries, new Matrix(fq, m).Transposed, new Matrix(dn.Pointer, columns), state,
                    panel.Pointer, add: true);
                ToKeys<TVector>(s, values.Pointer, fk, state, dk.Pointer, dv.Pointer, s.Keys, panel.Pointer);
            }
            else
                for (nint first = (s.Queries - 1) / block * block; first >= 0; first -= block)
                {
                    nint rows = Math.Min(block, s.Queries - first);
                    Matrix q = new(fq + first * m, m), k = new(fk + first * m, m), v = new(values.Pointer + first * columns, columns);
                    Matrix n = new(dn.Pointer + first * columns, columns), pairs = new(near.Pointer, rows),
                        other = new(near.Pointer + block * block, rows);
                    ToKeys<TVector>(s, v.Pointer, k.Pointer, state, dk.Pointer + first * m, dv.Pointer + first * columns, rows,
                        panel.Pointer);
                    Gemm.Serial<TVector>(rows, rows, columns, n, v.Transposed, pairs, panel.Pointer, add: false);
                    Gemm.Serial<TVector>(rows, rows, m, q, k.Transposed, other, panel.Pointer, add: false);
                    FavorFeatures.ClearAbove(pairs.Pointer, rows);
                    FavorFeatures.ClearAbove(other.Pointer, rows);
                    Gemm.Serial<TVector>(rows, m, rows, pairs, k, new Matrix(dq.Pointer + first * m, m), panel.Pointer, add: true);
                    Gemm.Serial<TVector>(rows, m, rows, pairs.Transposed, q, new Matrix(dk.Pointer + first * m, m), panel.Pointer,
                        add: true);
                    Gemm.Serial<TVector>(rows, columns, rows, other.Transposed, n, new Matrix(dv.Pointer + first * columns, columns),
                        panel.Pointer, add: true);
                    Gemm.Serial<TVector>(m, columns, rows, q.Transposed, n, state, panel.Pointer, add: true);
                }
            if (Dq != null) FavorFeatures.Backward<TVector>(s, Q, Projection, fq, dq.Pointer, Dq, image, head, s.Queries, panel.Pointer);
            if (Dk != null) FavorFeatures.Backward<TVector>(s, K, Projection, fk, dk.Pointer, Dk, image, head, s.Keys, panel.Pointer);
            if (Dv != null) FavorFeatures.AddValues(s, dv.Pointer, Dv, image, head);
        }
    }

    /// <summary>The gradients of a block of keys from that of the sums: df(k) = v~ d(S, z)^T, dv~ = f(k) d(S, z).</summary>
    private static void ToKeys<TVector>(in FavorShape s, float* values, float* fk, Matrix state, float* dk, float* dv, nint rows,
        float* panel)
        where TVector : unmanaged
    {
        Gemm.Serial<TVector>(rows, s.Features, s.Sums, new Matrix(values, s.Sums), state.Transposed, new Matrix(dk, s.Features), panel,
            add: false);
        Gemm.Serial<TVector>(rows, s.Sums, s.Features, new Matrix(fk, s.Features), state, new Matrix(dv, s.Sums), panel, add: false);
    }

    /// <summary>(dy, -dy y) / divisor.</summary>
    private readonly void Numerators(in FavorShape s, float* dn, nint image, nint head, float* divisors)
    {
        for (nint i = 0; i < s.Queries; i++)
        {
            float* dy = Dy + ((image * s.Queries + i) * s.Heads + head) * s.ValueWidth, y = Y + (dy - Dy), to = dn + i * s.Sums;
            float inverse = 1f / divisors[i], dot = 0f;
            for (nint c = 0; c < s.ValueWidth; c++)
            {
                to[c] = dy[c] * inverse;
                dot += dy[c] * y[c];
            }
            to[s.ValueWidth] = -dot * inverse;
        }
    }
}

/// <summary>The features of FAVOR+ and their gradients, and the values with a column of ones.</summary>
internal static unsafe class FavorFeatures
{
    /// <summary>
    /// With x' = x Dh^(-1/4) and p = x' W^T: (e^(p - |x'|^2 / 2 - s) + eps) / sqrt(m), where s is the largest p of the query or of all
    /// keys; or relu(p) + eps.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<V>(in FavorShape s, float* x, float* projection, float* f, nint image, nint head, nint tokens, bool keys,
        float* panel)
        where V : unmanaged
    {
        nint n = Count<V>(), m = s.Features, row = s.Heads * s.HeadWidth;
        Matrix from = AttentionShape.Head(x, image, tokens, row, 0, head, s.HeadWidth);
        Gemm.Serial<V>(tokens, m, s.HeadWidth, from, new Matrix(projection, s.HeadWidth).Transposed, new Matrix(f, m), panel, add: false);
        V scale = Broadcast<V>(s.InputScale), eps = Broadcast<V>(s.Epsilon), last = Broadcast<V>(s.FeatureScale);
        float largest = keys && !s.Relu ? Largest<V>(f, tokens * m) : 0f;
        for (nint t = 0; t < tokens; t++)
        {
            float* y = f + t * m;
            float shift = s.Relu ? 0f : s.InputScale * (keys ? largest : Largest<V>(y, m))
                + 0.5f * s.InputScale * s.InputScale * Squares<V>(from.Pointer + t * row, s.HeadWidth);
            V lower = Broadcast<V>(shift);
            for (nint i = 0; i < m; i += n)
            {
                nint lanes = Math.Min(n, m - i);
                V p = Load<V>(y + i, lanes) * scale;
                Store(s.Relu ? NonNegative(p) + eps : (VecMath.Exp(p - lower) + eps) * last, y + i, lanes);
            }
        }
    }

    /// <summary>Adds the gradient through the features to dx; overwrites the features' gradient.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Backward<V>(
        in FavorShape s, float* x, float* projection, float* f, float* df, float* dx, nint image, nint head, nint tokens,
            float* panel) where V : unmanaged
    {
        nint n = Count<V>(), m = s.Features, row = s.Heads * s.HeadWidth;
        V scale = Broadcast<V>(s.InputScale), floor = Broadcast<V>(s.Epsilon * s.FeatureScale);
        Matrix from = AttentionShape.Head(x, image, tokens, row, 0, head, s.HeadWidth),
            to = AttentionShape.Head(dx, image, tokens, row, 0, head, s.HeadWidth);
        for (nint t = 0; t < tokens; t++)
        {
            float* y = f + t * m, d = df + t * m;
            V total = default;
            for (nint i = 0; i < m; i += n)
            {
                nint lanes = Math.Min(n, m - i);
                V v = Load<V>(y + i, lanes), g = Load<V>(d + i, lanes);
                g = s.Relu ? Select(Greater(v, floor), g, default) : g * (v - floor);
                total += g; // lanes past the end hold 0
                Store(g * scale, d + i, lanes);
            }
            if (s.Relu) continue;
            float down = s.InputScale * s.InputScale * Sum(total);
            for (nint c = 0; c < s.HeadWidth; c++) to.Pointer[t * row + c] -= down * from.Pointer[t * row + c];
        }
        Gemm.Serial<V>(tokens, s.HeadWidth, m, new Matrix(df, m), new Matrix(projection, s.HeadWidth), to, panel, add: true);
    }

    /// <summary>(v, 1) of each key.</summary>
    public static void ValuesAndOnes(in FavorShape s, float* v, float* values, nint image, nint head)
    {
        for (nint j = 0; j < s.Keys; j++)
        {
            float* from = v + ((image * s.Keys + j) * s.Heads + head) * s.ValueWidth, to = values + j * s.Sums;
            new Span<float>(from, (int)s.ValueWidth).CopyTo(new Span<float>(to, (int)s.ValueWidth));
            to[s.ValueWidth] = 1f;
        }
    }

    /// <summary>dv += the gradient of (v, 1), without the column of ones.</summary>
    public static void AddValues(in FavorShape s, float* from, float* dv, nint image, nint head)
    {
        for (nint j = 0; j < s.Keys; j++)
        {
            float* to = dv + ((image * s.Keys + j) * s.Heads + head) * s.ValueWidth;
            for (nint c = 0; c < s.ValueWidth; c++) to[c] += from[j * s.Sums + c];
        }
    }

    /// <summary>The sums before the first key.</summary>
    public static void FirstSums(in FavorShape s, float* sums)
    {
        new Span<float>(sums, (int)(s.Features * s.Sums)).Clear();
        if (!s.Causal) return;
        for (nint i = 0; i < s.Features; i++) sums[i * s.Sums + s.ValueWidth] = s.NormEpsilon;
    }

    /// <summary>Zeroes the entries above the diagonal: the causal mask.</summary>
    public static void ClearAbove(float* square, nint size)
    {
        for (nint i = 0; i < size; i++) new Span<float>(square + i * size + i + 1, (int)(size - i - 1)).Clear();
    }

    private static float Largest<V>(float* x, nint count) where V : unmanaged
    {
        V lowest = Broadcast<V>(float.NegativeInfinity), largest = lowest;
        for (nint i = 0; i < count; i += Count<V>()) largest = Max(largest, Load(x + i, Math.Min(Count<V>(), count - i), lowest));
        return MaxLane(largest);
    }

    private static float Squares<V>(float* x, nint count) where V : unmanaged
    {
        V sum = default;
        for (nint i = 0; i < count; i += Count<V>())
        {
            V v = Load<V>(x + i, Math.Min(Count<V>(), count - i));
            sum = Fma(v, v, sum);
        }
        return Sum(sum);
    }
}
