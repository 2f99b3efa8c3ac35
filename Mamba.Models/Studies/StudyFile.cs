using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data.Splits;
using Mamba.Models.Training;

namespace Mamba.Models.Studies;

/// <summary>Reads and writes the definition of a study, <c>STUDY.json</c>.</summary>
public static class StudyFile
{
    private const int MostBytes = 1 << 20, MostModels = 1000, MostSeeds = 1000;

    /// <summary>What the study itself says, so that no option may.</summary>
    private static readonly string[] s_own =
        ["model", "data", "seed", "protocol", "fold", "epochs", "steps", "minutes", "out", "resume", "threads", "teacher"];

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The study.</returns>
    /// <exception cref="StudyException">It cannot be read, or says something malformed or unknown; the message names the place.</exception>
    public static Study Read(string path)
    {
        try
        {
            FileInfo file = new(path);
            if (!file.Exists) throw new StudyException($"{path}: no such file; expected a study");
            if (file.Length > MostBytes) throw new StudyException($"{path}: {file.Length} bytes; expected a study of at most {MostBytes}");
            return Parse(path, File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not StudyException))
        {
            throw new StudyException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads the bytes of a file.</summary>
    /// <param name="name">What errors call it.</param>
    /// <param name="bytes">UTF-8.</param>
    /// <returns>The study.</returns>
    /// <exception cref="StudyException">It is malformed, or says something unknown; the message names the place.</exception>
    public static Study Parse(string name, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes);
            return StudyOf(new StudyNode(name, "$", document.RootElement));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter for text that is no UTF-8
        {
            throw new StudyException($"{name}: no study: {e.Message}", e);
        }
    }

    /// <summary>Writes a study so that <see cref="Read"/> gives it back; the file appears whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <param name="study">The study.</param>
    /// <exception cref="CheckpointException">It cannot be written.</exception>
    public static void Write(string path, Study study) => AtomicFile.Write(path, stream => stream.Write(Bytes(study)));

    /// <summary>Where two studies differ, apart from the place of their data.</summary>
    /// <param name="before">One.</param>
    /// <param name="now">The other.</param>
    /// <returns>Such as "$.budget.epochs: 3 there, 4 now"; null where they are the same.</returns>
    public static string? Difference(Study before, Study now)
    {
        using JsonDocument a = JsonDocument.Parse(Bytes(before with { Data = "" })), b = JsonDocument.Parse(Bytes(now with { Data = "" }));
        return StudyNode.Difference("$", a.RootElement, b.RootElement);
    }

    private static Study StudyOf(StudyNode root)
    {
        root.Allow("name", "title", "data", "paper", "budget", "seeds", "protocols", "folds", "options", "models");
        string name = root.Need("name").Name();
        StudyNode[] models = root.Need("models").Items(1, MostModels);
        SplitProtocol[] protocols = [.. root.Need("protocols").Items(1, 4).Select(Protocol)];
        Study study = new(name, root.Get("data")?.Text() ?? "", BudgetOf(root.Need("budget")), protocols, [.. models.Select(ModelOf)])
        {
            Title = root.Get("title")?.Text() ?? name,
            Seeds = root.Get("seeds") is { } seeds ? [.. seeds.Items(1, MostSeeds).Select(Seed)] : [0],
            Folds = root.Get("folds") is { } folds ? FoldsOf(folds) : [],
            Options = root.Get("options") is { } options ? OptionsOf(options) : new Dictionary<string, string>(),
            IsPaper = root.Get("paper")?.Flag() ?? false,
        };
        ThrowIfUnfit(root, study);
        return study;
    }

    /// <summary>Refuses what each part allows and the whole does not.</summary>
    private static void ThrowIfUnfit(StudyNode root, Study study)
    {
        HashSet<string> known = [];
        foreach (StudyModel model in study.Models)
        {
            if (model.Teacher is { } teacher && !known.Contains(teacher))
                throw root.Wrong($".models: the teacher of '{model.Id}' is '{teacher}'; expected the id of a model before it");
            if (model.Of is { } of && (!known.Contains(of) || model.Options.Count > 0 || model.Teacher is not null))
                throw root.Wrong(
                    $".models: '{model.Id}' is of '{of}'; expected the id of a model before it, and no options or teacher beside it");
            if (!known.Add(model.Id))
                throw root.Wrong($".models: two are called '{model.Id}'; expected an id of its own for each, as \"id\": \"{model.Id}-2\"");
        }
        if (study.Folds.Count > 0 && study.Protocols.Any(protocol => protocol is SplitProtocol.Official or SplitProtocol.Holdout))
            throw root.Wrong(".folds: split at random; expected the protocols slice or patient beside them");
        if (study.Plan().GroupBy(run => run.Id).FirstOrDefault(same => same.Skip(1).Any()) is { } twice)
            throw root.Wrong($": the run '{twice.Key}' is there twice; expected each protocol, seed and fold once");
    }

    private static StudyBudget BudgetOf(StudyNode node)
    {
        node.Allow("epochs", "steps", "minutes");
        StudyBudget budget = new()
        {
            Epochs = (int?)node.Get("epochs")?.Whole(1, RunArguments.EndlessEpochs),
            Steps = (int?)node.Get("steps")?.Whole(1, int.MaxValue),
            Minutes = node.Get("minutes")?.Positive(),
        };
        int given = (budget.Epochs is null ? 0 : 1) + (budget.Steps is null ? 0 : 1) + (budget.Minutes is null ? 0 : 1);
        return given == 1 ? budget : throw node.Wrong($" gives {given} bounds; expected one of epochs, steps and minutes");
    }

    private static ulong Seed(StudyNode node) => (ulong)node.Whole(0, int.MaxValue);

    private static SplitProtocol Protocol(StudyNode node)
    {
        foreach (SplitProtocol protocol in Enum.GetValues<SplitProtocol>())
            if (protocol.ToWord() == node.Text()) return protocol;
        throw node.Wrong($" is '{node.Text()}'; expected slice, patient, official or holdout");
    }

    private static Fold[] FoldsOf(StudyNode node)
    {
        if (node.IsNumber)
        {
            int count = (int)node.Whole(2, Fold.MaxCount);
            return [.. Enumerable.Range(1, count).Select(number => new Fold(number, count))];
        }
        return [.. node.Items(1, Fold.MaxCount).Select(item =>
            Fold.Parse(item.Text()) ?? throw item.Wrong($" is '{item.Text()}'; expected k/K, as 1/5"))];
    }

    private static StudyModel ModelOf(StudyNode node)
    {
        if (node.IsText) return new StudyModel(node.Name());
        node.Allow("model", "id", "label", "options", "teacher", "of", "then");
        string model = node.Need("model").Name(), id = node.Get("id")?.Name() ?? model;
        return new StudyModel(model)
        {
            Id = id,
            Label = node.Get("label")?.Text() ?? id,
            Options = node.Get("options") is { } options ? OptionsOf(options) : new Dictionary<string, string>(),
            Teacher = node.Get("teacher")?.Name(),
            Of = node.Get("of")?.Name(),
            Then = node.Get("then") is { } then ? [.. then.Items(0, 100).Select(WordsOf)] : [],
        };
    }

    private static IReadOnlyList<string> WordsOf(StudyNode node) => [.. node.Items(1, 1000).Select(word => word.Text())];

    private static Dictionary<string, string> OptionsOf(StudyNode node)
    {
        Dictionary<string, string> options = [];
        foreach (StudyNode option in node.Members())
        {
            if (s_own.Contains(option.Key))
                throw option.Wrong($": the study says it beside its options; expected an option such as batch, not {option.Key}");
            options[option.Key] = option.Word();
        }
        return options;
    }

    private static byte[] Bytes(Study study)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("name", study.Name);
            json.WriteString("title", study.Title);
            json.WriteString("data", study.Data);
            json.WriteBoolean("paper", study.IsPaper);
            json.WriteStartObject("budget");
            if (study.Budget.Epochs is { } epochs) json.WriteNumber("epochs", epochs);
            if (study.Budget.Steps is { } steps) json.WriteNumber("steps", steps);
            if (study.Budget.Minutes is { } minutes) json.WriteNumber("minutes", minutes);
            json.WriteEndObject();
            json.WriteStartArray("seeds");
            foreach (ulong seed in study.Seeds) json.WriteNumberValue(seed);
            json.WriteEndArray();
            Write(json, "protocols", [.. study.Protocols.Select(protocol => protocol.ToWord())]);
            if (study.Folds.Count > 0) Write(json, "folds", [.. study.Folds.Select(fold => fold.ToString())]);
            Write(json, "options", study.Options);
            json.WriteStartArray("models");
            foreach (StudyModel model in study.Models) Write(json, model);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return bytes.ToArray();
    }

    private static void Write(Utf8JsonWriter json, StudyModel model)
    {
        json.WriteStartObject();
        json.WriteString("model", model.Model);
        json.WriteString("id", model.Id);
        json.WriteString("label", model.Label);
        Write(json, "options", model.Options);
        if (model.Teacher is { } teacher) json.WriteString("teacher", teacher);
        if (model.Of is { } of) json.WriteString("of", of);
        if (model.Then.Count > 0)
        {
            json.WriteStartArray("then");
            foreach (IReadOnlyList<string> words in model.Then) Write(json, null, words);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, IReadOnlyDictionary<string, string> options)
    {
        json.WriteStartObject(name);
        foreach (string option in options.Keys) json.WriteString(option, options[option]);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string? name, IReadOnlyList<string> words)
    {
        if (name is null) json.WriteStartArray();
        else json.WriteStartArray(name);
        foreach (string word in words) json.WriteStringValue(word);
        json.WriteEndArray();
    }
}
