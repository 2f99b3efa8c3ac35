using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

[NonParallelizable]
internal sealed class WeightConversionTests
{
    private TemporaryFolder _folder = null!;

    private string From => Path.Combine(_folder.Root, "from.safetensors");

    private string To => Path.Combine(_folder.Root, "to.safetensors");

    [SetUp]
    public void NewFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void Remove() => _folder.Dispose();

    [Test]
    public void Float16_halves_a_file_which_says_so_and_gives_the_rounded_model()
    {
        VisionModel model = Registry.Find("unet").Create(new ModelConfig { Width = 16, Depth = 2 }, seed: 1);
        model.Parameters["encoder1.1.running_var"].Span[0] = 1e-9f; // float16 would make it 0
        ModelInfo info = new(
            "unet", model.Config, ["lesion"], Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, 32, 32));
        ModelFile.Save(From, model, info);
        Rounding rounding = Convert(FloatType.Fp16);
        Assert.That(new FileInfo(To).Length, Is.LessThan(0.56 * new FileInfo(From).Length));
        (VisionModel loaded, ModelInfo read) = ModelFile.Load(To);
        Assert.That(read.Quantization!.Mode, Is.EqualTo(QuantizationMode.Fp16));
        double largest = 0;
        string? worst = null;
        foreach ((string name, Tensor tensor) in model.Parameters.All)
        {
            bool statistics = name.Contains("running", StringComparison.Ordinal);
            float[] expected = Array.ConvertAll(tensor.Span.ToArray(), x => statistics ? x : (float)(Half)x);
            Assert.That(loaded.Parameters[name].Span.ToArray(), Is.EqualTo(expected), name);
            double error = tensor.Span.ToArray().Zip(expected, (a, b) => Math.Abs((double)a - b)).Max();
            if (error > largest) (largest, worst) = (error, name);
        }
        Assert.That((rounding.LargestError, rounding.Tensor), Is.EqualTo((largest, worst)));
        Assert.That(rounding.Numbers, Is.EqualTo(model.Parameters.ParameterCount));

        // Back in float32 it is described as that, and holds the same numbers.
        File.Move(To, From, overwrite: true);
        Rounding exact = Convert(FloatType.Fp32);
        Assert.That((exact.LargestError, exact.Tensor, exact.Vanished), Is.EqualTo((0.0, (string?)null, 0L)));
        (VisionModel wide, ModelInfo again) = ModelFile.Load(To);
        Assert.That(again.Quantization, Is.Null);
        Assert.That(wide.Parameters.All.All(p => p.Tensor.Span.SequenceEqual(loaded.Parameters[p.Name].Span)));
    }

    [TestCase(70000f), TestCase(-65520f), TestCase(float.NaN), TestCase(float.PositiveInfinity)]
    public void What_float16_cannot_hold_is_refused_by_name(float value)
    {
        Safetensors.Write(From, [("a", Tensor.From([1f], 1)), ("b.weight", Tensor.From([0f, value], 2))], new Dictionary<string, string>());
        Assert.That(
            () => Convert(FloatType.Fp16),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("'b.weight'").And.Message.Contains("65504"));
        Assert.That(To, Does.Not.Exist);
    }

    [Test]
    public void Every_type_of_numbers_is_converted_and_others_stay()
    {
        StoredTensor[] tensors =
        [
            new("double", "F64", [1], BitConverter.GetBytes(0.1)), new("brain", "BF16", [1], new byte[] { 0x80, 0x3F }),
            new("half", "F16", [1], BitConverter.GetBytes((Half)0.5)), new("whole", "I64", [1], BitConverter.GetBytes(7L)),
            new("small", "F32", [2], (byte[])[.. BitConverter.GetBytes(1e-9f), .. BitConverter.GetBytes(0f)]),
        ];
        Safetensors.Write(From, tensors, new Dictionary<string, string> { ["note"] = "kept" });
        Assert.That(Convert(FloatType.Fp16).Vanished, Is.EqualTo(1));
        using (WeightFile file = WeightFile.Open(To))
        {
            Assert.That(
                file.Names.Select(n => $"{n} {file.DType(n)} {file.ReadFloats(n)[0]}"),
                Is.EquivalentTo(new[] { $"double F16 {(float)(Half)0.1}", "brain F16 1", "half F16 0.5", "whole I64 7", "small F16 0" }));
            Assert.That(file.Metadata, Is.EqualTo(new Dictionary<string, string> { ["note"] = "kept", ["format"] = "pt" }));
        }
        Convert(FloatType.Fp32);
        using WeightFile wide = WeightFile.Open(To);
        Assert.That(
            wide.Names.Select(n => $"{n} {wide.DType(n)} {wide.ReadFloats(n)[0]}"),
            Is.EquivalentTo(new[] { $"double F32 {0.1f}", "brain F32 1", "half F32 0.5", "whole I64 7", $"small F32 {1e-9f}" }));
    }

    private Rounding Convert(FloatType type)
    {
        using WeightFile file = WeightFile.Open(From);
        return WeightConversion.Write(To, file, null, type);
    }
}
