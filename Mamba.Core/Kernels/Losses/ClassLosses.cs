using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Losses;

/// <summary>
/// Inputs of class losses: rows of logits, or of log-probabilities, with one class each; -1 ignores a row. Let l be the negative
/// log-probability of the class and w its weight. The loss of a row is w (1 - e^-l)^Gamma l. With smoothing it is (1 - s) w l + s / C times
/// the sum of w l over all classes.
/// </summary>
internal unsafe struct ClassRows
{
    /// <summary>Rows per chunk.</summary>
    public const nint Grain = 256;

    /// <summary>(Rows, Columns).</summary>
    public float* X;

    /// <summary>(Rows): the class.</summary>
    public float* Target;

    /// <summary>(Columns): the weights of the classes, or null.</summary>
    public float* Weight;

    /// <summary>(Rows): the log-sum-exp; null where X has log-probabilities.</summary>
    public float* LogSum;
    public nint Columns;
    public float Smoothing, Gamma;

    /// <summary>The class of a row and its weight.</summary>
    public readonly (nint Class, float Weight) Label(nint row)
    {
        nint label = (nint)Target[row];
        return (label, label < 0 ? 0f : Weight == null ? 1f : Weight[label]);
    }

    /// <summary>(1 - p)^Gamma and Gamma (1 - p)^(Gamma - 1), given -log p.</summary>
    public readonly (double Power, double Slope) Focus(double surprise)
    {
        if (Gamma == 0f) return (1, 0);
        double q = 1 - Math.Exp(-surprise);
        // At q = 0 the slope is infinite for Gamma < 1, but its factor is 0 there.
        return q > 0 || double.IsNaN(q) ? (Math.Pow(q, Gamma), Gamma * Math.Pow(q, Gamma - 1)) : (0, 0);
    }
}

/// <summary>The losses of rows, and the sums of losses and weights of each chunk of <see cref="ClassRows.Grain"/> rows.</summary>
internal unsafe struct ClassLossForward : IKernel
{
    public ClassRows Rows;

    /// <summary>(Rows), or null.</summary>
    public float* Elements;

    /// <summary>Two per chunk.</summary>
    public double* Sums;

    /// <summary>Whether a row that is not ignored counts as 1, whatever its class weight.</summary>
    public bool CountRows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ClassRows rows = Rows;
        double losses = 0, weights = 0;
        for (nint row = begin; row < end; row++)
        {
            float* x = rows.X + row * rows.Columns;
            float logSum = 0f;
            if (rows.LogSum != null) rows.LogSum[row] = logSum = LogSumExp<V>(x, rows.Columns, VecMath.Log2E);
            (nint label, float weight) = rows.Label(row);
            double loss = 0;
            if (label >= 0)
            {
                double surprise = (double)logSum - x[label];
                loss = weight * surprise * rows.Focus(surprise).Power;
                if (rows.Smoothing > 0f) loss = (1 - rows.Smoothing) * loss + rows.Smoothing / rows.Columns * OfAllClasses(x, logSum);
                losses += loss;
                weights += CountRows ? 1f : weight;
            }
            if (Elements != null) Elements[row] = (float)loss;
        }
        Sums[begin / ClassRows.Grain * 2] = losses;
        Sums[begin / ClassRows.Grain * 2 + 1] = weights;
    }

    /// <summary>log(sum of e^(scale x)); the argument is scale log2(e).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float LogSumExp<V>(float* x, nint columns, float scaleLog2E) where V : unmanaged
    {
        nint n = Count<V>();
        V lowest = Broadcast<V>(float.NegativeInfinity), scale = Broadcast<V>(scaleLog2E), largest = lowest, sum = default;
        for (nint i = 0; i < columns; i += n) largest = Max(largest, Load(x + i, Math.Min(n, columns - i), lowest));
        float max = MaxLane(largest);
        V shift = Broadcast<V>(max);
        // Lanes past the end add nothing.
        for (nint i = 0; i < columns; i += n) sum += VecMath.Exp2((Load(x + i, Math.Min(n, columns - i), lowest) - shift) * scale);
        return max * (scaleLog2E / VecMath.Log2E) + MathF.Log(Sum(sum));
    }

    private readonly double OfAllClasses(float* x, float logSum)
    {
        double sum = 0;
        for (nint c = 0; c < Rows.Columns; c++) sum += (Rows.Weight == null ? 1f : Rows.Weight[c]) * ((double)logSum - x[c]);
        return sum;
    }
}

/// <summary>
/// dx (+)= g ((a + s W / C) p - s w / C - a [class]), with g = Factor dy and W the sum of the weights. a is (1 - s) w, modified by the
/// focal factor. p is recomputed. For log-probabilities only the target class has a gradient.
/// </summary>
internal unsafe struct ClassLossGradient : IKernel
{
    public ClassRows Rows;
    public float* Dy;
    public GradientTarget Dx;
    public float Factor, WeightSum;

