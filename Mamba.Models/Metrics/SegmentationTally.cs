using Mamba.Models.Data;

namespace Mamba.Models.Metrics;

/// <summary>Counts pixels by class, image and group, for all metrics of segmentation.</summary>
/// <param name="labels">The names of the classes, the background first.</param>
/// <param name="first">The first class that is reported: 0, or 1 to leave the background out.</param>
/// <param name="options">What to measure.</param>
internal sealed class SegmentationTally(IReadOnlyList<string> labels, int first, MetricOptions options)
{
    private readonly ClassTally[] _set = New(labels.Count);
    private readonly PixelCounts[] _image = new PixelCounts[labels.Count];
    private readonly Dictionary<string, int> _groupIndex = [];
    private readonly List<(string Name, ClassTally[] Classes)> _groups = [];
    private readonly List<int> _groupImages = [];
    private readonly List<PerImageScores> _perImage = [];
    private SliceTally? _volume;
    private long _right, _pixels;
    private int _images, _withForeground;

    /// <summary>The counts of the image that was added last, by class.</summary>
    public ReadOnlySpan<PixelCounts> Last => _image;

    /// <summary>Counts an image.</summary>
    /// <param name="predicted">The predicted class of each pixel.</param>
    /// <param name="truth">The true class of each pixel, or <see cref="LabelMap.Ignored"/>.</param>
    /// <param name="image">What is known of it.</param>
    public void Add(ReadOnlySpan<byte> predicted, ReadOnlySpan<byte> truth, in MetricImage image)
    {
        if (options.Distances && (long)image.Height * image.Width != truth.Length)
            throw new ArgumentException(
                $"metrics: {truth.Length} pixels for an image of {image.Height} x {image.Width}; distances need its size");
        PixelCounts.Count(predicted, truth, _image);
        _images++;
        bool foreground = false;
        for (int c = 0; c < _image.Length; c++)
        {
            _right += _image[c].Both;
            foreground |= c > 0 && _image[c].Truth > 0;
        }
        _pixels += _image[0].Pixels;
        if (foreground) _withForeground++;
        bool slice = options.Distances && image is { Group: not null, Spacing: not null };
        if (!slice || image.Group != _volume?.Group) EndVolume();
        if (slice) (_volume ??= new SliceTally(image)).Add(predicted, truth);
        ClassTally[]? group = image.Group is { } name ? Group(name, images: 1) : null;
        for (int c = first; c < _image.Length; c++)
        {
            double distance = options.Distances && !slice ? Distance(predicted, truth, (byte)c, image) : double.NaN;
            _set[c].Add(_image[c], distance);
            group?[c].Add(_image[c], distance);
            if (options.PerImage && c > 0)
                _perImage.Add(new PerImageScores(image.Name, image.Group ?? "", labels[c], _image[c], distance));
        }
    }

    /// <summary>The scores so far.</summary>
    public SegmentationDetail Result()
    {
        EndVolume();
        return new(Scores(_set), _images, _withForeground, _pixels == 0 ? double.NaN : (double)_right / _pixels)
        {
            DistanceUnit = options.DistanceUnit,
            PerImage = [.. _perImage],
            Groups = [.. _groups.Select((group, i) => new GroupScores(group.Name, _groupImages[i], Scores(group.Classes)))],
        };
    }

    private static ClassTally[] New(int count) => [.. Enumerable.Range(0, count).Select(_ => new ClassTally())];

    private SegmentClassScores[] Scores(ClassTally[] classes) =>
        [.. Enumerable.Range(first, labels.Count - first).Select(c => classes[c].Scores(labels[c]))];

    /// <summary>The distances of a volume, when its last slice was added.</summary>
    private void EndVolume()
    {
        if (_volume is null) return;
        ClassTally[] group = Group(_volume.Group, images: 0);
        for (int c = first; c < _set.Length; c++)
        {
            double distance = _volume.Distance((byte)c);
            _set[c].Add(distance);
            group[c].Add(distance);
        }
        _volume = null;
    }

    private ClassTally[] Group(string name, int images)
    {
        if (!_groupIndex.TryGetValue(name, out int index))
        {
            _groupIndex.Add(name, index = _groups.Count);
            _groups.Add((name, New(labels.Count)));
            _groupImages.Add(0);
        }
        _groupImages[index] += images;
        return _groups[index].Classes;
    }

    /// <summary>The distance between the regions of a class, without the pixels that are ignored.</summary>
    private double Distance(ReadOnlySpan<byte> predicted, ReadOnlySpan<byte> truth, byte of, in MetricImage image)
    {
        if (_image[of].Truth == 0 || _image[of].Predicted == 0) return double.NaN;
        return SliceTally.Distance(predicted, truth, of, (1, image.Height, image.Width), VoxelSpacing.One);
    }

    /// <summary>The sums of one class.</summary>
    private sealed class ClassTally
    {
        private PixelCounts _counts;
        private int _images, _distances;
        private double _distance;

        public void Add(PixelCounts image, double distance)
        {
            _counts += image;
            if (image.Truth > 0) _images++;
            Add(distance);
        }

        public void Add(double distance)
        {
            if (double.IsNaN(distance)) return;
            _distances++;
            _distance += distance;
        }

        public SegmentClassScores Scores(string label) =>
            new(label, _counts, _images, _distances == 0 ? double.NaN : _distance / _distances, _distances);
    }
}
