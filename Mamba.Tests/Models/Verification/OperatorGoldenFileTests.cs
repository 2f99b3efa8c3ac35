using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Verification;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The verifier itself, on golden files made here.</summary>
internal sealed class OperatorGoldenFileTests
{
    private string _path = "";

    [SetUp]
    public void MakePath() => _path = Path.GetTempFileName();

    [TearDown]
    public void RemoveFile() => File.Delete(_path);

    [Test]
    public void A_true_case_passes_with_its_errors()
    {
        VerificationResult result = Run("activation", "relu-of-three", "{}", Relu());
        Assert.That(result, Is.EqualTo(new VerificationResult(_path, "relu-of-three", VerificationStatus.Passed, 0, 0, null)));
    }

    [Test]
    public void A_wrong_output_fails_and_is_named()
    {
        VerificationResult result = Run(
            "activation", "relu", "{}", [.. Relu().Where(t => t.Name != "out.0"), ("out.0", Tensor.From([0f, 2f, 3.5f], 3))]);
        Assert.That(result.Passed, Is.False);
        Assert.That(result.OutputError, Is.EqualTo(0.5 / 3.5).Within(1e-12));
        Assert.That(result.Message, Does.StartWith("out.0: error 1.4e-01"));
    }

    [Test]
    public void A_wrong_gradient_fails_and_is_named()
    {
        VerificationResult result = Run(
            "activation", "relu", "{}", [.. Relu().Where(t => t.Name != "grad.x"), ("grad.x", Tensor.From([0f, 5f, 4f], 3))]);
        Assert.That(
            result,
            Has.Property(nameof(VerificationResult.Passed))
                .False.And.Property(nameof(VerificationResult.GradError)).EqualTo(0.4).Within(1e-12));
        Assert.That(result.Message, Does.StartWith("grad.x: error"));
    }

    [TestCase(false), TestCase(true)]
    public void NaN_is_a_failure_wherever_it_stands(bool expected)
    {
        Tensor bad = Tensor.From([0f, float.NaN, 3f], 3), good = Tensor.From([0f, 2f, 3f], 3);
        VerificationResult result = Run("activation", "relu", "{}", ("in.x", expected ? good : bad), ("out.0", expected ? bad : good));
        Assert.That(result.Passed, Is.False);
        Assert.That(result.OutputError, Is.NaN);
    }

    [Test]
    public void A_wrong_shape_fails() => Fails(
        "activation", "relu", "{}", "out.0 has shape (3), expected (1, 3)",
        [.. Relu().Where(t => t.Name != "out.0"), ("out.0", Tensor.Zeros(1, 3))]);

    [TestCase("transmogrify", "a", "{}", "unknown operator 'transmogrify'")]
    [TestCase("activation", "gelish", "{}", "unknown activation 'gelish'")]
    [TestCase("activation", "relu", """{"inplace":true}""", "unknown attribute 'inplace'")]
    [TestCase("activation", "leaky_relu", """{"negative_slope":"steep"}""", "negative_slope = \"steep\" is not supported")]
    [TestCase("softmax", "a", """{"dim":"last"}""", "dim = \"last\" is not supported")]
    [TestCase("softmax", "a", """{"dim":[0,1]}""", "dim = [0,1] is not supported")]
    [TestCase("max_pool2d", "a", """{"stride":2}""", "attribute 'kernel' is missing")]
    [TestCase("max_pool2d", "a", """{"kernel":2,"ceil_mode":"up"}""", "ceil_mode = \"up\" is not supported")]
    public void What_is_not_built_is_unsupported_with_the_reason(string op, string name, string attributes, string message) =>
        Unsupported(op, name, attributes, message, Relu());

    [Test]
    public void An_input_that_the_operator_does_not_know_is_unsupported() =>
        Unsupported("activation", "relu", "{}", "unknown input 'in.mask'", [.. Relu(), ("in.mask", Tensor.Zeros(3))]);

    [Test]
    public void An_input_that_the_operator_is_not_built_to_do_without_is_unsupported() =>
        Unsupported("activation", "relu", "{}", "activation: without input 'x'", [.. Relu().Where(t => t.Name != "in.x")]);

    [Test]
    public void Inputs_that_the_operator_refuses_fail() =>
        Fails("adaptive_avg_pool2d", "a", """{"output":[1,2]}""", "AdaptiveAvgPool2d: input is (3), expected (B, H, W, C)", Relu());

