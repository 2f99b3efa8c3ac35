namespace Mamba.Core.Nn;

/// <summary>How the names of a file of weights fit a model.</summary>
/// <param name="Loaded">Tensors that fit.</param>
/// <param name="Missing">Names that the model has and the file has not.</param>
/// <param name="Unexpected">Names that the file has and the model has not.</param>
/// <param name="Misshapen">Names in both whose shapes differ, with both shapes.</param>
public sealed record LoadReport(int Loaded, IReadOnlyList<string> Missing,
    IReadOnlyList<string> Unexpected, IReadOnlyList<string> Misshapen)
{
    private const int FewNames = 3;

    /// <summary>The prefix that was dropped from the names of the file, or added to them, in words; empty if they fit unchanged.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>
    /// The places of the file that the model goes without (<see cref="Scope.LeaveOut"/>), in words; empty if there are none.
    /// </summary>
    public string LeftOut { get; init; } = "";

    /// <summary>
    /// What did not fit: how many names of each kind, and the first three. Of a file that has other names than the model, the two that are
    /// nearest show what differs.
    /// </summary>
    /// <returns>A line; empty if all fit.</returns>
    public override string ToString()
    {
        bool others = Unexpected.Count > 0 && Missing.Count > 0;
        string nearest = others && Nearest() is var (file, model)
            ? $"the nearest are '{file}' in the file and '{model}' in the model" : "";
        if (others && Loaded == 0 && Misshapen.Count == 0)
            return $"not one of its {Unexpected.Count} names is among the {Missing.Count} of the model; {nearest}";
        return string.Join("; ", new[] { Few("missing", Missing), Few("unexpected", Unexpected), Few("misshapen", Misshapen), nearest }
            .Where(part => part.Length > 0));
    }

    private static string Few(string kind, IReadOnlyList<string> names) => names.Count == 0 ? ""
        : $"{kind}: {string.Join(", ", names.Take(FewNames))}{(names.Count > FewNames ? $" and {names.Count - FewNames} more" : "")}";

    /// <summary>
    /// A name of the file and one of the model that share the longest ending: what lies before it tells how the two differ.
    /// </summary>
    private (string File, string Model) Nearest() => Unexpected.Take(200)
        .SelectMany(f => Missing.Take(200), (f, m) => (File: f, Model: m))
        .MaxBy(pair => pair.File.Reverse().Zip(pair.Model.Reverse()).TakeWhile(c => c.First == c.Second).Count());
}
