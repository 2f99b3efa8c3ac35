using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

internal sealed class LayerTests
{
    [Test]
    public void Sequential_applies_its_modules_in_order()
    {
        ParameterStore store = new(3);
        Scope layers = new Scope(store) / "layers";
        Conv2d conv = new(layers / 0, new ConvConfig(3, 4, Kernel: 3) { Padding = Padding2d.Same, Bias = false });
        BatchNorm2d norm = new(layers / 1, 4);
        Sequential stem = new(conv, norm, new Function(Ops.Relu));
        Tensor x = Numbers.Random(1, 2, 5, 6, 3);
        Assert.That(stem.Forward(x).Span.ToArray(), Is.EqualTo(Ops.Relu(norm.Forward(conv.Forward(x))).Span.ToArray()));
        Assert.That(stem.Modules, Is.EqualTo(new IModule[] { conv, norm, stem.Modules[2] }));
        Assert.That(store.Parameters.Select(p => p.Name), Is.EqualTo(new[] { "layers.0.weight", "layers.1.weight", "layers.1.bias" }));
        Assert.That(new Sequential().Forward(x), Is.EqualTo(x));
    }

    // PyTorch's bound is 0 there. One over the root of no inputs is infinite, and infinity less infinity NaN.
    [Test]
    public void A_layer_without_inputs_starts_with_a_bias_of_zero()
    {
        Linear linear = new(new Scope(new ParameterStore(1)), 0, 3);
        Assert.That(linear.Forward(Tensor.Zeros(2, 0)).Span.ToArray(), Is.All.Zero);
        float[] values = new float[4];
        foreach (Initializer initializer in new[] { Init.KaimingUniform(0), Init.KaimingNormal(0), Init.XavierUniform(0, 0) })
        {
            initializer(values, new RandomStream(1, "w"));
            Assert.That(values, Is.All.Zero);
        }
        Assert.That(() => Init.KaimingUniform(-1), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Norms_take_an_eps()
    {
        Scope scope = new(new ParameterStore(1));
        Tensor x = Tensor.From([1f, 3f], 1, 2);
        foreach (IModule norm in new IModule[] { new LayerNorm(scope / "a", 2, eps: 3f), new GroupNorm(scope / "b", 1, 2, eps: 3f) })
            Assert.That(norm.Forward(x).Span.ToArray(), Is.EqualTo(new[] { -0.5f, 0.5f }).Within(1e-6f), "variance 1 and eps 3");
        Assert.That(new RmsNorm(scope / "c", 2, eps: 4f).Forward(x).Span.ToArray(), Is.EqualTo(new[] { 1f / 3f, 1f }).Within(1e-6f));
    }

    [Test]
    public void Layers_show_the_parameters_that_they_declare()
    {
        ParameterStore store = new();
        Scope root = new(store);
        ConvConfig config = new(6, 4, Kernel: (3, 5)) { Groups = 2 };
        Conv2d conv2d = new(root / "conv2d", config);
        Conv1d conv1d = new(root / "conv1d", config);
        ConvTranspose2d transposed2d = new(root / "transposed2d", config);
        ConvTranspose1d transposed1d = new(root / "transposed1d", config with { Bias = false });
        BatchNorm2d batch = new(root / "batch", 6);
        GroupNorm group = new(root / "group", 2, 6);
        LayerNorm layer = new(root / "layer", 6);
        RmsNorm rms = new(root / "rms", 6);
        Linear linear = new(root / "linear", 6, 4);
        (string Name, Tensor? Tensor)[] shown =
        [
            ("conv2d.weight", conv2d.Weight), ("conv2d.bias", conv2d.Bias), ("conv1d.weight", conv1d.Weight), ("conv1d.bias", conv1d.Bias),
            ("transposed2d.weight", transposed2d.Weight), ("transposed2d.bias", transposed2d.Bias), ("transposed1d.weight",
                transposed1d.Weight),
            ("batch.weight", batch.Weight), ("batch.bias", batch.Bias), ("batch.running_mean", batch.RunningMean), ("batch.running_var",
                batch.RunningVar),
            ("group.weight", group.Weight), ("group.bias", group.Bias), ("layer.weight", layer.Weight), ("layer.bias", layer.Bias),
                ("rms.weight", rms.Weight),
            ("linear.weight", linear.Weight), ("linear.bias", linear.Bias),
        ];
        Assert.That(shown.Select(s => s.Name), Is.EqualTo(store.All.Select(e => e.Name)));
        foreach ((string name, Tensor? tensor) in shown) Assert.That(tensor, Is.EqualTo(store[name]), name);
        Assert.That(transposed1d.Bias, Is.Null);
        Assert.That(conv2d.Weight.Shape, Is.EqualTo(new Shape(4, 3, 3, 5)));
        Assert.That(conv1d.Weight.Shape, Is.EqualTo(new Shape(4, 3, 5)));
        Assert.That(transposed2d.Weight.Shape, Is.EqualTo(new Shape(6, 2, 3, 5)));
        Assert.That(transposed1d.Weight.Shape, Is.EqualTo(new Shape(6, 2, 5)));
    }

    [Test]
    public void A_convolution_layer_passes_its_configuration_on()
    {
        Scope root = new(new ParameterStore(5));
        ConvConfig config = new(4, 6, Kernel: (3, 2))
        {
            Stride = (2, 3),
            Padding = new Padding2d(0, 1, 2, 0),
            Dilation = (1, 2),
            Groups = 2,
            Activation = Activation.Silu,
        };
        ConvOptions options = new()
        {
            Stride = (2, 3),
            Padding = new Padding2d(0, 1, 2, 0),
            Dilation = (1, 2),
            Groups = 2,
            Activation = Activation.Silu
        };
        Tensor image = Numbers.Random(1, 2, 7, 8, 4), sequence = Numbers.Random(2, 2, 9, 4);
        Conv2d conv2d = new(root / "a", config);
        Assert.That(conv2d.Forward(image).Span.ToArray(), Is.EqualTo(Ops.Conv2d(image, conv2d.Weight, conv2d.Bias,
            options).Span.ToArray()));
        Conv1d conv1d = new(root / "b", config);
        Assert.That(conv1d.Forward(sequence).Span.ToArray(), Is.EqualTo(Ops.Conv1d(sequence, conv1d.Weight, conv1d.Bias,
            options).Span.ToArray()));
        ConvConfig larger = config with { OutputPadding = (1, 2) };
        options = options with { OutputPadding = (1, 2) };
        ConvTranspose2d up2d = new(root / "c", larger);
        Assert.That(up2d.Forward(image).Span.ToArray(), Is.EqualTo(Ops.ConvTranspose2d(image, up2d.Weight, up2d.Bias,
            options).Span.ToArray()));
        ConvTranspose1d up1d = new(root / "d", larger);
        Assert.That(up1d.Forward(sequence).Span.ToArray(), Is.EqualTo(Ops.ConvTranspose1d(sequence, up1d.Weight, up1d.Bias,
            options).Span.ToArray()));
    }

    [TestCase(Activation.None), TestCase(Activation.Relu), TestCase(Activation.Silu)]
    public void A_frozen_convolution_with_batch_norm_is_one_convolution(Activation activation)
    {
        ParameterStore store = new(7);
        Scope root = new(store);
        ConvBatchNorm layer = new(root / "conv", root / "norm", new ConvConfig(3, 5,
            Kernel: 3)
        { Stride = 2, Padding = 1, Activation = activation });
        Numbers.Uniform(1, 0.5f, 2f, 5).Span.CopyTo(layer.Norm.RunningVar.Span);
        Numbers.Random(2, 5).Span.CopyTo(layer.Norm.RunningMean.Span);
        store.Training = false;
        Tensor x = Numbers.Random(3, 2, 7, 6, 3);
        float[] apart = layer.Forward(x).Span.ToArray();
        BatchNorm2d norm = layer.Norm;
        Tensor expected = Ops.Apply(activation, Ops.BatchNorm(layer.Conv.Forward(x), norm.Weight, norm.Bias, norm.RunningMean,
            norm.RunningVar));
        Assert.That(apart, Is.EqualTo(expected.Span.ToArray()).Within(1e-6f));
        store.Freeze();
        Assert.That(layer.Forward(x).Span.ToArray(), Is.EqualTo(apart).Within(1e-5f));
    }

    [Test]
    public void Groups_that_do_not_divide_the_channels_are_refused()
    {
        Scope root = new(new ParameterStore());
        Assert.That(() => new Conv2d(root / "a", new ConvConfig(6, 4,
            Kernel: 3)
        { Groups = 4 }), Throws.ArgumentException.With.Message.StartsWith("a: "));
        Assert.That(() => new ConvTranspose2d(root / "b", new ConvConfig(6, 4, Kernel: 3) { Groups = 3 }), Throws.ArgumentException);
        Assert.That(() => new Conv1d(root / "c", new ConvConfig(6, 4, Kernel: 3) { Groups = 0 }), Throws.ArgumentException);
    }
}
