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
    private readonly double[] _distances = new double[labels.Count];
    private readonly Dictionary<string, int> _groupIndex = [];
    private readonly List<(string Name, ClassTally[] Classes)> _groups = [];
    private readonly List<int> _groupImages = [];
    private readonly List<PerImageScores> _perImage = [];
    private SliceTally? _volume;
    private (string Name, string? Group) _last;
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
        bool slice = options.Distances && image is { Group: not null, Spacing: not null };
        if (!slice || image.Group != _volume?.Group) EndVolume();
        if (slice) (_volume ??= new SliceTally(image)).Add(predicted, truth);
        for (int c = 0; c < _distances.Length; c++)
            _distances[c] = c >= first && options.Distances && !slice ? Distance(predicted, truth, (byte)c, image) : double.NaN;
        Sum(image.Name ?? "", image.Group);
    }

    /// <summary>Counts an image that another tally has measured.</summary>
    /// <param name="image">What it has measured.</param>
    public void Add(MeasuredImage image)
    {
        IReadOnlyList<double>? volume = image.VolumeDistances;
        if (image.Counts.Count != 4 * _image.Length || image.Distances.Count != _image.Length
            || (volume is not null && (volume.Count != _image.Length || image.Group is null)))
            throw new ArgumentException(
                $"metrics: '{image.Name}' was measured by {image.Counts.Count} counts and {image.Distances.Count} distances; expected "
                    + $"{4 * _image.Length} and {_image.Length}");
        EndVolume();
        for (int c = 0; c < _image.Length; c++)
        {
            _image[c] = new PixelCounts(image.Counts[4 * c], image.Counts[4 * c + 1], image.Counts[4 * c + 2], image.Counts[4 * c + 3]);
            _distances[c] = image.Distances[c];
        }
        Sum(image.Name, image.Group);
        if (volume is not null) Sum(image.Group!, c => volume[c]);
    }

    /// <summary>What was measured of the image that was added last.</summary>
    public MeasuredImage Measured()
    {
        List<long> counts = [];
        foreach (PixelCounts one in _image) counts.AddRange([one.Both, one.Predicted, one.Truth, one.Pixels]);
        return new MeasuredImage(_last.Name, _last.Group, counts, [.. _distances]);
    }

    /// <summary>Adds the counts and distances of the last image to the sums.</summary>
    private void Sum(string name, string? of)
    {
        _last = (name, of);
        _images++;
        bool foreground = false;
        for (int c = 0; c < _image.Length; c++)
        {
            _right += _image[c].Both;
            foreground |= c > 0 && _image[c].Truth > 0;
        }
        _pixels += _image[0].Pixels;
        if (foreground) _withForeground++;
        ClassTally[]? group = of is null ? null : Group(of, images: 1);
        for (int c = first; c < _image.Length; c++)
        {
            _set[c].Add(_image[c], _distances[c]);
            group?[c].Add(_image[c], _distances[c]);
            if (options.PerImage && c > 0) _perImage.Add(new PerImageScores(name, of ?? "", labels[c], _image[c], _distances[c]));
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
        if (_volume is not { } volume) return;
        Sum(volume.Group, c => volume.Distance((byte)c));
        _volume = null;
    }

    /// <summary>Adds the distances of a volume to the sums.</summary>
    private void Sum(string volume, Func<int, double> distanceOf)
    {
        ClassTally[] group = Group(volume, images: 0);
        for (int c = first; c < _set.Length; c++)
        {
            double distance = distanceOf(c);
            _set[c].Add(distance);
            group[c].Add(distance);
        }
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