    [Test]
    public void Softmax_runs_along_any_dimension()
    {
        Tensor x = Numbers.Random(1, 2, 3, 4);
        Tensor expected = Ops.Permute(Ops.Softmax(Ops.Permute(x, 0, 2, 1)), 0, 2, 1);
        Assert.That(Run("softmax", "middle", """{"dim":1}""", ("in.x", x), ("out.0", expected)).Passed);
        Assert.That(Run("softmax", "middle", """{"dim":-2}""", ("in.x", x), ("out.0", expected)).Passed);
        Assert.That(Run("softmax", "last", """{"dim":2}""", ("in.x", x), ("out.0", expected)).Passed, Is.False);
    }

    [Test]
    public void Running_statistics_are_outputs()
    {
        Tensor x = Tensor.From([1f, 3f], 2, 1, 1, 1), one = Tensor.Full(1f, 1), zero = Tensor.Zeros(1);
        (string, Tensor)[] inputs =
        [
            ("in.x", x), ("in.weight", one), ("in.bias", zero), ("in.running_mean", zero), ("in.running_var", one),
        ];
        (string, Tensor)[] outputs =
        [
            ("out.0", Tensor.From([-1f, 1f], 2, 1, 1, 1)), ("out.1", Tensor.From([1f], 1)), ("out.2", Tensor.From([1.5f], 1)),
        ];
        Assert.That(Run("batch_norm2d", "train", """{"training":true,"momentum":0.5,"eps":0}""", [.. inputs, .. outputs]).Passed);
    }

    [Test]
    public void Batch_normalization_without_running_statistics_has_one_output()
    {
        Tensor x = Tensor.From([1f, 3f], 2, 1, 1, 1), y = Tensor.From([-1f, 1f], 2, 1, 1, 1);
        foreach (string training in new[] { "true", "false" })
            Assert.That(Run("batch_norm2d", "plain", $"{{\"training\":{training},\"eps\":0}}", ("in.x", x), ("out.0", y)).Passed, training);
    }

    [TestCase("{", "attrs:"), TestCase("[]", "no JSON object")]
    public void Malformed_attributes_are_an_error_of_the_file(string attributes, string problem) =>
        Assert.That(
            () => Run("activation", "relu", attributes, Relu()),
            Throws.TypeOf<CheckpointException>().With.Message.StartsWith(_path).And.Message.Contains(problem));

    [TestCase("out.0"), TestCase("cot.0")]
    public void Missing_tensors_are_an_error_of_the_file(string missing) => Assert.That(
        () => Run("activation", "relu", "{}", [.. Relu().Where(t => t.Name != missing)]),
        Throws.TypeOf<CheckpointException>().With.Message.StartsWith(_path));

    [Test]
    public void Other_files_are_an_error()
    {
        Safetensors.Write(_path, [("in.x", Tensor.Zeros(3))], new Dictionary<string, string>());
        Assert.That(() => OperatorGolden.Run(_path), Throws.TypeOf<CheckpointException>().With.Message.Contains("'op'"));
        File.WriteAllText(_path, "no golden file at all");
        Assert.That(() => OperatorGolden.Run(_path), Throws.TypeOf<CheckpointException>());
    }

    private static (string Name, Tensor Tensor)[] Relu() =>
    [
        ("in.x", Tensor.From([-1f, 2f, 3f], 3)), ("out.0", Tensor.From([0f, 2f, 3f], 3)), ("cot.0", Tensor.From([5f, 3f, 4f], 3)),
        ("grad.x", Tensor.From([0f, 3f, 4f], 3)),
    ];

    private void Fails(string op, string name, string attributes, string message, params (string, Tensor)[] tensors)
    {
        VerificationResult result = Run(op, name, attributes, tensors);
        Assert.That(result.Status, Is.EqualTo(VerificationStatus.Failed));
        Assert.That(result.Message, Does.Contain(message));
    }

    private void Unsupported(string op, string name, string attributes, string message, params (string, Tensor)[] tensors)
    {
        VerificationResult result = Run(op, name, attributes, tensors);
        Assert.That(result, Is.EqualTo(new VerificationResult(_path, name, VerificationStatus.Unsupported, null, null, result.Message)));
        Assert.That(result.Message, Does.Contain(message));
    }

    private VerificationResult Run(string op, string name, string attributes, params (string, Tensor)[] tensors)
    {
        Safetensors.Write(_path, tensors, new Dictionary<string, string> { ["op"] = op, ["case"] = name, ["attrs"] = attributes });
        return OperatorGolden.Run(_path);
    }
}
