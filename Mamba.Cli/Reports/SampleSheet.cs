using System.Globalization;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Metrics;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Reports;

/// <summary>
/// Pictures of what a model does. Segmentation: the images with the lowest Dice, the worst first: image, truth, prediction and errors side
/// by side. Classification: images of which it predicted another class.
/// </summary>
/// <param name="data">The images' names and classes.</param>
/// <param name="normalization">The normalization of the model's input.</param>
internal sealed class SampleSheet(IImageData data, Normalization normalization)
{
    private const int Segmentations = 8, Mistakes = 16;

    private readonly List<Candidate> _worst = [];
    private readonly List<(string Title, Image Picture)> _mistakes = [];
    private int _seen;

    /// <summary>Draws them into the run folder.</summary>
    public static void Draw(
        RunFolder folder, IImageData data, BatchLoader test, VisionModel model, Objective objective, Normalization normalization,
        CancellationToken stop)
    {
        SampleSheet sheet = new(data, normalization);
        foreach (Batch batch in test.Epoch(0, cancellation: stop))
        {
            using MemoryScope scope = new();
            sheet.Add(batch, model.Probabilities(objective.Predict(model, batch.Images)));
            batch.Dispose();
            if (sheet._mistakes.Count == Mistakes) break;
        }
        sheet.Save(folder);
    }

    /// <summary>Looks at a batch; fits <see cref="EvaluationOptions.Observe"/>.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="probabilities">The model's probabilities of its images.</param>
    public void Add(Batch batch, Tensor probabilities)
    {
        for (int i = 0; i < batch.Indices.Length; i++)
        {
            string name = data.Name(batch.Indices[i]);
            if (data.Task == ModelTask.Segmentation) Rank(name, batch, probabilities, i);
            else if (_mistakes.Count < Mistakes) AddMistake(name, batch, probabilities, i);
        }
    }

    /// <summary>Writes the pictures in place of those of an earlier epoch.</summary>
    public void Save(RunFolder folder)
    {
        HashSet<string> written = [];
        for (int rank = 0; rank < _worst.Count; rank++)
        {
            Candidate sample = _worst[rank];
            Write(string.Create(CultureInfo.InvariantCulture, $"{rank + 1:00}_{sample.Name}"), sample.Draw(data.Labels, rank + 1));
        }
        foreach ((string title, Image picture) in _mistakes) Write(title, picture);
        foreach (string path in Directory.GetFiles(folder.File("samples"), "*.png"))
            if (!written.Contains(Path.GetFileNameWithoutExtension(path))) File.Delete(path);

        void Write(string name, Image picture)
        {
            written.Add(folder.AddSample(name, picture));
        }
    }

    private void Rank(string name, Batch batch, Tensor probabilities, int i)
    {
        int height = batch.Images.Shape[1], width = batch.Images.Shape[2], classes = probabilities.Shape[^1];
        LabelMap truth = new(width, height, Array.ConvertAll(Part(batch.Targets, i).ToArray(), t => (byte)t));
        LabelMap prediction = new(width, height);
        if (classes == 1) PixelClasses.AtLeast(Part(probabilities, i), 0.5f, value: 1, prediction.Classes);
        else PixelClasses.MostProbable(Part(probabilities, i), classes, prediction.Classes);
        double dice = MeanDice(truth, prediction, Math.Max(2, classes));
        if (double.IsNaN(dice)) return; // pictures of nothing tell little
        // An image without a lesion has a Dice of 0 for a single wrong pixel: such images come after those with one.
        bool empty = !truth.Classes.AsSpan().ContainsAnyExcept((byte)0, LabelMap.Ignored);
        Candidate candidate = new(name, dice, empty, _seen++, truth, prediction);
        int at = _worst.BinarySearch(candidate);
        if (at < 0) at = ~at;
        if (at >= Segmentations) return;
        _worst.Insert(at, candidate with { Image = Overlays.FromInput(Part(batch.Images, i), height, width, normalization) });
        if (_worst.Count > Segmentations) _worst.RemoveAt(Segmentations);
    }

    /// <summary>The mean Dice of the classes that occur, without the background; NaN if none does.</summary>
    private static double MeanDice(LabelMap truth, LabelMap prediction, int classes)
    {
        PixelCounts[] counts = new PixelCounts[classes];
        PixelCounts.Count(prediction.Classes, truth.Classes, counts);
        return SegmentationDetail.Mean(counts.Skip(1).Select(c => c.Dice));
    }

    private void AddMistake(string name, Batch batch, Tensor probabilities, int i)
    {
        ReadOnlySpan<float> values = Part(probabilities, i);
        int right = Largest(Part(batch.Targets, i)), predicted = Largest(values);
        if (right == predicted) return;
        Image image = Overlays.FromInput(Part(batch.Images, i), batch.Images.Shape[1], batch.Images.Shape[2], normalization);
        string title = string.Create(
            CultureInfo.InvariantCulture, $"{data.Labels[right]} taken for {data.Labels[predicted]} {values[predicted]:P0} {name}");
        _mistakes.Add((title, Overlays.Plain(image)));
    }

    private static ReadOnlySpan<float> Part(Tensor batch, int index)
    {
        int size = batch.Count / batch.Shape[0];
        return batch.Span.Slice(index * size, size);
    }

    private static int Largest(ReadOnlySpan<float> values) => System.Numerics.Tensors.TensorPrimitives.IndexOfMax(values);

    /// <summary>An image that may be shown.</summary>
    private sealed record Candidate(
        string Name, double Dice, bool Empty, int Order, LabelMap Truth, LabelMap Prediction) : IComparable<Candidate>
    {
        public Image? Image { get; init; }

        public int CompareTo(Candidate? other) => (Empty, Dice, Order).CompareTo((other!.Empty, other.Dice, other.Order));

        public Image Draw(IReadOnlyList<string> labels, int rank)
        {
            bool several = labels.Count > 1;
            Image image = Image!;
            Image sheet = Overlays.SideBySide(
                Overlays.Plain(image), Tinted(Truth, Overlays.Truth), Tinted(Prediction, Overlays.Prediction),
                Overlays.Errors(image, Truth, Prediction));
            string caption = string.Create(CultureInfo.InvariantCulture, $"{rank}: Dice {Dice:F4}  {Name}");
            sheet = Overlays.WithCaption(sheet, caption);
            if (several) sheet = Overlays.WithLegend(sheet, Overlays.Legend(labels, Truth, Prediction));
            return Overlays.WithLegend(
                sheet, [(ClassColors.Found, "found"), (ClassColors.Missed, "missed"), (ClassColors.Wrong, "wrong")]);

            Image Tinted(LabelMap map, (byte, byte, byte) color) => several
                ? Overlays.Overlay(image, map)
                : Overlays.Overlay(image, new Image(map.Width, map.Height, 1, Array.ConvertAll(map.Classes, ToMask)), color);

            static byte ToMask(byte value) => value == 1 ? byte.MaxValue : (byte)0;
        }
    }
}
