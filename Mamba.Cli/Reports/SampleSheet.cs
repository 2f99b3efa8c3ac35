using System.Globalization;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Reports;

/// <summary>
/// Pictures of what a model does on test images. Segmentation: images with a lesion beside truth and prediction. Classification: images of
/// which it predicted another class.
/// </summary>
internal static class SampleSheet
{
    private const int Segmentations = 8, Mistakes = 16;

    /// <summary>Draws them into the run folder.</summary>
    public static void Draw(
        RunFolder folder, IImageData data, BatchLoader test, VisionModel model, Objective objective, Normalization normalization,
        CancellationToken stop)
    {
        int count = 0, most = data.Task == ModelTask.Segmentation ? Segmentations : Mistakes;
        foreach (Batch batch in test.Epoch(0, cancellation: stop))
        {
            using MemoryScope scope = new();
            Tensor probabilities = model.Probabilities(objective.Predict(model, batch.Images));
            for (int i = 0; i < batch.Indices.Length && count < most; i++)
            {
                string name = data.Name(batch.Indices[i]);
                Image image = Overlays.FromInput(Part(batch.Images, i), batch.Images.Shape[1], batch.Images.Shape[2], normalization);
                bool shown = data.Task == ModelTask.Segmentation
                    ? Segmentation(folder, name, image, Part(batch.Targets, i), Part(probabilities, i))
                    : Mistake(folder, name, image, data.Labels, Part(batch.Targets, i), Part(probabilities, i));
                if (shown) count++;
            }
            batch.Dispose();
            if (count == most) return;
        }
    }

    private static bool Segmentation(
        RunFolder folder, string name, Image image, ReadOnlySpan<float> mask, ReadOnlySpan<float> probabilities)
    {
        Image truth = Overlays.Mask(mask, image.Height, image.Width);
        if (!truth.Pixels.AsSpan().Contains((byte)255)) return false; // pictures of nothing tell little
        Image prediction = Overlays.Mask(probabilities, image.Height, image.Width);
        folder.AddSample(name, Overlays.SideBySide(
            Overlays.Plain(image), Overlays.Overlay(image, truth, Overlays.Truth),
                Overlays.Overlay(image, prediction, Overlays.Prediction)));
        return true;
    }

    private static bool Mistake(
        RunFolder folder, string name, Image image, IReadOnlyList<string> labels, ReadOnlySpan<float> truth,
        ReadOnlySpan<float> probabilities)
    {
        int right = Largest(truth), predicted = Largest(probabilities);
        if (right == predicted) return false;
        string title = string.Create(
            CultureInfo.InvariantCulture, $"{labels[right]} taken for {labels[predicted]} {probabilities[predicted]:P0} {name}");
        folder.AddSample(title, Overlays.Plain(image));
        return true;
    }

    private static ReadOnlySpan<float> Part(Tensor batch, int index)
    {
        int size = batch.Count / batch.Shape[0];
        return batch.Span.Slice(index * size, size);
    }

    private static int Largest(ReadOnlySpan<float> values) => System.Numerics.Tensors.TensorPrimitives.IndexOfMax(values);
}
