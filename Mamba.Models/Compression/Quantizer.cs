using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Files;
using Mamba.Models.Zoo;

namespace Mamba.Models.Compression;

/// <summary>What a calibration found.</summary>
/// <param name="Method">The method of its scales.</param>
/// <param name="Scales">The value of code 1 of the inputs, by the name of the weight.</param>
/// <param name="Losses">
/// The calibration loss of each method that was tried: the mean squared difference of the model's outputs from those in float32, over the
/// mean square of the latter.
/// </param>
public sealed record Calibration(
    CalibrationMethod Method, IReadOnlyDictionary<string, float> Scales, IReadOnlyList<(CalibrationMethod Method, double Loss)> Losses)
{
    /// <summary>The weights that multiply in float32, since rounding their inputs costs most.</summary>
    public IReadOnlyList<string> Float32 { get; init; } = [];
}

/// <summary>
/// Post-training quantization (Jacob et al. 2018; Nagel et al. 2021, section 3): weights symmetric in a channel, inputs symmetric in a
/// tensor. Which weights multiply in int8 is not written down anywhere: the large ones that convolutions and linear layers use while images
/// pass through the frozen model. Batch norms are folded there; a channel's scale takes up the factor, so that its codes stay.
/// </summary>
public static class Quantizer
{
    /// <summary>The largest calibration loss: weights whose inputs cost most multiply in float32 until it is met.</summary>
    public const double LargestLoss = 1e-3;

    private const int MostForSensitivity = 16;

    /// <summary>Finds the scales of all inputs. The model gets those of the best method, and is frozen.</summary>
    /// <param name="model">The model, in float32.</param>
    /// <param name="images">Images, (1, H, W, channels) each; at least one. Those of a segmentation model may have any size.</param>
    /// <param name="method">How; null for the method with the least loss.</param>
    /// <param name="progress">Called after each image of each pass with the passes done so far, in images; or null.</param>
    /// <param name="cancellation">Stops between images.</param>
    /// <returns>The scales.</returns>
    /// <exception cref="ArgumentException">There are no images, or no weight multiplies in the model.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; the model multiplies in float32.</exception>
    public static Calibration Calibrate(
        VisionModel model, IReadOnlyList<Tensor> images, CalibrationMethod? method = null, Action<int>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(images);
        if (images.Count == 0) throw new ArgumentException("Quantizer.Calibrate: expected at least one image.", nameof(images));
        int passed = 0;
        try
        {
            model.Parameters.Freeze();
            Dictionary<string, InputHistogram> inputs = ModelFile.CodedNames(model).ToDictionary(name => name, _ => new InputHistogram());
            model.Parameters.ObserveInputs((name, values) => inputs.GetValueOrDefault(name)?.Measure(values));
            float[][] expected = Outputs();
            model.Parameters.ObserveInputs((name, values) => inputs.GetValueOrDefault(name)?.Count(values));
            _ = Outputs();
            model.Parameters.ObserveInputs(null);

            List<(CalibrationMethod Method, double Loss)> losses = [];
            foreach (CalibrationMethod tried in method is { } one ? [one] : Enum.GetValues<CalibrationMethod>())
            {
                SetScales(model, ScalesOf(inputs, tried));
                losses.Add((tried, RelativeError(Outputs(), expected)));
            }
            CalibrationMethod best = losses.MinBy(l => double.IsNaN(l.Loss) ? double.PositiveInfinity : l.Loss).Method;
            Dictionary<string, float> scales = ScalesOf(inputs, best);
            if (scales.Count == 0)
                throw new ArgumentException("Quantizer.Calibrate: no large weight has finite inputs other than zero.", nameof(model));
            IReadOnlyList<string> kept = KeepSensitive(model, images, expected, scales, cancellation);
            return new Calibration(best, scales, losses) { Float32 = kept };
        }
        catch
        {
            model.Parameters.ObserveInputs(null);
            throw;
        }

        float[][] Outputs()
        {
            float[][] outputs = new float[images.Count][];
            for (int i = 0; i < outputs.Length; i++)
            {
                outputs[i] = Output(model, images[i], cancellation);
                progress?.Invoke(++passed);
            }
            return outputs;
        }
    }

    /// <summary>
    /// While the loss is above <see cref="LargestLoss"/>, takes away the scale of the weight whose inputs cost most when they alone are
    /// rounded. Few weights are that sensitive: those behind a step size or in front of an output. The model gets the scales that remain.
    /// </summary>
    /// <returns>The weights that multiply in float32.</returns>
    private static List<string> KeepSensitive(
        VisionModel model, IReadOnlyList<Tensor> images, float[][] expected, Dictionary<string, float> scales,
        CancellationToken cancellation)
    {
        int[] some = [.. Enumerable.Range(0, Math.Min(MostForSensitivity, images.Count)).Select(i =>
            i * images.Count / Math.Min(MostForSensitivity, images.Count))];
        List<string> kept = [];
        Queue<string>? order = null;
        while (Loss(scales) > LargestLoss && scales.Count > 1)
        {
            order ??= new(scales.OrderByDescending(s => Loss(new() { [s.Key] = s.Value })).ThenBy(s => s.Key, StringComparer.Ordinal)
                .Select(s => s.Key));
            string name = order.Dequeue();
            scales.Remove(name);
            kept.Add(name);
        }
        SetScales(model, scales);
        return kept;

        double Loss(Dictionary<string, float> tried)
        {
            SetScales(model, tried);
            return RelativeError(
                Array.ConvertAll(some, i => Output(model, images[i], cancellation)), Array.ConvertAll(some, i => expected[i]));
        }
    }

    private static Dictionary<string, float> ScalesOf(Dictionary<string, InputHistogram> inputs, CalibrationMethod method) =>
        inputs.Where(i => i.Value.IsUsable).ToDictionary(i => i.Key, i => i.Value.Scale(method));

    private static void SetScales(VisionModel model, Dictionary<string, float> scales)
    {
        model.Parameters.ObserveInputs(null);
        model.Parameters.Thaw(); // once, not for each weight
        foreach ((string name, float scale) in scales) model.Parameters.QuantizeInputs(name, scale);
        model.Parameters.Freeze();
    }

    private static float[] Output(VisionModel model, Tensor image, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        using MemoryScope memory = new();
        bool fits = image.Shape[1] % model.SizeMultiple + image.Shape[2] % model.SizeMultiple == 0;
        return (fits ? model.Forward(image) : model.Segment(image)).Span.ToArray();
    }

    private static double RelativeError(float[][] actual, float[][] expected)
    {
        double error = 0, square = 0;
        for (int i = 0; i < actual.Length; i++)
            for (int j = 0; j < actual[i].Length; j++)
            {
                double difference = (double)actual[i][j] - expected[i][j];
                error += difference * difference;
                square += (double)expected[i][j] * expected[i][j];
            }
        return error / square;
    }
}
