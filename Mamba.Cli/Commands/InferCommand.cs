using System.CommandLine;
using System.Globalization;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba infer</c>: masks, or classes, for images.</summary>
internal sealed class InferCommand
{
    private const int DefaultTop = 5;

    private readonly Argument<string[]> _inputs =
        new("IMAGE|DIR") { Description = "Images, volumes or folders; *_mask.* is skipped.", Arity = ArgumentArity.OneOrMore };

    private readonly Option<string> _weights = Options.Weights();
    private readonly ForeignOptions _foreign = new();
    private readonly Option<int?> _top = Options.Integer("--top", "Classes to print per image.", $"{DefaultTop}", 1);
    private readonly Option<double?> _threshold = Options.Share("--threshold", "Probability of a mask's pixel.", "0.5");
    private readonly Option<bool> _probabilities = Options.Flag("--probabilities", "Write NAME_prob, 16 bits, too.");
    private readonly Option<TestTimeAugmentation?> _augmentation =
        Options.Choice<TestTimeAugmentation>("--tta", "Mean over mirror images, four times slower.", "none");

    private readonly Option<int?> _tile = Options.Integer(
        "--tile", "Cut images into N x N tiles.", "where an image is over four times the training size", 16, RunData.MaxSide);

    private readonly Option<int?> _overlap = Options.Integer("--overlap", "Pixels that tiles share.", "a quarter of --tile", 0,
        RunData.MaxSide);
    private readonly Option<bool> _letterbox = Options.Flag("--letterbox", "Keep the aspect ratio.");
    private readonly Option<SliceAxis?> _axis = Options.Axis();
    private readonly Option<bool> _noOverlay = Options.Flag("--no-overlay", "Write masks only.");
    private readonly Option<JobPart?> _part = Options.Part();
    private readonly Option<bool> _overwrite = Options.Flag("--overwrite", "Replace results that are there.");
    private readonly Option<OnBadImage?> _onBadImage = Options.OnBadImage();
    private readonly Option<string?> _output = Options.Text("--out", "DIR", "Folder of the results.", "runs/infer[-n]");
    private readonly Option<bool> _checkNumerics = Options.CheckNumerics();
    private readonly Option<int?> _threads = Options.Threads();