    /// <summary>Whether dy has one element per row.</summary>
    public bool OneEach;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ClassRows rows = Rows;
        nint n = Count<V>(), columns = rows.Columns;
        GradientTarget target = Dx;
        V log2E = Broadcast<V>(VecMath.Log2E), one = Broadcast<V>(1f);
        for (nint row = begin; row < end; row++)
        {
            float* x = rows.X + row * columns, dx = target.Pointer + row * columns;
            (nint label, float weight) = rows.Label(row);
            bool normalized = rows.LogSum == null;
            if (label < 0 || normalized) target.Prepare(dx, columns);
            if (label < 0) continue;
            float g = Factor * Dy[OneEach ? row : 0], own = (1f - rows.Smoothing) * weight;
            if (normalized)
            {
                dx[label] -= g * own;
                continue;
            }
            if (rows.Gamma != 0f)
            {
                double surprise = (double)rows.LogSum[row] - x[label];
                (double power, double slope) = rows.Focus(surprise);
                own = (float)(weight * (power + slope * Math.Exp(-surprise) * surprise));
            }
            float rest = rows.Smoothing / columns;
            V shift = Broadcast<V>(rows.LogSum[row]), share = Broadcast<V>(g * (own + rest * WeightSum)), spread = Broadcast<V>(-g * rest);
            for (nint i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                V p = VecMath.ZeroAtFloor(VecMath.Exp2((Load<V>(x + i, lanes) - shift) * log2E));
                V d = Fma(spread, rows.Weight == null ? one : Load<V>(rows.Weight + i, lanes), share * p);
                target.Store(d, dx + i, lanes);
            }
            dx[label] -= g * own;
        }
    }
}

/// <summary>
/// T^2 KL(softmax(teacher / T) || softmax(student / T)) of each row (Hinton et al. 2015), and the sum for each chunk of <see
/// cref="ClassRows.Grain"/> rows.
/// </summary>
internal unsafe struct DistillationForward : IKernel
{
    public float* Student, Teacher;

    /// <summary>(Rows, 2): both log-sum-exps.</summary>
    public float* LogSums;

    /// <summary>(Rows), or null.</summary>
    public float* Elements;

    /// <summary>One per chunk.</summary>
    public double* Sums;
    public nint Columns;
    public float Temperature;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        float inverse = 1f / Temperature;
        double total = 0;
        for (nint row = begin; row < end; row++)
        {
            float* s = Student + row * Columns, t = Teacher + row * Columns;
            float logS = ClassLossForward.LogSumExp<V>(s, Columns, VecMath.Log2E * inverse),
                logT = ClassLossForward.LogSumExp<V>(t, Columns, VecMath.Log2E * inverse);
            (LogSums[2 * row], LogSums[2 * row + 1]) = (logS, logT);
            double loss = 0;
            for (nint c = 0; c < Columns; c++)
            {
                double log = (double)t[c] * inverse - logT;
                if (!double.IsNegativeInfinity(log)) loss += Math.Exp(log) * (log - ((double)s[c] * inverse - logS)); // 0 log 0 is 0
            }
            loss *= (double)Temperature * Temperature;
            if (Elements != null) Elements[row] = (float)loss;
            total += loss;
        }
        Sums[begin / ClassRows.Grain] = total;
    }
}

/// <summary>dstudent (+)= Factor dy T (softmax(student / T) - softmax(teacher / T)).</summary>
internal unsafe struct DistillationGradient : IKernel
{
    public float* Student, Teacher, LogSums, Dy;
    public GradientTarget Dx;
    public nint Columns;
    public float Temperature, Factor;
    public bool OneEach;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        GradientTarget target = Dx;
        V scale = Broadcast<V>(VecMath.Log2E / Temperature);
        for (nint row = begin; row < end; row++)
        {
            float* s = Student + row * Columns, t = Teacher + row * Columns, dx = target.Pointer + row * Columns;
            V g = Broadcast<V>(Factor * Temperature * Dy[OneEach ? row : 0]);
            V logS = Broadcast<V>(LogSums[2 * row] * VecMath.Log2E), logT = Broadcast<V>(LogSums[2 * row + 1] * VecMath.Log2E);
            for (nint i = 0; i < Columns; i += n)
            {
                nint lanes = Math.Min(n, Columns - i);
                V p = VecMath.ZeroAtFloor(VecMath.Exp2(Load<V>(s + i, lanes) * scale - logS));
                V q = VecMath.ZeroAtFloor(VecMath.Exp2(Load<V>(t + i, lanes) * scale - logT));
                target.Store(g * (p - q), dx + i, lanes);
            }
        }
    }
}
