namespace Mamba.Core.Nn;

/// <summary>How the names of a weight file match a model.</summary>
/// <param name="Loaded">The number of tensors loaded.</param>
/// <param name="Missing">Names that only the model has.</param>
/// <param name="Unexpected">Names that only the file has.</param>
/// <param name="Misshapen">Names in both whose shapes differ, with both shapes.</param>
public sealed record LoadReport(int Loaded, IReadOnlyList<string> Missing,
    IReadOnlyList<string> Unexpected, IReadOnlyList<string> Misshapen)
{
    private const int FewNames = 3;

    /// <summary>
    /// A message naming the prefix that was dropped from, or added to, the names of the file; empty if they matched unchanged.
    /// </summary>
    public string Prefix { get; init; } = "";

    /// <summary>
    /// A message listing the scopes of the file that the model lacks (<see cref="Scope.LeaveOut"/>); empty if there are none.
    /// </summary>
    public string LeftOut { get; init; } = "";

    /// <summary>
    /// What did not match: the number of names of each kind, and the first three. If names are both missing and unexpected, the most
    /// similar pair shows the difference.
    /// </summary>
    /// <returns>One line; empty if everything matched.</returns>
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

    /// <summary>The pair of a file's name and a model's name with the longest common suffix; their prefixes show the difference.</summary>
    private (string File, string Model) Nearest() => Unexpected.Take(200)
        .SelectMany(f => Missing.Take(200), (f, m) => (File: f, Model: m))
        .MaxBy(pair => pair.File.Reverse().Zip(pair.Model.Reverse()).TakeWhile(c => c.First == c.Second).Count());
}
