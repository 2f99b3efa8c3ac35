using Mamba.Core;
using Mamba.Core.Memory;
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
    CalibrationMethod Method, IReadOnlyDictionary<string, float> Scales, IReadOnlyList<(CalibrationMethod Method, double Loss)> Losses);

/// <summary>
/// Post-training quantization (Jacob et al. 2018; Nagel et al. 2021, section 3): weights symmetric in a channel, inputs symmetric in a
/// tensor. Which weights multiply in int8 is not written down anywhere: those that convolutions and linear layers use while images pass
/// through the frozen model. Batch norms are folded there; a channel's scale takes up the factor, so that its codes stay.
/// </summary>
public static class Quantizer
{
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
            Dictionary<string, InputHistogram> inputs = [];
            foreach ((string name, _) in model.Parameters.All) inputs.Add(name, new InputHistogram());
            model.Parameters.ObserveInputs((name, values) => inputs[name].Measure(values));
            float[][] expected = Outputs();
            model.Parameters.ObserveInputs((name, values) => inputs[name].Count(values));
            _ = Outputs();
            model.Parameters.ObserveInputs(null);

            List<(CalibrationMethod Method, double Loss)> losses = [];
            foreach (CalibrationMethod tried in method is { } one ? [one] : Enum.GetValues<CalibrationMethod>())
            {
                SetScales(model, inputs, tried);
                losses.Add((tried, RelativeError(Outputs(), expected)));
            }
            CalibrationMethod best = losses.MinBy(l => double.IsNaN(l.Loss) ? double.PositiveInfinity : l.Loss).Method;
            Dictionary<string, float> scales = SetScales(model, inputs, best);
            return scales.Count > 0 ? new Calibration(best, scales, losses)
                : throw new ArgumentException("Quantizer.Calibrate: no convolution or linear layer has finite inputs.", nameof(model));
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
                cancellation.ThrowIfCancellationRequested();
                using MemoryScope memory = new();
                outputs[i] = Run(model, images[i]).Span.ToArray();
                progress?.Invoke(++passed);
            }
            return outputs;
        }
    }

    private static Tensor Run(VisionModel model, Tensor image) =>
        image.Shape[1] % model.SizeMultiple + image.Shape[2] % model.SizeMultiple == 0 ? model.Forward(image) : model.Segment(image);

    private static Dictionary<string, float> SetScales(
        VisionModel model, Dictionary<string, InputHistogram> inputs, CalibrationMethod method)
    {
        Dictionary<string, float> scales = [];
        foreach ((string name, InputHistogram histogram) in inputs)
            if (histogram.IsUsable) scales.Add(name, histogram.Scale(method));
        model.Parameters.Thaw(); // once, not for each weight
        foreach ((string name, float scale) in scales) model.Parameters.QuantizeInputs(name, scale);
        model.Parameters.Freeze();
        return scales;
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
