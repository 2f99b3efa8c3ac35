using System.Globalization;

namespace Mamba.Cli.Reports.Study;

/// <summary>Numbers as people read them.</summary>
internal static class Units
{
    private static readonly string[] s_prefixes = ["", " k", " M", " G", " T", " P"];

    /// <summary>What stands where there is no number.</summary>
    public const string None = "–";

    /// <summary>A number with at most three digits and the prefix of a thousand, a million and so on.</summary>
    public static string Short(double value)
    {
        if (!double.IsFinite(value)) return None;
        int power = 0;
        for (; Math.Abs(value) >= 999.5 && power < s_prefixes.Length - 1; power++) value /= 1000;
        string digits = Math.Abs(value) >= 99.5 ? "0" : Math.Abs(value) >= 9.95 ? "0.#" : "0.##";
        return value.ToString(digits, CultureInfo.InvariantCulture) + s_prefixes[power];
    }

    /// <summary>A number with three significant digits, without a prefix.</summary>
    public static string Three(double value) => !double.IsFinite(value) ? None
        : value.ToString(Math.Abs(value) >= 99.5 ? "#,##0" : Math.Abs(value) >= 9.95 ? "0.0" : "0.00", CultureInfo.InvariantCulture);

    /// <summary>A score, with four decimals.</summary>
    public static string Score(double value) => double.IsFinite(value) ? value.ToString("0.0000", CultureInfo.InvariantCulture) : None;

    /// <summary>A difference of scores, with its sign.</summary>
    public static string Difference(double value) => !double.IsFinite(value) ? None
        : (value < 0 ? "−" : "+") + Math.Abs(value).ToString("0.0000", CultureInfo.InvariantCulture);

    /// <summary>A p value.</summary>
    public static string PValue(double value) => value < 0.001 ? "< 0.001" : value.ToString("0.000", CultureInfo.InvariantCulture);

    /// <summary>A whole number with commas.</summary>
    public static string Whole(double value) => double.IsFinite(value) ? value.ToString("#,##0", CultureInfo.InvariantCulture) : None;

    /// <summary>A number for a program to read; empty where there is none.</summary>
    public static string Plain(double value) => double.IsFinite(value) ? value.ToString("G9", CultureInfo.InvariantCulture) : "";

    /// <summary>A count of things, with the plural where it is not 1.</summary>
    public static string Of(long count, string thing) => $"{Whole(count)} {thing}{(count == 1 ? "" : "s")}";

    /// <summary>The text with a capital, to begin a sentence.</summary>
    public static string Upper(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];

    /// <summary>The text, cut to a number of letters.</summary>
    public static string Cut(string text, int letters) => text.Length <= letters ? text : text[..(letters - 1)] + "…";
}
