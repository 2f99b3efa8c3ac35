using Mamba.Models.Data.Splits;

namespace Mamba.Models.Studies;

/// <summary>
/// Which runs of a study are whose, where several processes share it. Runs that need one another's weights stay together. The units are
/// dealt in turn, the most expensive first.
/// </summary>
internal static class StudyParts
{
    /// <summary>The runs of a part, in their order.</summary>
    /// <param name="part">The part.</param>
    /// <param name="runs">All runs of the study.</param>
    /// <param name="chosen">Those that are to be trained, by index in order.</param>
    /// <param name="costs">What each of all runs costs, in any unit; the same numbers in all processes.</param>
    public static int[] Of(JobPart part, IReadOnlyList<StudyRun> runs, int[] chosen, IReadOnlyList<long> costs)
    {
        if (chosen.Length == 0) return [];
        Dictionary<string, string> families = Families(runs[0].Study);
        int[][] units =
        [
            .. chosen.GroupBy(i => runs[i].IdOf(families[runs[i].Model.Id])).Select(unit => unit.ToArray())
                .OrderByDescending(unit => unit.Sum(i => costs[i])), // a stable order
        ];
        return [.. units.Where((_, i) => part.Owns(i)).SelectMany(unit => unit).Order()];
    }

    /// <summary>The first model of those that need one another's weights, for each model.</summary>
    private static Dictionary<string, string> Families(Study study)
    {
        Dictionary<string, string> first = study.Models.ToDictionary(model => model.Id, model => model.Id);
        foreach (StudyModel model in study.Models)
            foreach (StudyModel other in study.Models)
            {
                if (!Needs(model, other.Id)) continue;
                (string kept, string joined) = (first[other.Id], first[model.Id]);
                foreach (StudyModel one in study.Models)
                    if (first[one.Id] == joined) first[one.Id] = kept;
            }
        return first;
    }

    private static bool Needs(StudyModel model, string id) => model.Id != id
        && (model.Teacher == id || model.Of == id || model.Then.Any(words => words.Any(word => word.Contains($"{{run:{id}}}"))));
}
