using Mamba.Models.Training;

namespace Mamba.Models.Studies;

/// <summary>What stands where in the folder of a study.</summary>
/// <param name="folder">The folder.</param>
internal sealed class StudyPaths(string folder)
{
    /// <summary>The effective definition.</summary>
    public string Definition => Path.Combine(folder, "study.json");

    /// <summary>What was measured.</summary>
    public string Results => Path.Combine(folder, "results.json");

    /// <summary>What parts measured: a file of each run that ended or failed.</summary>
    public string Parts => Path.Combine(folder, "results");

    /// <summary>What a part measured of a run.</summary>
    public string ResultOf(string run) => Path.Combine(Parts, run + ".json");

    /// <summary>Held by the part that has a run under way.</summary>
    public string LockOf(string run) => Path.Combine(Parts, run + ".lock");

    /// <summary>The run folder of a run.</summary>
    public string FolderOf(string run) => Path.Combine(folder, "runs", run);

    /// <summary>The file of a run's split.</summary>
    public string SplitOf(string run) => RunFolder.SplitOf(FolderOf(run));

    /// <summary>The file or the folder that a command line after the training writes.</summary>
    public string Product(string run, int stage, IReadOnlyList<string> words) =>
        Path.Combine(FolderOf(run), StagePlaces.WritesFolder(words) ? $"stage{stage + 1}" : $"stage{stage + 1}.safetensors");

    /// <summary>The weights that the last command line wrote that wrote some; null where none did.</summary>
    public string? Written(string run, StudyModel model)
    {
        for (int stage = model.Then.Count - 1; stage >= 0; stage--)
            if (StagePlaces.Writes(model.Then[stage])) return RunFolder.WeightsOf(Product(run, stage, model.Then[stage]));
        return null;
    }
}

/// <summary>What the places in a command line after the training stand for, see <see cref="StudyModel.Then"/>.</summary>
/// <param name="study">The study.</param>
/// <param name="best">The weights that the training left.</param>
/// <param name="before">The weights so far.</param>
/// <param name="product">What the command line writes.</param>
/// <param name="split">The file of the run's split.</param>
internal sealed class StagePlaces(Study study, string best, string before, string product, string split)
{
    /// <summary>Whether a command line writes weights.</summary>
    public static bool Writes(IReadOnlyList<string> words) => WritesFolder(words) || words.Any(word => word.Contains("{out}"));

    /// <summary>Whether it writes a run folder.</summary>
    public static bool WritesFolder(IReadOnlyList<string> words) => words.Any(word => word.Contains("{folder}"));

    /// <summary>A word with its places filled.</summary>
    /// <exception cref="ArgumentException">There is no such place.</exception>
    public string Fill(string word, Func<string, string> weightsOf)
    {
        string filled = word.Replace("{best}", best).Replace("{in}", before).Replace("{out}", product).Replace("{folder}", product)
            .Replace("{data}", study.Data).Replace("{split}", split);
        foreach (StudyModel model in study.Models)
            if (filled.Contains($"{{run:{model.Id}}}")) filled = filled.Replace($"{{run:{model.Id}}}", weightsOf(model.Id));
        return !word.Contains('{') || filled != word ? filled : throw new ArgumentException(
            $"'{word}': unknown place; expected {{best}}, {{in}}, {{out}}, {{folder}}, {{data}}, {{split}}, or {{run:ID}} of a model");
    }
}
