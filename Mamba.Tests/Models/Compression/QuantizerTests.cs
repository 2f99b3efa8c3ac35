using System.Buffers.Binary;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Models.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

[NonParallelizable]
internal sealed class QuantizerTests
{
    private string _path = null!;

    [SetUp]
    public void NewPath() => _path = Path.Combine(Path.GetTempPath(), $"mamba-{Guid.NewGuid():N}.safetensors");

    [TearDown]
    public void Remove() => File.Delete(_path);

    [Test]
    public void The_method_with_the_least_loss_is_taken_and_norms_and_depthwise_kernels_have_no_scale()
    {
        (VisionModel model, Tensor[] images) = Create("ul-vm-unet", size: 64);
        float[] exact = model.Forward(images[0]).Span.ToArray();
        Calibration found = Quantizer.Calibrate(model, images);
        Assert.That(found.Losses.Select(l => l.Method), Is.EqualTo(Enum.GetValues<CalibrationMethod>()));
        Assert.That(found.Losses.Select(l => l.Loss), Is.All.GreaterThan(0).And.All.LessThan(0.02));
        Assert.That(found.Losses.Single(l => l.Method == found.Method).Loss, Is.EqualTo(found.Losses.Min(l => l.Loss)));
        Assert.That(model.Parameters.InputScales.ToDictionary(), Is.EqualTo(found.Scales));
        Assert.That(found.Scales.Keys, Has.Some.EndsWith("in_proj.weight").And.Some.EqualTo("encoder2.0.weight"));
        foreach (string name in found.Scales.Keys)
        {
            Shape shape = model.Parameters[name].Shape;
            Assert.That(shape.Rank, Is.GreaterThan(1), name);
            Assert.That(shape.Rank == 2 || shape[1] > 1 || shape[0] == 1, name); // (C, 1, ...) is depthwise
        }
        float[] rounded = model.Forward(images[0]).Span.ToArray();
        Assert.That(rounded, Is.Not.EqualTo(exact));
        Assert.That(Error(rounded, exact), Is.LessThan(2 * Quantizer.LargestLoss));
        model.Parameters.ObserveInputs(null);
        Assert.That(model.Forward(images[0]).Span.ToArray(), Is.EqualTo(exact), "without scales it multiplies in float32");

        Assert.That(() => Quantizer.Calibrate(model, []), Throws.ArgumentException.With.Message.Contains("at least one image"));
        using CancellationTokenSource stop = new();
        Assert.That(
            () => Quantizer.Calibrate(model, images, null, done => { if (done == 5) stop.Cancel(); }, stop.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(model.Forward(images[0]).Span.ToArray(), Is.EqualTo(exact), "stopped, it multiplies in float32");
    }

    [Test]
    public void Weights_whose_inputs_cost_most_multiply_in_float32_until_the_loss_is_small()
    {
        (VisionModel model, Tensor[] images) = Create("resnet8", size: 32);
        // A channel of the stem that is large and that nobody reads: it alone has the whole range of the codes.
        model.Parameters.Thaw();
        model.Parameters["bn.bias"].Span[0] = 1e4f;
        foreach (string name in new[] { "stack1.conv1.weight", "stack2.conv1.weight", "stack2.shortcut.weight" })
        {
            Tensor weight = model.Parameters[name];
            int taps = weight.Shape[2] * weight.Shape[3], size = weight.Count / weight.Shape[0];
            for (int c = 0; c < weight.Shape[0]; c++) weight.Span.Slice(c * size, taps).Clear();
        }
        Calibration found = Quantizer.Calibrate(model, images, CalibrationMethod.MinMax);
        Assert.That(found.Losses.Single().Loss, Is.GreaterThan(Quantizer.LargestLoss));
        Assert.That(found.Float32, Is.EquivalentTo(new[] { "stack1.conv1.weight", "stack2.conv1.weight" }));
        Assert.That(found.Scales.Keys, Is.EquivalentTo(new[]
        {
            "stack1.conv2.weight", "stack2.conv2.weight", "stack3.conv1.weight", "stack3.conv2.weight", "stack3.shortcut.weight",
        }));
        Assert.That(model.Parameters.InputScales.ToDictionary(), Is.EqualTo(found.Scales));
        float[] rounded = model.Forward(images[0]).Span.ToArray();
        model.Parameters.ObserveInputs(null);
        Assert.That(Error(rounded, model.Forward(images[0]).Span.ToArray()), Is.LessThan(3 * Quantizer.LargestLoss));
    }

    [Test]
    public void A_model_of_integers_has_the_same_bits_at_every_width_and_number_of_threads()
    {
        (VisionModel model, Tensor[] images) = Create("resnet8", size: 32);
        Quantizer.Calibrate(model, images);
        Tensor batch = Tensor.From(images.SelectMany(image => image.Span.ToArray()).ToArray(), images.Length, 32, 32, 3);
        float[]? expected = null;
        foreach (VectorWidth width in Isas.All)
            foreach (int threads in new[] { 1, 4 })
            {
                using IDisposable _ = Isa.Use(width);
                using ThreadCount __ = new(threads);
                // What remains in float32 behind the convolutions, ReLU, sums of two and a mean, has one order at all widths.
                float[] logits = model.Forward(batch).Span.ToArray();
                expected ??= logits;
                Assert.That(logits, Is.EqualTo(expected), $"{width}, {threads} threads");
            }
    }

    [TestCase("resnet8", 32), TestCase("vit", 32), TestCase("vim", 32), TestCase("ul-vm-unet", 64), TestCase("resnet18-seg", 64)]
    public void A_file_of_codes_gives_the_calibrated_model(string name, int size)
    {
        (VisionModel model, Tensor[] images) = Create(name, size);
        float[] exact = model.Forward(images[0]).Span.ToArray();
        ModelInfo info = Info(name, model);
        ModelFile.Save(_path, model, info);
        long before = new FileInfo(_path).Length;
        Calibration found = Quantizer.Calibrate(model, images[..2], CalibrationMethod.Mse);
        float[] expected = model.Forward(images[0]).Span.ToArray();
        ModelFile.SaveQuantized(
            _path, model, info with { Quantization = new Quantization(QuantizationMode.Int8, "mse", 2, found.Scales) }, found.Float32);

        (VisionModel loaded, ModelInfo read) = ModelFile.Load(_path);
        Assert.That(read.Quantization!.Mode, Is.EqualTo(QuantizationMode.Int8));
        Assert.That((read.Quantization.Calibration, read.Quantization.Images), Is.EqualTo(("mse", 2)));
        Assert.That(read.Quantization.Inputs, Is.EqualTo(found.Scales));
        Assert.That(loaded.Parameters.InputScales.ToDictionary(), Is.EqualTo(found.Scales));
        float[] actual = loaded.Forward(images[0]).Span.ToArray();
        // Depthwise and transposed kernels are rounded in the file alone, and a scale may differ in its last bit.
        Assert.That(Error(actual, expected), Is.LessThan(0.3 * Error(expected, exact) + 1e-9));
        long most = name == "resnet18-seg" ? before / 3 : before * 3 / 4; // of small models names take most
        Assert.That(new FileInfo(_path).Length, Is.LessThan(most));

        // Of what was read, the same codes follow once more.
        string again = _path + ".again";
        ModelFile.SaveQuantized(again, loaded, read, found.Float32);
        using (WeightFile first = WeightFile.Open(_path), second = WeightFile.Open(again))
            foreach (string code in first.Names.Where(n => n.EndsWith(".int8", StringComparison.Ordinal)))
                Assert.That(second.ReadFloats(code), Is.EqualTo(first.ReadFloats(code)), code);
        File.Delete(again);
    }

    [TestCase(QuantizationMode.Int8Weights), TestCase(QuantizationMode.Fp16)]
    public void Weights_alone_are_rounded_by_at_most_half_a_step_and_multiply_in_float32(QuantizationMode mode)
    {
        (VisionModel model, Tensor[] images) = Create("resnet8", size: 32);
        model.Parameters["bn.running_var"].Span[0] = 1e6f; // beyond float16, in which statistics are not stored
        ModelInfo info = Info("resnet8", model) with { Quantization = new Quantization(mode, null, null, new Dictionary<string, float>()) };
        ModelFile.SaveQuantized(_path, model, info);
        (VisionModel loaded, ModelInfo read) = ModelFile.Load(_path);
        Assert.That((read.Quantization!.Mode, read.Quantization.Inputs.Count), Is.EqualTo((mode, 0)));
        Assert.That(loaded.Parameters.InputScales, Is.Empty);
        foreach ((string name, Tensor tensor) in model.Parameters.All)
        {
            float[] rounded = loaded.Parameters[name].Span.ToArray(), values = tensor.Span.ToArray();
            bool matrix = tensor.Shape.Rank > 1 && tensor.Count >= 1024, statistic = name.Contains("running", StringComparison.Ordinal);
            int rows = tensor.Shape[0], size = values.Length / rows;
            for (int i = 0; i < values.Length; i++)
            {
                double step = mode == QuantizationMode.Fp16 ? statistic ? 0 : Math.Abs(values[i]) / 1024 + 6e-8
                    : matrix ? values.AsSpan(i / size * size, size).ToArray().Max(Math.Abs) / 127 : 0;
                Assert.That(rounded[i], Is.EqualTo(values[i]).Within(step * 0.501), $"{name}[{i}]");
            }
        }
        loaded.Parameters.Thaw();
        float[] thawed = loaded.Forward(images[0]).Span.ToArray();
        loaded.Parameters.Freeze();
        Assert.That(Error(loaded.Forward(images[0]).Span.ToArray(), thawed), Is.LessThan(1e-9));
    }

    [Test]
    public void A_file_whose_codes_and_scales_do_not_fit_is_refused()
    {
        (VisionModel model, _) = Create("resnet8", size: 32);
        Dictionary<string, float> scales = new() { ["stack3.conv1.weight"] = 0.1f };
        ModelFile.SaveQuantized(
            _path, model, Info("resnet8", model) with { Quantization = new Quantization(QuantizationMode.Int8, "mse", 1, scales) });
        Dictionary<string, string> metadata;
        List<StoredTensor> tensors = [];
        using (WeightFile file = WeightFile.Open(_path))
        {
            Assert.That(ModelFile.HoldsCodes(file));
            metadata = new(file.Metadata);
            foreach (string name in file.Names)
            {
                using MemoryStream bytes = new();
                file.CopyTo(name, bytes);
                tensors.Add(new StoredTensor(name, file.DType(name), file.Shape(name), bytes.ToArray()));
            }
        }
        Assert.That(() => Load(tensors, metadata), Throws.Nothing);
        Refused(tensors.Where(t => t.Name != "stack3.conv1.weight.scale"), metadata, "'stack3.conv1.weight.scale'");
        Refused(
            tensors.Select(t => t.Name == "stack3.conv1.weight.scale" ? t with { Shape = [1], Bytes = t.Bytes[..4] } : t), metadata,
            "'stack3.conv1.weight.scale'");
        Refused(tensors.Select(t => t.Name == "stack3.conv1.weight.int8" ? t with { Type = "U8" } : t), metadata, "expected I8");
        Refused(tensors.Where(t => t.Name != "stack3.conv1.weight.int8"), metadata, "do not fit the model");
        foreach ((string text, string instead, string message) in new[]
        {
            ("stack3.conv1.weight", "stack3.conv1.wait", "stack3.conv1.wait"), ("0.1", "0", "above 0"), ("0.1", "-1", "above 0"),
            ("0.1", "1e-45", "above 0"),
            ("int8", "int7", "int7"), ("\"inputs\"", "\"input", "quantization"), ("0.1", "null", "metadata"),
        })
        {
            string json = metadata["quantization"];
            Assert.That(json, Does.Contain(text));
            Refused(
                tensors, new(metadata) { ["quantization"] = json.Replace(text, instead, StringComparison.Ordinal) },
                instead.Contains("input", StringComparison.Ordinal) ? "metadata" : message);
        }

        void Refused(IEnumerable<StoredTensor> changed, Dictionary<string, string> about, string message) => Assert.That(
            () => Load(changed, about), Throws.TypeOf<CheckpointException>().With.Message.Contains(message).And.Message.Contains(_path));

        void Load(IEnumerable<StoredTensor> changed, Dictionary<string, string> about)
        {
            Safetensors.Write(_path, changed, about);
            ModelFile.Load(_path).Model.Dispose();
        }
    }

    [Test]
    public void Scales_cover_all_most_or_the_cheapest_part_of_the_inputs()
    {
        float[] values = Numbers.Uniform(100_000, 1);
        values[7] = -50; // far out
        InputHistogram inputs = new();
        foreach (float[] part in values.Chunk(999)) inputs.Measure(part);
        foreach (float[] part in values.Chunk(1001)) inputs.Count(part);
        Assert.That(inputs.Scale(CalibrationMethod.MinMax), Is.EqualTo(50f / 127).Within(1e-6));
        Assert.That(inputs.Scale(CalibrationMethod.Percentile) * 127, Is.InRange(1.0, 1.05));
        // Of all thresholds, by the definition: the codes of the values themselves.
        double[] errors = [.. new[] { inputs.Scale(CalibrationMethod.Mse), 50f / 127 }.Select(scale =>
            values.Sum(v => Math.Pow(v - scale * Math.Clamp(Math.Round(v / scale), -127, 127), 2)))];
        Assert.That(errors[0], Is.LessThan(errors[1]));

        InputHistogram zeros = new(), infinite = new(), empty = new();
        zeros.Measure(new float[8]);
        infinite.Measure([1, float.PositiveInfinity]);
        Assert.That(new[] { zeros, infinite, empty }.Select(h => h.IsUsable), Is.All.False);
        infinite.Count([1]);
    }

    [Test]
    public void Tensors_of_any_type_are_written_as_they_are_and_checked()
    {
        byte[] half = new byte[4];
        BinaryPrimitives.WriteHalfLittleEndian(half, (Half)1.5f);
        StoredTensor[] tensors = [new("a", "I8", [3], new byte[] { 1, 255, 128 }), new("b", "F16", [2, 1], half)];
        Safetensors.Write(_path, tensors, new Dictionary<string, string>());
        using (WeightFile file = WeightFile.Open(_path))
            Assert.That((file.ReadFloats("a"), file.ReadFloats("b")), Is.EqualTo((new[] { 1f, -1f, -128f }, new[] { 1.5f, 0f })));
        foreach (StoredTensor wrong in new StoredTensor[] { new("a", "I8", [4], new byte[3]), new("a", "I4", [3], new byte[3]) })
            Assert.That(
                () => Safetensors.Write(_path, new[] { wrong }, new Dictionary<string, string>()),
                Throws.ArgumentException.With.Message.Contains("'a'"));
    }

    [Test]
    public void A_scale_is_a_number_above_zero_of_a_weight_that_there_is()
    {
        (VisionModel model, _) = Create("resnet8", size: 32);
        foreach (float scale in new[] { 0f, -1f, float.NaN, float.PositiveInfinity, float.Epsilon })
            Assert.That(() => model.Parameters.QuantizeInputs("fc.weight", scale), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => model.Parameters.QuantizeInputs("none", 1), Throws.TypeOf<KeyNotFoundException>());
        Assert.That(() => ModelFile.SaveQuantized(_path, model, Info("resnet8", model)), Throws.ArgumentException);
    }

    private static (VisionModel Model, Tensor[] Images) Create(string name, int size)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = entry.Config;
        if (config.Width > 32) config = config with { Width = 32 };
        if (config.Depth > 2) config = config with { Depth = 2 };
        VisionModel model = entry.Create(config, seed: 4);
        foreach ((string key, Tensor tensor) in model.Parameters.All)
            if (key.EndsWith("running_var", StringComparison.Ordinal)) Numbers.Uniform(tensor.Count, 1, 0.5f, 2f).CopyTo(tensor.Span);
        model.Parameters.Freeze();
        return (model, [.. Enumerable.Range(0, 3).Select(i => Numbers.Uniform(i + 1, -1f, 1f, 1, size, size, 3))]);
    }

    private static ModelInfo Info(string name, VisionModel model) => new(
        name, model.Config, [.. Enumerable.Range(0, model.Config.Classes).Select(i => $"class {i}")], Normalization.None(3),
        new RunData(SplitProtocol.Image, 0, null, 32, 32));

    /// <summary>The squared difference over the square of what is expected.</summary>
    private static double Error(float[] actual, float[] expected) =>
        actual.Zip(expected, (a, e) => Math.Pow((double)a - e, 2)).Sum() / expected.Sum(e => (double)e * e);
}
