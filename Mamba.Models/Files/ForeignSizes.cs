using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Zoo;

namespace Mamba.Models.Files;

/// <summary>
/// Finds the sizes of a model whose tensors a file holds. It knows no model: it builds one with two values of a size, and the first tensor
/// whose shape differs tells the size from its extent in the file. Loading the weights later checks what was found.
/// </summary>
/// <param name="file">The open file.</param>
/// <param name="entry">The model.</param>
internal sealed class ForeignSizes(WeightFile file, ModelEntry entry)
{
    // The limits of what a weight file may describe.
    private const int MaxClasses = 1 << 16, MaxChannels = 64, MaxPatch = 1 << 10, MaxWidth = 1 << 14, MaxDepth = 1 << 10,
        MaxFeatures = 1 << 15;

    // A model that fits has no more numbers than its file, so that a file cannot ask for memory that it does not take itself. A model that
    // is tried may have a few more: two channels where the file has one.
    private const int Slack = 1 << 20;

    private readonly long _most = Slack + file.Names.Sum(name => (long)file.Count(name));
    private CancellationToken _stop;

    /// <summary>The sizes that the tensors have; the model's own where they do not tell.</summary>
    public ModelConfig Find(CancellationToken cancellation = default)
    {
        _stop = cancellation;
        ModelConfig own = entry.Config;
        int step = own.Depth is null ? 0 : DepthStep();
        // Width and depth do not change how classes, channels and patches show: a narrow, shallow model is quick to build.
        ModelConfig c = own with { Width = own.Width is null ? null : 1, Depth = own.Depth is null ? null : step };
        c = c with { Classes = Solve(n => c with { Classes = n }, MaxClasses) ?? own.Classes };
        c = c.Patch is null ? c with { InputChannels = Channels(c) ?? own.InputChannels } : WithPatch(c);
        if (c.ImageSize is not null && c.Patch is { } patch)
            c = c with { ImageSize = Solve(n => c with { ImageSize = n * patch }, RunData.MaxSide / patch) * patch ?? own.ImageSize };
        if (c.Features is not null) c = c with { Features = Solve(n => c with { Features = n }, MaxFeatures) ?? own.Features };
        if (c.Width is not null) c = c with { Width = Solve(n => c with { Width = n }, MaxWidth) ?? own.Width };
        if (c.Depth is not null) c = c with { Depth = Depth(c, step) ?? own.Depth };
        return Build(c) is null ? own : c;
    }

    private int? Channels(ModelConfig config) => Solve(n => config with { InputChannels = n }, MaxChannels);

    /// <summary>
    /// Patch and channels. Where a layer takes all numbers of a patch at once, only both together give its extent: patch patch channels. Of
    /// 3 and 1 channels at most one then fits, because their ratio is no square.
    /// </summary>
    private ModelConfig WithPatch(ModelConfig config)
    {
        foreach (int first in (int[])[3, 1])
        {
            if (Patch(config with { InputChannels = first }) is not { } patch) continue;
            ModelConfig with = config with { Patch = patch, ImageSize = patch };
            if (Channels(with) is { } channels && Patch(config with { InputChannels = channels }) == patch)
                return with with { InputChannels = channels };
        }
        return config;
    }

    private int? Patch(ModelConfig config) => Solve(n => config with { Patch = n, ImageSize = n }, MaxPatch);

    /// <summary>The smallest depth that there is; the others are its multiples.</summary>
    private int DepthStep()
    {
        int step = 1;
        while (step < entry.Config.Depth && Build(entry.Config with { Depth = step, Width = 1 }) is null) step++;
        return step;
    }

    /// <summary>The largest depth whose last block is in the file; null if there is none.</summary>
    private int? Depth(ModelConfig config, int step)
    {
        int depth = 0;
        for (int names = 0; depth + step <= MaxDepth && Build(config with { Depth = depth + step }) is { } probe; depth += step)
        {
            if (probe.Names.Count <= names) break;
            names = probe.Names.Count;
        }
        return depth > 0 ? depth : null;
    }

    /// <summary>The value of a size that gives the extent in the file. Extents grow with it.</summary>
    /// <param name="at">The configuration with a value, from 1.</param>
    /// <param name="most">The largest value.</param>
    /// <returns>The value; null if no tensor of the file tells it.</returns>
    private int? Solve(Func<int, ModelConfig> at, int most)
    {
        if (Build(at(1)) is not { } one || Build(at(2)) is not { } two || Telling(one, two) is not var (name, axis)) return null;
        int expected = file.Shape(one.Names[name])[axis], high = 1;
        while (Extent(high) < expected && high < most) high = Math.Min(2 * high, most);
        for (int low = high / 2 + 1; low < high;) // half of it was too small
        {
            int middle = (low + high) / 2;
            if (Extent(middle) < expected) low = middle + 1;
            else high = middle;
        }
        return Extent(high) == expected ? high : null;

        long Extent(int value) => Build(at(value)) is { } probe ? probe.Shapes[name][axis] : long.MaxValue;
    }

    /// <summary>The first tensor of the file, in the model's order, whose shape tells two models apart, and the axis.</summary>
    private (string Name, int Axis)? Telling(Probe one, Probe two)
    {
        foreach ((string name, int[] shape) in one.Shapes)
        {
            if (!two.Shapes.TryGetValue(name, out int[]? other) || !one.Names.TryGetValue(name, out string? there)) continue;
            if (shape.Length != other.Length || file.Shape(there).Length != shape.Length) continue;
            for (int axis = 0; axis < shape.Length; axis++)
                if (shape[axis] != other[axis]) return (name, axis);
        }
        return null;
    }

    /// <summary>The shapes of a model; null if there is no such model, or it has too many numbers for the file.</summary>
    private Probe? Build(ModelConfig config)
    {
        _stop.ThrowIfCancellationRequested();
        try
        {
            using VisionModel model = entry.Build(
                new Scope(new ParameterStore { MaxCount = _most, SkipInitialValues = true }), config);
            return new Probe(
                model.Parameters.All.ToDictionary(p => p.Name, p => p.Tensor.Shape.ToArray()), model.Parameters.MatchNames(file.Names));
        }
        catch (Exception e) when (e is ArgumentException or ShapeException or OverflowException)
        {
            return null;
        }
    }

    /// <summary>A model's tensors.</summary>
    /// <param name="Shapes">Their shapes, in the order of the model.</param>
    /// <param name="Names">Their names in the file; those that it lacks are left out.</param>
    private sealed record Probe(Dictionary<string, int[]> Shapes, IReadOnlyDictionary<string, string> Names);
}
