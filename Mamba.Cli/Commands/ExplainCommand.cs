using System.CommandLine;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Explanation;
using Mamba.Models.Files;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba explain</c>: what a model looks at, and whether that is so.</summary>
internal sealed class ExplainCommand
{
    private const int DefaultLimit = 8;

    private readonly Argument<string[]> _inputs =
        new("IMAGE|DIR") { Description = "Images or folders; *_mask.* is skipped.", Arity = ArgumentArity.OneOrMore };

    private readonly Option<string> _weights =
        new("--weights") { Description = "Weights of 'mamba train'.", HelpName = "FILE", Required = true };

    private readonly Option<MethodChoice?> _method =
        Options.Choice<MethodChoice>("--method", "How the model is explained.", "influence, rollout or gradcam, by model");

    private readonly Option<(int X, int Y)?> _pixel =
        Options.Pixel("Column and row to look from.", "middle of the lesion; class token");

    private readonly Option<string?> _class = Options.Text("--class", "NAME", "Class to explain.", "the predicted");
    private readonly Option<string?> _layer = Options.Text("--layer", "NAME", "Feature map of gradcam.", "the last before the head");
    private readonly Option<DeltaChannels?> _delta = Options.Choice<DeltaChannels>("--delta", "Channels of delta in one map.", "mean");

    private readonly Option<int?> _faithfulness = Options.Integer(
        "--faithfulness", "Deletion and insertion steps; 0 for none.", $"{FaithfulnessCurves.DefaultSteps}", 0, 1000);

    private readonly Option<int?> _limit = Options.Integer("--limit", "Images at most, spread evenly.", $"{DefaultLimit}", 1);
    private readonly Option<string?> _output = Options.Text("--out", "DIR", "Folder of the results.", "runs/explain/MODEL[-n]");
    private readonly Option<bool> _overwrite = Options.Flag("--overwrite", "Replace results that are there.");
    private readonly Option<bool> _json = Options.Json();
    private readonly Option<int?> _threads = Options.Threads();

    /// <summary>The methods by the numbers of <see cref="ExplanationMethod"/>, and all of them.</summary>
    private enum MethodChoice
    {
        Delta = ExplanationMethod.Delta,
        Influence = ExplanationMethod.Influence,
        Rollout = ExplanationMethod.Rollout,
        GradCam = ExplanationMethod.GradCam,
        All,
    }

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        ExplainCommand explain = new();
        Command command = new(
            "explain",
            "Show what a model looks at, as heat maps over images and a page, index.html.\n" +
            "delta and influence are for Mamba and S4D, rollout for attention, gradcam for convolutional blocks.\n" +
            "Deletion and insertion curves measure whether a map is better than a random one.\n\n" +
            "Example: mamba explain --weights best.safetensors slice.png")
        {
            explain._inputs, explain._weights, explain._method, explain._pixel, explain._class, explain._layer, explain._delta,
            explain._faithfulness, explain._limit, explain._output, explain._overwrite, explain._json, explain._threads,
        };
        command.SetAction(parsed => explain.Run(terminal, parsed, stop));
        return command;
    }

    private int Run(Terminal terminal, ParseResult parsed, CancellationToken stop)
    {
        Options.Apply(parsed, _threads);
        string weights = NamedWeights.Find(parsed.GetRequiredValue(_weights));
        using Explainer explainer = Open(terminal, weights, stop);
        ExplanationOptions options = Choose(parsed, explainer);
        InferInput[] images = Images(terminal, parsed, stop);
        InferOutput output = InferOutput.Open(
            parsed.GetValue(_output), parsed.GetValue(_overwrite), Path.Combine("runs", "explain"), explainer.Info.Model);
        ExplainRun run = new(terminal, output, explainer, options)
        {
            Weights = weights,
            Steps = parsed.GetValue(_faithfulness) ?? FaithfulnessCurves.DefaultSteps,
            Json = parsed.GetValue(_json),
        };
        try
        {
            run.Execute(images, stop);
        }
        catch
        {
            output.TakeBack();
            throw;
        }
        return ExitCode.Success;
    }

    private static Explainer Open(Terminal terminal, string weights, CancellationToken stop)
    {
        (VisionModel model, ModelInfo info) = NamedWeights.Load(weights, stop);
        Options.NoteNames(terminal, weights, info);
        return new Explainer(model, info);
    }

    private ExplanationOptions Choose(ParseResult parsed, Explainer explainer)
    {
        IReadOnlyList<ExplanationMethod> methods = parsed.GetValue(_method) switch
        {
            null => [explainer.Methods[0]],
            MethodChoice.All => explainer.Methods,
            { } one => [(ExplanationMethod)one],
        };
        foreach (ExplanationMethod method in methods)
            if (!explainer.Methods.Contains(method))
                throw new ArgumentException(
                    $"--method {RunArguments.Name(method)} does not apply to {explainer.Info.Model}; expected "
                        + $"{string.Join(", ", explainer.Methods.Select(m => RunArguments.Name(m)))} or all");
        if (parsed.GetValue(_layer) is { } layer)
        {
            if (!methods.Contains(ExplanationMethod.GradCam)) throw new ArgumentException("--layer is for --method gradcam");
            if (!explainer.Layers.Contains(layer))
                throw new ArgumentException(
                    $"--layer {layer}: {explainer.Info.Model} has no such feature map; expected one of "
                        + string.Join(", ", explainer.Layers));
        }
        if (parsed.GetValue(_delta) is not null && !methods.Contains(ExplanationMethod.Delta))
            throw new ArgumentException("--delta is for --method delta");
        return new ExplanationOptions
        {
            Methods = methods,
            Pixel = parsed.GetValue(_pixel),
            Class = parsed.GetValue(_class),
            Layer = parsed.GetValue(_layer),
            Delta = parsed.GetValue(_delta) ?? DeltaChannels.Mean,
        };
    }

    /// <summary>The images that were given; of many, some that are spread evenly over the list.</summary>
    private InferInput[] Images(Terminal terminal, ParseResult parsed, CancellationToken stop)
    {
        InferInput[] found = InferInputs.Find(
            parsed.GetRequiredValue(_inputs), parsed.GetValue(_output), shared: false,
            text => terminal.Error.WriteLine(PlainText.Printable($"note: {text}")), stop);
        if (found.FirstOrDefault(input => SliceStack.IsStack(input.Path)) is { } volume)
            throw new ArgumentException($"{volume.Path}: is a volume; expected pictures, such as slices of it");
        int limit = parsed.GetValue(_limit) ?? DefaultLimit;
        if (found.Length <= limit) return found;
        terminal.Error.WriteLine($"note: {limit} of {found.Length} images are explained; --limit {found.Length} takes all");
        return [.. Enumerable.Range(0, limit).Select(i => found[(int)((long)i * found.Length / limit)])];
    }
}
