using Mamba.Models.Data;
using Mamba.Models.Tasks;

namespace Mamba.Cli.Commands;

/// <summary>Data whose classes are those of weights in another order, in the order of the weights.</summary>
/// <param name="source">The data.</param>
/// <param name="labels">The classes of the weights: the data's, in another order.</param>
internal sealed class ReorderedClasses(IImageData source, IReadOnlyList<string> labels) : IImageData
{
    private readonly int[] _classes = [.. source.Labels.Select(label => labels.Index().First(other => other.Item == label).Index)];

    public ModelTask Task => source.Task;

    public IReadOnlyList<string> Labels => labels;

    public int Count => source.Count;

    public bool KnowsPatients => source.KnowsPatients;

    /// <summary>Whether classes are the same ones in another order.</summary>
    public static bool Are(IReadOnlyList<string> classes, IReadOnlyList<string> others) =>
        classes.Count == others.Count && classes.Distinct().Count() == classes.Count && !classes.Except(others).Any()
        && !classes.SequenceEqual(others);

    public string Name(int index) => source.Name(index);

    public string Patient(int index) => source.Patient(index);

    public string Fingerprint(int index) => source.Fingerprint(index);

    public SplitPart? Part(int index) => source.Part(index);

    public Sample Load(int index) => source.Load(index) switch
    {
        ClassificationSample image => image with { Label = _classes[image.Label] },
        SegmentationSample image => image with
        {
            Mask = new LabelMap(image.Mask.Width, image.Mask.Height, Array.ConvertAll(image.Mask.Classes, Reordered)),
        },
        var sample => sample,
    };

    private byte Reordered(byte value) => value == LabelMap.Ignored ? value : (byte)_classes[value];
}
