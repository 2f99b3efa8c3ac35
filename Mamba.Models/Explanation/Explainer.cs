using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Explanation;

/// <summary>
/// Shows what a trained model looks at, and measures whether that is so. One call at a time: weights are thawed while a pass is recorded.
/// </summary>
/// <example><code>
/// using Explainer explainer = Explainer.Load("best.safetensors");
/// ImageExplanation seen = explainer.Explain(ImageFile.Load("slice.tif"));
/// FaithfulnessCurves curves = explainer.Measure(seen)[0];
/// </code></example>
public sealed class Explainer : IDisposable
{
    private readonly VisionModel _model;
    private readonly BatchWriter _writer;
    private readonly InputSize _size;

    /// <summary>Takes ownership of a model as <see cref="ModelFile.Load(string, CancellationToken)"/> returns it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="info">Its description.</param>
    /// <exception cref="ArgumentException">It has no layer that a method explains.</exception>
    public Explainer(VisionModel model, ModelInfo info)
    {
        (_model, Info) = (model, info);
        _writer = new BatchWriter(info.Input);
        model.Parameters.Freeze();
        (int height, int width) = (info.Data.Height, info.Data.Width);
        int multiple = info.Entry.Task == ModelTask.Segmentation ? model.SizeMultiple : 1;
        _size = new InputSize(height, width, (height + multiple - 1) / multiple * multiple, (width + multiple - 1) / multiple * multiple);
        ModelTrace trace = new();
        using (new MemoryScope())
        {
            Tensor blank = Tensor.Zeros(1, height, width, info.Config.InputChannels);
            trace.Watch(() => Run(blank));
        }
        List<ExplanationMethod> methods = [];
        if (trace.Scans.Count > 0) methods.AddRange([ExplanationMethod.Influence, ExplanationMethod.Delta]);
        if (trace.Attentions.Count > 0) methods.Add(ExplanationMethod.Rollout);
        if (trace.Features.Count > 0) methods.Add(ExplanationMethod.GradCam);
        if (methods.Count == 0)
            throw new ArgumentException(
                $"{info.Model} cannot be explained; expected a model whose blocks report what they compute, such as vim, vit or resnet20");
        Methods = methods;
        IsTimeInvariant = trace.Scans.Count > 0 && trace.Scans.TrueForAll(scan => scan is KernelTrace);
        Layers = [.. trace.Features.Select(feature => feature.Layer)];
        DefaultLayer = Deepest(trace.Features)?.Layer;
    }

    /// <summary>What the weight file says about the model.</summary>
    public ModelInfo Info { get; }

    /// <summary>The methods that apply to the model, its own first.</summary>
    public IReadOnlyList<ExplanationMethod> Methods { get; }

    /// <summary>
    /// Whether nothing in the model's scans depends on the image (S4D, which has no selection). <see cref="ExplanationMethod.Delta"/> is
    /// then flat, and <see cref="ExplanationMethod.Influence"/> the same for every image.
    /// </summary>
    public bool IsTimeInvariant { get; }

    /// <summary>The feature maps that <see cref="ExplanationMethod.GradCam"/> can show, first to last.</summary>
    public IReadOnlyList<string> Layers { get; }

    /// <summary>The one that it shows: the last of the smallest before the decoder; null where there is none.</summary>
    public string? DefaultLayer { get; }

