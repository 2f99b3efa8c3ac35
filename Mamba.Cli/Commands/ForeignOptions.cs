using System.CommandLine;
using System.Globalization;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary>
/// The options that say what weights of other programs do not say about themselves; those of <c>eval</c>, <c>infer</c> and <c>convert</c>.
/// Weights that describe their model are loaded as well; what is given beside them must agree.
/// </summary>
internal sealed class ForeignOptions
{
    private readonly Option<string?>? _maskLabels;

    private readonly Option<string?> _model = Options.Text("--model", "NAME", "Model of weights without a description.", "in the file");

    private readonly Option<string?> _labels =
        Options.Text("--labels", "FILE", "Names of classes, one per line.", "0, 1, ..., or in the file");

    private readonly Option<NormalizationKind?> _normalize = Options.Choice<NormalizationKind>(
        "--normalize", "Input normalization, with --model.", "none for segmentation, cifar for classification");

    private readonly Option<(int Height, int Width)?> _size = Options.Size("the model's, or in the file");

    private readonly Option<string?> _key = Options.Key();

    /// <summary>Makes the options of a verb.</summary>
    /// <param name="maskLabels">
    /// The verb's own <c>--labels</c>, of mask values and names, which then names the classes of a classifier; null for a verb without it.
    /// The classes of a segmentation model are then named by the masks.
    /// </param>
    public ForeignOptions(Option<string?>? maskLabels = null) => _maskLabels = maskLabels;

    /// <summary>The options that the verb does not have yet.</summary>
    public IEnumerable<Option> All => _maskLabels is null ? [_model, _labels, _normalize, _size, _key] : [_model, _normalize, _size, _key];

    /// <summary>Whether something is said about the model.</summary>
    public bool AreGiven(ParseResult parsed) => parsed.GetValue(_model) is not null || parsed.GetValue(_normalize) is not null
        || parsed.GetValue(_size) is not null || (_maskLabels is null && parsed.GetValue(_labels) is not null);

    /// <summary>Opens a file of weights at the key that was given.</summary>
    public WeightFile Open(ParseResult parsed, string weights) => WeightFile.Open(weights, parsed.GetValue(_key));

    /// <summary>Loads weights, and prints in a line what was understood of those that do not describe themselves.</summary>
    /// <param name="terminal">Where the line goes: standard error.</param>
    /// <param name="parsed">What was typed.</param>
    /// <param name="weights">The file.</param>
    /// <param name="stop">Stops.</param>
    /// <returns>The model, frozen for inference, and its description.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or does not fit the model.</exception>
    /// <exception cref="ArgumentException">An option does not fit the weights.</exception>
    public (VisionModel Model, ModelInfo Info) Load(Terminal terminal, ParseResult parsed, string weights, CancellationToken stop)
    {
        using WeightFile file = Open(parsed, weights);
        return Load(terminal, parsed, file, stop);
    }

    /// <inheritdoc cref="Load(Terminal, ParseResult, string, CancellationToken)"/>
    public (VisionModel Model, ModelInfo Info) Load(Terminal terminal, ParseResult parsed, WeightFile file, CancellationToken stop)
    {
        NamedWeights.ThrowIfSequences(file);
        string? name = parsed.GetValue(_model);
        VisionModel model;
        ModelInfo info;
        if (ModelFile.IsDescribed(file))
        {
            (model, info) = ModelFile.Load(file, stop);
            ThrowIfOther(parsed, file.Path, info);
        }
        else
        {
            if (name is null)
                throw new CheckpointException(
                    $"{file.Path}: metadata lacks 'model'; of weights not written by 'mamba train', --model NAME says what they are of");
            ModelEntry entry = Registry.Find(name);
            ForeignModel given = new(entry, parsed.GetValue(_normalize) ?? TrainDefaults.Normalization(entry.Task))
            {
                Labels = NamesOf(parsed, entry.Task),
                Size = parsed.GetValue(_size),
            };
            (model, info) = ModelFile.LoadForeign(file, given, stop);
            terminal.Error.WriteLine(PlainText.Printable(Describe(info, given, parsed.GetValue(_normalize) is null)));
        }
        Options.NoteNames(terminal, file.Path, info);
        return (model, info);
    }

    /// <summary>The names that were given; null for none.</summary>
    private IReadOnlyList<string>? NamesOf(ParseResult parsed, ModelTask task)
    {
        bool ofMasks = _maskLabels is not null && task == ModelTask.Segmentation;
        return !ofMasks && parsed.GetValue(_maskLabels ?? _labels) is { } path ? ClassNames.Read(path) : null;
    }

    /// <summary>What a file says is not overruled: nor is what was typed passed over.</summary>
    private void ThrowIfOther(ParseResult parsed, string path, ModelInfo info)
    {
        if (parsed.GetValue(_model) is { } name && Registry.Find(name).Name != info.Model)
            throw new ArgumentException($"--model is {name}; {path} says {info.Model}, and needs no --model");
        if (parsed.GetValue(_size) is { } size && size != (info.Data.Height, info.Data.Width))
            throw new ArgumentException($"--size is {size.Height}x{size.Width}; {path} says {info.Data.Height}x{info.Data.Width}");
        if (parsed.GetValue(_normalize) is { } kind)
        {
            Normalization given = Normalization.Of(kind, info.Config.InputChannels), own = info.Normalization;
            if (!given.Mean.SequenceEqual(own.Mean) || !given.Std.SequenceEqual(own.Std))
                throw new ArgumentException($"--normalize is {RunArguments.Name(kind)}; {path} says {Numbers(own)}");
        }
        if (NamesOf(parsed, info.Entry.Task) is { } names && !names.SequenceEqual(info.Labels))
            throw new ArgumentException($"--labels has the classes {PlainText.Few(names)}; {path} says {PlainText.Few(info.Labels)}");
    }

    private static string Describe(ModelInfo info, ForeignModel given, bool byDefault)
    {
        ModelConfig c = info.Config, own = info.Entry.Config;
        string sizes = string.Concat(
            c.Width == own.Width ? "" : $", width {c.Width}", c.Depth == own.Depth ? "" : $", depth {c.Depth}",
            c.Patch == own.Patch ? "" : $", patch {c.Patch}");
        string names = given.Labels is null ? "" : $" ({PlainText.Few(info.Labels)})";
        string kind = RunArguments.Name(given.Normalization) + (byDefault ? " (the default of train; --normalize for another)" : "");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{info.Model}: {Count(c.Classes, "class", "classes")}{names}, {Count(c.InputChannels, "channel", "channels")}{sizes}, "
                + $"{info.Data.Height} x {info.Data.Width}, normalization {kind}");
    }

    private static string Count(int count, string one, string many) =>
        $"{count.ToString(CultureInfo.InvariantCulture)} {(count == 1 ? one : many)}";

    private static string Numbers(Normalization n)
    {
        return $"mean {Of(n.Mean)} and deviation {Of(n.Std)}";

        static string Of(float[] values) => string.Join(' ', values.Select(v => v.ToString(CultureInfo.InvariantCulture)));
    }
}
