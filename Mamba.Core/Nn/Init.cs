namespace Mamba.Core.Nn;

/// <summary>Writes the initial values of a parameter.</summary>
/// <param name="values">All its elements, in row-major order.</param>
/// <param name="random">The random stream of this parameter.</param>
public delegate void Initializer(Span<float> values, RandomStream random);

/// <summary>The usual initializations.</summary>
public static class Init
{
    /// <summary>Zeros.</summary>
    public static Initializer Zeros { get; } = Constant(0f);

    /// <summary>Ones.</summary>
    public static Initializer Ones { get; } = Constant(1f);

    /// <summary>The same value everywhere.</summary>
    /// <param name="value">The value.</param>
    /// <returns>The initialization.</returns>
    public static Initializer Constant(float value) => (values, _) => values.Fill(value);

    /// <summary>Uniform in [-bound, bound).</summary>
    /// <param name="bound">The bound.</param>
    /// <returns>The initialization.</returns>
    public static Initializer Uniform(double bound) => (values, random) =>
    {
        foreach (ref float value in values) value = (float)random.NextDouble(-bound, bound);
    };

    /// <summary>Normal with mean 0.</summary>
    /// <param name="std">The standard deviation.</param>
    /// <returns>The initialization.</returns>
    public static Initializer Normal(double std) => (values, random) =>
    {
        foreach (ref float value in values) value = (float)(std * random.NextNormal());
    };

    /// <summary>Normal with mean 0, resampled outside [-2, 2], as timm's trunc_normal_ does.</summary>
    /// <param name="std">The standard deviation before truncation.</param>
    /// <returns>The initialization.</returns>
    public static Initializer TruncatedNormal(double std = 0.02) => (values, random) =>
    {
        foreach (ref float value in values)
        {
            double x;
            do x = std * random.NextNormal();
            while (Math.Abs(x) > 2);
            value = (float)x;
        }
    };

    /// <summary>Uniform within 1 / sqrt(fan in): PyTorch's default for weights and biases (Kaiming uniform with a = sqrt 5).</summary>
    /// <param name="fanIn">Inputs of each output.</param>
    /// <returns>The initialization.</returns>
    public static Initializer KaimingUniform(int fanIn) => Uniform(Root(1, fanIn));

    /// <summary>Uniform with variance 2 / (fan in + fan out) (Glorot and Bengio 2010).</summary>
    /// <param name="fanIn">Inputs of each output.</param>
    /// <param name="fanOut">Outputs that each input reaches.</param>
    /// <returns>The initialization.</returns>
    public static Initializer XavierUniform(int fanIn, int fanOut) => Uniform(Root(6, (long)fanIn + fanOut));

    /// <summary>Normal with variance 2 / fan (He et al. 2015).</summary>
    /// <param name="fan">The fan-in, or the fan-out.</param>
    /// <returns>The initialization.</returns>
    public static Initializer KaimingNormal(int fan) => Normal(Root(2, fan));

    /// <summary>
    /// log(1), log(2), ... along the last dimension: S4D-real (Gu et al. 2022), so that A = -e^values is -1, -2, ..., -N.
    /// </summary>
    /// <param name="last">Extent of the last dimension.</param>
    /// <returns>The initialization.</returns>
    public static Initializer LogOfIndex(int last) => (values, _) =>
    {
        for (int i = 0; i < values.Length; i++) values[i] = (float)Math.Log(i % last + 1);
    };

    /// <summary>x with softplus(x) log-uniform in [low, high), but not below floor: Mamba's bias of dt.</summary>
    /// <param name="low">The smallest step size.</param>
    /// <param name="high">The largest step size.</param>
    /// <param name="floor">Step sizes are clamped to at least this.</param>
    /// <returns>The initialization.</returns>
    /// <exception cref="ArgumentException">
    /// Step sizes are not positive, not finite or not in order, or the floor is negative or not finite.
    /// </exception>
    public static Initializer InverseSoftplusOfLogUniform(double low, double high, double floor)
    {
        Check.PositiveRange(low, high, "Init.InverseSoftplusOfLogUniform: step sizes");
        Check.NotNegative(floor, nameof(floor));
        return (values, random) =>
        {
            foreach (ref float value in values)
            {
                double dt = Math.Max(floor, Math.Exp(random.NextDouble(Math.Log(low), Math.Log(high))));
                value = (float)(dt + Math.Log(-Math.Exp(-dt) + 1)); // log(e^dt - 1)
            }
        };
    }

    /// <summary>sqrt(numerator / fan); 0 for an empty fan, as in PyTorch: a layer without inputs has a bias of 0.</summary>
    private static double Root(double numerator, long fan)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(fan);
        return fan == 0 ? 0 : Math.Sqrt(numerator / fan);
    }
}