    /// <summary>Test-time augmentation.</summary>
    private enum TestTimeAugmentation
    {
        None,
        Flips,
    }

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        InferCommand infer = new();
        Command command = new(
            "infer",
            "Run trained weights on images. Segmentation writes NAME_pred.png and NAME_overlay.png.\n" +
            "Of a volume (NIfTI, or a TIFF of several pages) it writes the mask alone, NAME_pred.nii.gz or .tif.\n" +
            "Classification prints the most probable classes. Both write predictions.csv.\n" +
            "Weights of recorded signals take .wav and .csv files, or folders of them.\n\n" +
            "Example: mamba infer --weights best.safetensors scans/ --out masks")
        {
            infer._inputs, infer._weights, infer._top, infer._threshold, infer._probabilities, infer._augmentation, infer._tile,
            infer._overlap, infer._letterbox, infer._axis, infer._noOverlay, infer._onBadImage, infer._output, infer._part,
            infer._overwrite, infer._checkNumerics, infer._threads,
        };
        foreach (Option option in infer._foreign.All) command.Add(option);
        command.SetAction(parsed => infer.Run(terminal, parsed, stop));
        return command;
    }

    private int Run(Terminal terminal, ParseResult parsed, CancellationToken stop)
    {
        Options.Apply(parsed, _threads);
        string weights = NamedWeights.Find(parsed.GetRequiredValue(_weights));
        if (SequenceEval.Open([weights]) is { } sequences)
        {
            using (sequences)
            {
                SequenceInfer infer = new(terminal, sequences, parsed.GetValue(_top) ?? DefaultTop);
                SequenceEval.ThrowIfMixed(parsed, _weights, _top, _output, _overwrite, _threads);
                return infer.Run(
                    parsed.GetRequiredValue(_inputs), () => InferOutput.Open(parsed.GetValue(_output), parsed.GetValue(_overwrite)), stop);
            }
        }
        (VisionModel model, ModelInfo info) = _foreign.Load(terminal, parsed, weights, stop);
        ThrowIfUnfit(parsed, info);
        JobPart? part = parsed.GetValue(_part);
        List<string> notes = [];
        InferInput[] images = InferInputs.Find(
            parsed.GetRequiredValue(_inputs), parsed.GetValue(_output), shared: part is not null,
            notes.Add, stop);
        SliceAxis? axis = info.Entry.Task == ModelTask.Segmentation ? AxisOf(parsed, info, InferInputs.AreVolumes(images)) : null;
        InferPart? share = part is { } one ? Claim(parsed, one, weights, images, stop) : null;
        if (share is { HasEnded: true })
        {
            terminal.Out.WriteLine($"part {part} has ended before; {share.Join()}");
            return ExitCode.Success;
        }
        images = share?.Own(images) ?? images;
        InferOutput output = share is null ? InferOutput.Open(parsed.GetValue(_output), parsed.GetValue(_overwrite))
            : InferOutput.OpenShared(parsed.GetValue(_output)!, parsed.GetValue(_overwrite) || share.HasBegun);
        foreach (string note in notes) terminal.Error.WriteLine(PlainText.Printable($"note: {note}"));
        InferRun run = new(terminal, output, parsed.GetValue(_onBadImage) ?? OnBadImage.Fail) { Part = share };
        int count;
        try
        {
            count = info.Entry.Task == ModelTask.Classification
                ? Classify(parsed, run, images, model, info, stop)
                : Segment(parsed, run, output, images, axis, model, info, stop);
        }
        catch (Exception e) when (e is not OperationCanceledException) // what was done before a stop is whole, and stays
        {
            output.TakeBack();
            share?.Release();
            throw;
        }
        if (axis is not null && parsed.GetValue(_noOverlay))
            terminal.Error.WriteLine("note: --no-overlay changes nothing: volumes have no overlay; viewers lay the mask over the scan");
        if (run.Bad.Count > 0) terminal.Error.WriteLine(PlainText.Printable($"mamba: {BadImage.Describe(run.Bad, images.Length)}"));
        terminal.Out.WriteLine($"{count} {(axis is null ? "image" : "volume")}{(count == 1 ? "" : "s")}, results in {output.Path}");
        if (share is not null) terminal.Out.WriteLine($"part {part} has ended; {share.Join()}");
        return ExitCode.Success;
    }

    /// <summary>Claims a part of the images.</summary>
    /// <exception cref="ArgumentException">There is no folder that all parts share.</exception>
    private InferPart Claim(ParseResult parsed, JobPart part, string weights, InferInput[] images, CancellationToken stop)
    {
        string folder = parsed.GetValue(_output)
            ?? throw new ArgumentException("--part goes with --out DIR, the folder that all parts write to");
        Option[] apart = [_weights, _output, _part, _overwrite, _onBadImage, _checkNumerics, _threads]; // the weights count by content
        string[] names = Array.ConvertAll(images, image => image.Name);
        InferPart share = new(part, folder, PartJob.Digest(parsed, apart, weights, names, stop), names);
        Directory.CreateDirectory(folder);
        share.Claim(parsed.GetValue(_overwrite));
        return share;
    }

    private void ThrowIfUnfit(ParseResult parsed, ModelInfo info)
    {
        if (info.Entry.Task == ModelTask.Classification)
        {
            Option[] others = [_threshold, _probabilities, _augmentation, _tile, _overlap, _letterbox, _axis, _noOverlay];
            if (others.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } other)
                throw new ArgumentException($"{other.Name} is for segmentation; {info.Model} is for classification");
            return;
        }
        if (parsed.GetValue(_top) is not null)
            throw new ArgumentException($"--top is for classification; {info.Model} is for segmentation");
        if (parsed.GetValue(_threshold) is { } threshold && (info.Config.Classes > 1 || threshold is <= 0 or >= 1))
            throw new ArgumentException(info.Config.Classes > 1
                ? $"--threshold is for one class; {info.Model} has {info.Config.Classes}"
                : "--threshold is a probability above 0 and below 1");
        if (parsed.GetValue(_overlap) is not null
            && parsed.GetValue(_tile) is null) throw new ArgumentException("--overlap goes with --tile");
        if (parsed.GetValue(_letterbox) && parsed.GetValue(_tile) is not null)
            throw new ArgumentException("--letterbox and --tile exclude each other: tiles are not resized");
    }

    /// <summary>The axis of volumes, which have no overlay; null for pictures.</summary>
    private SliceAxis? AxisOf(ParseResult parsed, ModelInfo info, bool volumes)
    {
        if (!volumes && parsed.GetValue(_axis) is not null) throw new ArgumentException("--axis is for volumes; there are pictures alone");
        return volumes ? DataSetOptions.AxisOf(parsed.GetValue(_axis), info, parsed.GetRequiredValue(_weights)) ?? SliceAxis.Z : null;
    }

    private int Segment(
        ParseResult parsed, InferRun run, InferOutput output, InferInput[] images, SliceAxis? volumes, VisionModel model, ModelInfo info,
        CancellationToken stop)
    {
        Intensity intensity = info.Intensity;
        if (volumes is not null) info = info.ForSlices;
        using Segmenter whole = New(tiles: null);
        TileOptions? given = parsed.GetValue(_tile) is { } tile ? new TileOptions(tile, parsed.GetValue(_overlap) ?? tile / 4) : null;
        Segmenter tiled = New(given ?? new TileOptions(Math.Max(info.Data.Height, info.Data.Width),
            Math.Max(info.Data.Height, info.Data.Width) / 4));
        bool letterbox = parsed.GetValue(_letterbox), probabilities = parsed.GetValue(_probabilities),
            overlay = !parsed.GetValue(_noOverlay);
        // The first pass compiles the kernels, and is not timed.
        whole.Segment(new Image(info.Data.Width, info.Data.Height, info.Config.InputChannels));
        if (volumes is { } axis)
            return run.Execute(
                images, VolumeWriter.Header(info.Labels), input => SliceStack.Load(input.Path, axis, intensity, stop),
                (input, scan) => new VolumeWriter(output, input.Name, info.Labels) { Probabilities = probabilities }
                    .Write(Choose, scan, stop), stop);
        return run.Execute(images, SegmentationWriter.Header(info.Labels), (input, image) =>
        {
            SegmentationWriter writer = new(output, input.Name, info.Labels) { Probabilities = probabilities, Overlay = overlay };
            return writer.Write(Choose(image), image);
        }, stop);

        Segmenter Choose(Image image) =>
            given is not null || (!letterbox && TileOptions.Automatic(info, image.Width, image.Height) is not null) ? tiled : whole;

        Segmenter New(TileOptions? tiles) => new(model, info)
        {
            CheckNumerics = parsed.GetValue(_checkNumerics),
            Threshold = (float)(parsed.GetValue(_threshold) ?? 0.5),
            FlipAugmentation = parsed.GetValue(_augmentation) == TestTimeAugmentation.Flips,
            Letterbox = parsed.GetValue(_letterbox) && tiles is null,
            Tiles = tiles,
        };
    }

    private int Classify(
        ParseResult parsed, InferRun run, InferInput[] images, VisionModel model, ModelInfo info, CancellationToken stop)
    {
        int top = parsed.GetValue(_top) ?? DefaultTop;
        using Classifier classifier = new(model, info) { CheckNumerics = parsed.GetValue(_checkNumerics) };
        classifier.Classify(new Image(info.Data.Width, info.Data.Height, info.Config.InputChannels)); // compiles the kernels, as above
        return run.Execute(images, "image,rank,class,probability", (input, image) =>
        {
            Classification result = classifier.Classify(image);
            ClassProbability[] best = [.. result.Classes.Take(top)];
            string[] rows = [.. best.Index().Select(entry => string.Create(
                CultureInfo.InvariantCulture,
                $"{Csv.Quoted(input.Name)},{entry.Index + 1},{Csv.Quoted(entry.Item.Label)},{entry.Item.Probability:F6}"))];
            string classes =
                string.Join(", ", best.Select(c => string.Create(CultureInfo.InvariantCulture, $"{c.Label} {100 * c.Probability:F1} %")));
            string line = string.Create(CultureInfo.InvariantCulture, $"{input.Name}: {classes}, {result.Milliseconds:F1} ms");
            return new InferRun.Result(line, rows, result.Milliseconds)
            {
                Note = info.BitsNote(image),
            };
        }, stop);
    }
}