    /// <summary>Reads a weight file.</summary>
    /// <param name="path">A file that training wrote.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The explainer.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or is malformed.</exception>
    /// <exception cref="ArgumentException">The model has no layer that a method explains.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Explainer Load(string path, CancellationToken cancellation = default)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(path, cancellation);
        return new Explainer(model, info);
    }

    /// <summary>Explains a picture. A picture of another size is resized to the model's, as in training.</summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="options">What is explained, and how; by default the model's prediction by its own method.</param>
    /// <returns>The maps.</returns>
    /// <exception cref="ArgumentException">
    /// A method does not apply to the model; or there is no such class or layer; or the pixel is outside of the picture.
    /// </exception>
    public ImageExplanation Explain(Image image, ExplanationOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(image);
        options ??= new ExplanationOptions();
        IReadOnlyList<ExplanationMethod> methods = Checked(options);
        float[] input = new float[_size.Height * _size.Width * Info.Config.InputChannels];
        _writer.Image(image, input);
        ModelTrace trace = new();
        bool camera = methods.Contains(ExplanationMethod.GradCam);
        (ExplanationTarget target, ExplanationMap? cameraMap) = Trace(trace, input, image, options, camera);
        MethodExplanation[] results = new MethodExplanation[methods.Count];
        for (int i = 0; i < results.Length; i++)
        {
            IReadOnlyList<ExplanationMap> maps = methods[i] switch
            {
                ExplanationMethod.Delta => [.. trace.Scans.Select(scan => Map(scan, ImplicitAttention.Steps(scan, options.Delta)))],
                ExplanationMethod.Influence =>
                    [.. trace.Scans.Select(scan => Map(scan, ImplicitAttention.Row(scan, TokenOf(scan.Grid, target))))],
                ExplanationMethod.Rollout => Rollouts(trace.Attentions, target),
                _ => [cameraMap!],
            };
            results[i] = new MethodExplanation(methods[i], maps, ExplanationMap.Mean(maps, _size));
        }
        return new ImageExplanation(Picture(image), input, target, results);
    }

    /// <summary>Deletes and inserts the picture in the order of each method's mean map, and in random orders.</summary>
    /// <param name="explanation">What <see cref="Explain"/> returned.</param>
    /// <param name="steps">Points of a curve, without the first; at least 1.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>The curves of each method, in their order.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are no steps.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public IReadOnlyList<FaithfulnessCurves> Measure(
        ImageExplanation explanation, int steps = FaithfulnessCurves.DefaultSteps, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(explanation);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(steps);
        int block = Info.Config.Patch ?? Math.Max(2, Math.Min(_size.Height, _size.Width) / 32);
        FaithfulnessMeter meter = new(
            images => _model.Probabilities(Run(images)), explanation, (_size.Height, _size.Width, Info.Config.InputChannels), block, steps);
        return meter.Measure(cancellation);
    }

    /// <summary>Returns the memory of the model to the pool. No call may be running.</summary>
    public void Dispose() => _model.Dispose();

    private Tensor Run(Tensor images) =>
        Info.Entry.Task == ModelTask.Segmentation ? _model.Segment(images) : _model.Forward(images);

    private IReadOnlyList<ExplanationMethod> Checked(ExplanationOptions options)
    {
        IReadOnlyList<ExplanationMethod> methods = options.Methods ?? [Methods[0]];
        if (methods.Count == 0) throw new ArgumentException("Explainer: no method is given.", nameof(options));
        foreach (ExplanationMethod method in methods)
            if (!Methods.Contains(method))
                throw new ArgumentException(
                    $"{Name(method)} does not apply to {Info.Model}; expected {string.Join(" or ", Methods.Select(Name))}");
        if (options.Layer is { } layer && methods.Contains(ExplanationMethod.GradCam) && !Layers.Contains(layer))
            throw new ArgumentException($"{Info.Model} has no feature map '{layer}'; expected one of {string.Join(", ", Layers)}");
        return methods;

        static string Name(ExplanationMethod method) => method.ToString().ToLowerInvariant();
    }

    /// <summary>
    /// Runs the model under a tape. Its weights are thawed, so that those of a quantized model are multiplied in float32, which has
    /// gradients.
    /// </summary>
    private (ExplanationTarget Target, ExplanationMap? Camera) Trace(
        ModelTrace trace, float[] input, Image image, ExplanationOptions options, bool camera)
    {
        _model.Parameters.Thaw();
        try
        {
            using Tape tape = new();
            Tensor x = Tensor.From(input, 1, _size.Height, _size.Width, Info.Config.InputChannels), y = x;
            trace.Watch(() => y = Run(x));
            ExplanationTarget target = ExplanationTarget.Of(Info, _model.Probabilities(y).Span, image, options);
            if (!camera) return (target, null);
            FeatureTrace feature = trace.Features.Last(f => f.Layer == (options.Layer ?? DefaultLayer));
            Tensor loss = target.Loss(y, _model.Output == ModelOutput.Probabilities);
            float[] map = GradCam.Map(feature.Values, tape.Gradients(loss, feature.Tensor)[0].Span, feature.Channels);
            return (target, ExplanationMap.Of(feature.Layer, "", feature.Height, feature.Width, map, _size));
        }
        finally
        {
            _model.Parameters.Freeze();
        }
    }

    private ExplanationMap Map(ScanTrace scan, double[] tokens) => ExplanationMap.Of(
        scan.Layer, scan.Reverse ? "backward" : "forward", scan.Grid.Height, scan.Grid.Width, scan.Grid.Cells(tokens), _size);

    /// <summary>A map for each run of layers over the same grid: of SegFormer, a stage.</summary>
    private List<ExplanationMap> Rollouts(List<AttentionTrace> layers, ExplanationTarget target)
    {
        List<ExplanationMap> maps = [];
        for (int first = 0, end; first < layers.Count; first = end)
        {
            TokenGrid grid = layers[first].Grid;
            for (end = first + 1; end < layers.Count && layers[end].Grid.IsLike(grid);) end++;
            double[] row = AttentionRollout.Row(layers[first..end], TokenOf(grid, target));
            string name = end - first == 1 ? layers[first].Layer : $"{layers[first].Layer} to {layers[end - 1].Layer}";
            maps.Add(ExplanationMap.Of(name, "", grid.Height, grid.Width, grid.Cells(row), _size));
        }
        return maps;
    }

    /// <summary>The token from which is looked.</summary>
    private int TokenOf(TokenGrid grid, ExplanationTarget target)
    {
        if (target.InputPixel is null && grid.ClassToken is { } classToken) return classToken;
        (int x, int y) = target.InputPixel ?? (_size.Width / 2, _size.Height / 2);
        return grid.TokenOf(_size.Cell(x, y, grid.Height, grid.Width));
    }

    private Image Picture(Image image)
    {
        Sample sample = new ClassificationSample(image, 0);
        return Overlays.Plain(_writer.Fit(sample).Image.To8Bit());
    }

    private static FeatureTrace? Deepest(List<FeatureTrace> features)
    {
        FeatureTrace? deepest = null;
        foreach (FeatureTrace feature in features)
        {
            bool isDecoder = feature.Layer.StartsWith("decoder", StringComparison.Ordinal);
            if (!isDecoder && (deepest is null || feature.Height * feature.Width <= deepest.Height * deepest.Width)) deepest = feature;
        }
        return deepest;
    }
}
