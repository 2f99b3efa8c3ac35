using System.Runtime.CompilerServices;

namespace Mamba.Core;

/// <summary>Argument checks of operators. Messages are built only when a check fails.</summary>
internal static class Check
{
    /// <summary>Throws a <see cref="ShapeException"/> unless <paramref name="condition"/> holds.</summary>
    public static void That(bool condition, string operatorName, [InterpolatedStringHandlerArgument(nameof(condition))] ref Problem problem)
    {
        if (!condition) throw new ShapeException(operatorName, problem.ToString());
    }

    public static void Rank(Tensor x, int rank, string operatorName, string layout)
    {
        if (x.Shape.Rank != rank) throw new ShapeException(operatorName, $"input is {x.Shape}, expected {layout}");
    }

    /// <summary>Before anything is computed: a layer's state must not move in a call that throws.</summary>
    public static void Residual(Tensor x, Tensor? residual, string operatorName)
    {
        if (residual is { } added && added.Shape != x.Shape)
            throw new ShapeException(operatorName, $"residual is {added.Shape}, expected {x.Shape} as the input");
    }

    public static void SameShape(Tensor a, Tensor b, string operatorName)
    {
        if (a.Shape != b.Shape) throw new ShapeException(operatorName, $"shapes {a.Shape} and {b.Shape} differ, expected equal ones");
    }

    /// <summary>Checks that an argument that is not a shape is at least 1.</summary>
    public static void Positive(int value, string operatorName, string name)
    {
        if (value <= 0) throw new ArgumentOutOfRangeException(name, value, $"{operatorName}: {name} is {value}; expected at least 1.");
    }

    /// <summary>Checks that a setting, such as a learning rate, is finite and at least 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not.</exception>
    public static double NotNegative(double value, string name) => value >= 0 && double.IsFinite(value)
        ? value
        : throw new ArgumentOutOfRangeException(name, value, $"{name}: expected a finite number of at least 0.");

    /// <summary>Checks that 0 &lt; low &lt;= high, both finite: the range of positive initial values.</summary>
    /// <exception cref="ArgumentException">It is not.</exception>
    public static void PositiveRange(double low, double high, string what)
    {
        if (!(low > 0 && low <= high && double.IsFinite(high)))
            throw new ArgumentException($"{what} from {low} to {high}; expected 0 < low <= high, both finite.");
    }

    /// <summary>Checks that the factor of a running mean is from 0 to less than 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not.</exception>
    public static double Share(double value, string name) => value is >= 0 and < 1
        ? value
        : throw new ArgumentOutOfRangeException(name, value, $"{name}: expected at least 0 and less than 1.");

    /// <summary>Checks that a parameter is null or has exactly these extents.</summary>
    public static void Extents(Tensor? parameter, string operatorName, string name, params ReadOnlySpan<int> extents)
    {
        if (parameter is { } present && present.Shape != new Shape(extents))
            throw new ShapeException(operatorName, $"{name} is {present.Shape}, expected {new Shape(extents)}");
    }

    /// <summary>Text that is formatted only when the check has failed.</summary>
    [InterpolatedStringHandler]
    public ref struct Problem
    {
        private DefaultInterpolatedStringHandler _text;
        private readonly bool _failed;

        public Problem(int literalLength, int formattedCount, bool condition, out bool shouldAppend)
        {
            _failed = shouldAppend = !condition;
            if (_failed) _text = new DefaultInterpolatedStringHandler(literalLength, formattedCount);
        }

        public void AppendLiteral(string text) => _text.AppendLiteral(text);

        public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

        public override string ToString() => _failed ? _text.ToStringAndClear() : "";
    }
}
