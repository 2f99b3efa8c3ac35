namespace Mamba.Core.Nn;

/// <summary>A prefix by which the names of a weight file differ from the model's. Wrappers of training frameworks add it.</summary>
/// <param name="Drop">Dropped from names that start with it.</param>
/// <param name="Add">Prepended to names.</param>
internal readonly record struct NamePrefix(string Drop, string Add)
{
    /// <summary>Finds the prefix with which the most names match the model's; none where the names match better unchanged.</summary>
    /// <param name="names">The names of the file.</param>
    /// <param name="known">Whether the model has a name.</param>
    /// <param name="own">The names of the model.</param>
    public static NamePrefix Between(IReadOnlyList<string> names, Func<string, bool> known, IReadOnlyList<string> own)
    {
        NamePrefix best = new("", "");
        int most = names.Count(known);
        if (most == names.Count) return best;
        foreach (NamePrefix candidate in Candidates(names, own))
        {
            int fits = names.Count(name => known(candidate.Apply(name)));
            if (fits > most) (best, most) = (candidate, fits);
        }
        return best;
    }

    /// <summary>Converts a file's name to the model's.</summary>
    public string Apply(string name) => Add + (name.StartsWith(Drop, StringComparison.Ordinal) ? name[Drop.Length..] : name);

    /// <summary>A message saying what was dropped and added.</summary>
    public override string ToString() => (Drop, Add) switch
    {
        ("", "") => "",
        (_, "") => $"prefix '{Drop}' dropped",
        _ => $"prefix '{Add}' added",
    };

    /// <summary>Candidates: leading parts of a file's name to drop, or of a model's name to add.</summary>
    private static IEnumerable<NamePrefix> Candidates(IReadOnlyList<string> names, IReadOnlyList<string> own)
    {
        // Not every name has the prefix: DataParallel around a part of a model adds it to some. Start from the most common first part.
        string? common = names.Where(n => n.Contains('.')).GroupBy(n => n[..n.IndexOf('.')])
            .MaxBy(g => g.Count())?.MaxBy(n => n.Count(c => c == '.'));
        return Parts(common).Select(drop => new NamePrefix(drop, ""))
            .Concat(Parts(own.FirstOrDefault()).Select(add => new NamePrefix("", add)));
    }

    /// <summary>a., a.b., a.b.c. of a.b.c.d</summary>
    private static IEnumerable<string> Parts(string? name)
    {
        for (int dot = name?.IndexOf('.') ?? -1; dot >= 0; dot = name!.IndexOf('.', dot + 1)) yield return name![..(dot + 1)];
    }
}
