using System.Globalization;
using Mamba.Models.Data.Splits;

namespace Mamba.Models.Studies;

/// <summary>A planned run of a study.</summary>
/// <param name="Study">The study.</param>
/// <param name="Model">The model.</param>
/// <param name="Protocol">How the images are split.</param>
/// <param name="Seed">The seed.</param>
/// <param name="Fold">The fold; null for none.</param>
public sealed record StudyRun(Study Study, StudyModel Model, SplitProtocol Protocol, ulong Seed, Fold? Fold)
{
    /// <summary>Its name within the study: model, protocol, seed and fold.</summary>
    public string Id => IdOf(Model.Id);

    /// <summary>The options of the study and those of the model, by name without dashes.</summary>
    public IReadOnlyDictionary<string, string> Options
    {
        get
        {
            Dictionary<string, string> options = [];
            foreach (string name in Study.Options.Keys) options[name] = Fill(Study.Options[name]);
            foreach (string name in Model.Options.Keys) options[name] = Fill(Model.Options[name]);
            return options;
        }
    }

    /// <summary>The words after <c>mamba train</c>, without those for its folder and its teacher.</summary>
    public IReadOnlyList<string> Words
    {
        get
        {
            IReadOnlyDictionary<string, string> options = Options;
            List<string> words = [$"--model={Model.Model}", $"--data={Study.Data}"];
            foreach (string name in options.Keys) words.Add($"--{name}={options[name]}"); // in one word, so that none is taken for another
            words.Add($"--protocol={Protocol.ToWord()}");
            if (Fold is { } fold) words.Add($"--fold={fold}");
            words.Add(string.Create(CultureInfo.InvariantCulture, $"--seed={Seed}"));
            StudyBudget budget = Study.Budget;
            if (budget.Epochs is { } epochs) words.Add(string.Create(CultureInfo.InvariantCulture, $"--epochs={epochs}"));
            if (budget.Steps is { } steps) words.Add(string.Create(CultureInfo.InvariantCulture, $"--steps={steps}"));
            if (budget.Minutes is { } minutes) words.Add(string.Create(CultureInfo.InvariantCulture, $"--minutes={minutes:R}"));
            return words;
        }
    }

    /// <summary>The run that trains its weights: itself, or that of <see cref="StudyModel.Of"/>.</summary>
    public StudyRun Source
    {
        get
        {
            StudyRun run = this;
            while (run.Model.Of is { } of) run = run.Other(of);
            return run;
        }
    }

    /// <summary>
    /// The command lines that make its weights, in the folder of the study. Those after the training name files as the study does.
    /// </summary>
    public string Command
    {
        get
        {
            string teacher = Model.Teacher is { } model ? $" --teacher=runs/{IdOf(model)}" : "";
            string start = Model.Of is { } of ? Other(of).Command : $"mamba train {string.Join(' ', Words.Select(Quoted))}{teacher}";
            return start + string.Concat(Model.Then.Select(words => $" && mamba {string.Join(' ', words)}"));
        }
    }

    /// <summary>The run of another model with this one's protocol, seed and fold.</summary>
    /// <param name="model">Its <see cref="StudyModel.Id"/>.</param>
    /// <returns>The name of that run.</returns>
    public string IdOf(string model) => string.Create(
        CultureInfo.InvariantCulture, $"{model}-{Protocol.ToWord()}-{Seed}{(Fold is { } fold ? $"-fold{fold.Number}" : "")}");

    private StudyRun Other(string id) => this with { Model = Study.Models.First(model => model.Id == id) };

    /// <summary>An option's value may name the model, as a recipe does that is called like it.</summary>
    private string Fill(string value) => value.Replace("{model}", Model.Model, StringComparison.Ordinal);

    /// <summary>A word as shells read it.</summary>
    private static string Quoted(string word) =>
        word.All(c => char.IsAsciiLetterOrDigit(c) || "-_=./,:+%@".Contains(c)) ? word : $"\"{word.Replace("\"", "\\\"")}\"";
}
