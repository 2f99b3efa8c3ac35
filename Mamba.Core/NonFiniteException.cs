namespace Mamba.Core;

/// <summary>A value that training depends on is NaN or infinite; the message says where.</summary>
/// <param name="what">The name of the values: the loss, the gradient of a parameter, the result of an operator.</param>
/// <param name="values">The values; at least one is NaN or infinite.</param>
public sealed class NonFiniteException(string what, Tensor values) : ArithmeticException(Describe(what, values))
{
    /// <summary>The name of the values.</summary>
    public string What { get; } = what;

    /// <summary>Throws unless all values are finite.</summary>
    /// <param name="what">The name of the values.</param>
    /// <param name="values">The values.</param>
    /// <exception cref="NonFiniteException">One is NaN or infinite.</exception>
    public static void ThrowIfAny(string what, Tensor values)
    {
        if (First(values) >= 0) throw new NonFiniteException(what, values);
    }

    private static int First(Tensor values)
    {
        ReadOnlySpan<float> span = values.Span;
        for (int i = 0; i < span.Length; i++)
            if (!float.IsFinite(span[i])) return i;
        return -1;
    }

    private static string Describe(string what, Tensor values)
    {
        int first = First(values);
        string place = values.Count == 1 ? "" : $" at element {first} of {values.Shape}";
        return FormattableString.Invariant($"{what} is {values.Span[first]}{place}");
    }
}
