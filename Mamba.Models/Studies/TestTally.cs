using System.Globalization;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Loading;
using Mamba.Models.Metrics;
using Mamba.Models.Tasks;

namespace Mamba.Models.Studies;

/// <summary>
/// Sees the predictions for the test images, in order: counts each, keeps its mask or its class, and compares confidence with truth. Of
/// several classes of pixels, all but the background are foreground.
/// </summary>
/// <param name="data">The images' names, patients and classes.</param>
/// <param name="masks">The folder for predicted masks; null to keep none.</param>
internal sealed class TestTally(IImageData data, string? masks)
{
    private const float Half = 0.5f;

    private readonly CalibrationTally _calibration = new();
    private readonly List<ImageCounts> _images = [];
    private readonly List<ImagePrediction> _predictions = [];
    private byte[] _predicted = [], _truth = [];

    public IReadOnlyList<ImageCounts> Images => _images;

    public IReadOnlyList<ImagePrediction> Predictions => _predictions;

    public IReadOnlyList<CalibrationBin> Calibration => _calibration.Result();

    /// <summary>Images by true class and predicted class; empty for segmentation.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Confusion
    {
        get
        {
            if (data.Task == ModelTask.Segmentation) return [];
            int[][] confusion = [.. data.Labels.Select(_ => new int[data.Labels.Count])];
            foreach (ImagePrediction image in _predictions) confusion[image.Truth][image.Predicted]++;
            return confusion;
        }
    }

    /// <summary>Sees a batch.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="probabilities">(B, H, W, classes) or (B, classes).</param>
    public void Add(Batch batch, Tensor probabilities)
    {
        int images = batch.Indices.Length, size = probabilities.Count / images, targets = batch.Targets.Count / images;
        for (int i = 0; i < images; i++)
        {
            ReadOnlySpan<float> own = probabilities.Span.Slice(i * size, size), target = batch.Targets.Span.Slice(i * targets, targets);
            if (data.Task == ModelTask.Classification) AddClass(batch.Indices[i], own, target);
            else AddMask(batch.Indices[i], own, target, probabilities.Shape);
        }
    }

    private void AddClass(int image, ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target)
    {
        int truth = First(target), predicted = First(probabilities);
        _predictions.Add(new ImagePrediction(data.Name(image), truth, predicted, probabilities[predicted]));
        _calibration.Add(probabilities[predicted], truth == predicted);
    }

    private void AddMask(int image, ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target, Shape shape)
    {
        int classes = shape[3];
        if (_truth.Length != target.Length) (_truth, _predicted) = (new byte[target.Length], new byte[target.Length]);
        for (int i = 0; i < target.Length; i++) _truth[i] = (byte)target[i];
        if (classes == 1) PixelClasses.AtLeast(probabilities, Half, value: 1, _predicted);
        else PixelClasses.MostProbable(probabilities, classes, _predicted);
        long both = 0, predicted = 0, truth = 0;
        for (int i = 0; i < target.Length; i++)
        {
            byte t = _truth[i], p = _predicted[i];
            if (t == LabelMap.Ignored) continue;
            if (p != 0) predicted++;
            if (t != 0) truth++;
            if (p != 0 && p == t) both++;
            float confidence = classes > 1 ? probabilities[i * classes + p] : p == 1 ? probabilities[i] : 1 - probabilities[i];
            _calibration.Add(confidence, p == t);
        }
        string patient = data.KnowsPatients ? data.Patient(image) : "";
        if (masks is not null)
        {
            string file = string.Create(CultureInfo.InvariantCulture, $"{_images.Count:D5}.png");
            ImageFile.SaveMask(Path.Combine(masks, file), shape[2], shape[1], _predicted);
        }
        _images.Add(new ImageCounts(data.Name(image), patient, both, predicted, truth));
    }

    /// <summary>The place of the largest, the first of equals; a NaN counts as the smallest, as in the metrics.</summary>
    private static int First(ReadOnlySpan<float> values)
    {
        int first = 0;
        for (int i = 1; i < values.Length; i++)
            if (values[i] > values[first] || (float.IsNaN(values[first]) && !float.IsNaN(values[i]))) first = i;
        return first;
    }
}
