using System.Globalization;

namespace Mamba.Cli.Reports.Study;

/// <summary>An axis of a plot: which values it covers, and where its ticks are.</summary>
internal sealed class PlotAxis
{
    private static readonly int[][] s_digits = [[1], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]];

    private readonly double _low, _high;
    private readonly bool _logarithmic;

    private PlotAxis(double low, double high, bool logarithmic, double[] ticks) =>
        (_low, _high, _logarithmic, Ticks) = (low, high, logarithmic, ticks);

    /// <summary>The values with a tick.</summary>
    public double[] Ticks { get; }

    /// <summary>What stands beside the axis.</summary>
    public string Title { get; init; } = "";

    /// <summary>How ticks are written.</summary>
    public Func<double, string> Format { get; init; } = Decimal;

    /// <summary>A linear axis.</summary>
    /// <param name="low">The least value.</param>
    /// <param name="high">The largest.</param>
    /// <param name="count">About how many ticks.</param>
    /// <param name="whole">Whether it ends at ticks; otherwise at the values.</param>
    /// <param name="title">What stands beside it.</param>
    /// <param name="format">How ticks are written; null for the usual.</param>
    public static PlotAxis Linear(
        double low, double high, int count, bool whole, string title, Func<double, string>? format = null)
    {
        if (!(high > low)) (low, high) = (low - 0.5, low + 0.5);
        double step = Step((high - low) / count);
        if (whole) (low, high) = (Math.Floor(low / step + 1e-9) * step, Math.Ceiling(high / step - 1e-9) * step);
        List<double> ticks = [];
        for (double n = Math.Ceiling(low / step - 1e-9); n * step <= high + 1e-9 * step; n++)
            ticks.Add(Math.Round(n * step, 10) + 0.0); // -0 becomes 0
        return new(low, high, false, [.. ticks]) { Title = title, Format = format ?? Decimal };
    }

    /// <summary>A logarithmic axis around positive values.</summary>
    /// <param name="low">The least value.</param>
    /// <param name="high">The largest.</param>
    /// <param name="title">What stands beside it.</param>
    /// <param name="format">How ticks are written.</param>
    public static PlotAxis Logarithmic(double low, double high, string title, Func<double, string> format)
    {
        double margin = Math.Max(1.25, Math.Pow(high / low, 0.07));
        (low, high) = (low / margin, high * margin);
        // As few digits as give three ticks; within less than a digit, the ticks of a linear axis.
        List<double> ticks = [];
        for (int i = 0; i < s_digits.Length && ticks.Count < 3; i++) ticks = Powers(low, high, s_digits[i]);
        if (ticks.Count < 2) ticks = [.. Linear(low, high, 4, whole: false, title).Ticks];
        return new PlotAxis(low, high, true, [.. ticks]) { Title = title, Format = format };
    }

    private static string Decimal(double value) => value.ToString("0.####", CultureInfo.InvariantCulture);

    private static List<double> Powers(double low, double high, int[] digits)
    {
        List<double> ticks = [];
        for (int power = (int)Math.Floor(Math.Log10(low)); power <= Math.Ceiling(Math.Log10(high)); power++)
            foreach (int digit in digits)
                if (digit * Math.Pow(10, power) is var tick && tick >= low && tick <= high) ticks.Add(tick);
        return ticks;
    }

    /// <summary>Where a value is on the axis: 0 at its beginning, 1 at its end, and nowhere else.</summary>
    public double Place(double value)
    {
        double share = _logarithmic
            ? Math.Log(value / _low) / Math.Log(_high / _low)
            : (value - _low) / (_high - _low);
        return Math.Clamp(share, 0, 1);
    }

    /// <summary>The number 1, 2 or 5 times a power of ten that is at least as large.</summary>
    private static double Step(double least)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(least))), digit = least / power;
        return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
    }
}
