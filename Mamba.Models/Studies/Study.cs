using Mamba.Models.Data.Splits;
using Mamba.Models.Training;

namespace Mamba.Models.Studies;

/// <summary>
/// What a study trains: each model on each protocol, seed and fold. Options are those of <c>mamba train</c> without their dashes.
/// </summary>
/// <param name="Name">Its name, such as <c>paper-segmentation</c>: letters, digits, dots, dashes and underscores.</param>
/// <param name="Data">A folder of images, or <see cref="RunArguments.Synthetic"/>; empty where the user gives it.</param>
/// <param name="Budget">When each run ends.</param>
/// <param name="Protocols">How images are split.</param>
/// <param name="Models">The models.</param>
public sealed record Study(
    string Name, string Data, StudyBudget Budget, IReadOnlyList<SplitProtocol> Protocols, IReadOnlyList<StudyModel> Models)
{
    /// <summary>Its title in words.</summary>
    public string Title { get; init; } = Name;

    /// <summary>The seeds: of the split, the initial weights, the order and the augmentation.</summary>
    public IReadOnlyList<ulong> Seeds { get; init; } = [0];

    /// <summary>The folds of a cross-validation; empty for one split of 8 : 1 : 1.</summary>
    public IReadOnlyList<Fold> Folds { get; init; } = [];

    /// <summary>Options of all models, by name without dashes.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether data and options are the paper's, so that its figures stand beside the results.</summary>
    public bool IsPaper { get; init; }

    /// <summary>Its runs: protocol by protocol, fold by fold, seed by seed, model by model.</summary>
    /// <returns>The runs in the order in which they are trained.</returns>
    public IReadOnlyList<StudyRun> Plan()
    {
        List<StudyRun> runs = [];
        foreach (SplitProtocol protocol in Protocols)
            for (int f = 0; f < Math.Max(1, Folds.Count); f++)
                foreach (ulong seed in Seeds)
                    foreach (StudyModel model in Models)
                        runs.Add(new StudyRun(this, model, protocol, seed, Folds.Count == 0 ? null : Folds[f]));
        return runs;
    }
}

/// <summary>When a run of a study ends. One bound is given.</summary>
public sealed record StudyBudget
{
    /// <summary>Passes over the training images.</summary>
    public int? Epochs { get; init; }

    /// <summary>Steps of the optimizer.</summary>
    public int? Steps { get; init; }

    /// <summary>Minutes of training, validations included.</summary>
    public double? Minutes { get; init; }
}

/// <summary>A model of a study.</summary>
/// <param name="Model">Its name in the zoo.</param>
public sealed record StudyModel(string Model)
{
    /// <summary>Its name within the study, which names its runs.</summary>
    public string Id { get; init; } = Model;

    /// <summary>What tables call it.</summary>
    public string Label { get; init; } = Model;

    /// <summary>Its own options, which replace those of the study.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>The <see cref="Id"/> of the model whose run of the same protocol, seed and fold teaches it; null for none.</summary>
    public string? Teacher { get; init; }

    /// <summary>
    /// The <see cref="Id"/> of the model whose weights this one starts with, in place of a training of its own: what differs is <see
    /// cref="Then"/>. Null for a training.
    /// </summary>
    public string? Of { get; init; }

    /// <summary>
    /// Command lines that follow the training, each the words after <c>mamba</c>. In them {in} is the weight file so far, {out} the file
    /// and {folder} the run folder that the command writes, {best} the file that the training left, or that of <see cref="Of"/>, {data}
    /// the images, {split} the file of the split, and {run:ID} the weights of another model's run. What the last one writes is measured.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<string>> Then { get; init; } = [];
}
