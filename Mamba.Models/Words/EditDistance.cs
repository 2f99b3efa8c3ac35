namespace Mamba.Models.Words;

/// <summary>How far a misspelt word is from one that exists.</summary>
internal static class EditDistance
{
    /// <summary>Levenshtein's distance: the least number of letters to insert, delete or replace.</summary>
    public static int Between(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[^1];
    }

    /// <summary>The word that was probably meant, as "; did you mean X?"; empty where none is near.</summary>
    /// <param name="word">The misspelt word.</param>
    /// <param name="words">Those that there are.</param>
    public static string Meant(string word, IEnumerable<string> words)
    {
        string? nearest = words.MinBy(known => Between(known, word));
        // Two letters may differ, which is what an exchange of neighbors takes; of a long word one in three.
        int letters = word.Trim('-').Length, allowed = Math.Max(Math.Min(2, letters - 1), letters / 3);
        return nearest is not null && Between(nearest, word) <= allowed ? $"; did you mean {nearest}?" : "";
    }
}
