using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The mixer as a choice of the vision models.</summary>
internal sealed class MixerChoiceTests
{
    /// <summary>With the same weights in both directions, a sequence turned round gives the result turned round.</summary>
    [Test]
    public void A_bidirectional_mixer_sees_both_ends_alike([Values] MixerKind kind)
    {
        ParameterStore store = new(seed: 5);
        BidirectionalMixer mixer = new(new Scope(store), "mixer", kind, 12);
        Dictionary<string, Tensor> parameters = store.All.ToDictionary(p => p.Name, p => p.Tensor);
        foreach ((string name, Tensor tensor) in parameters)
            if (parameters.TryGetValue(Forward(name), out Tensor same) && Forward(name) != name) same.Span.CopyTo(tensor.Span);
        Tensor x = Numbers.Random(1, 2, 9, 12), residual = Numbers.Random(2, 2, 9, 12);
        Tensor y = mixer.Forward(x, null), turned = Ops.Flip(mixer.Forward(Ops.Flip(x, 1), null), 1);
        GradCheck.Close(y.ToDouble(), turned.Span, 1e-5, "turned round");
        GradCheck.Close(Ops.Add(y, residual).ToDouble(), mixer.Forward(x, residual).Span, 1e-5, "with a residual");
        float[] changed = [.. x.Span];
        changed[^1] += 1f;
        Tensor other = mixer.Forward(Tensor.From(changed, 2, 9, 12), null);
        float[] before = y.Span[^(9 * 12)..^(8 * 12)].ToArray(), after = other.Span[^(9 * 12)..^(8 * 12)].ToArray();
        Assert.That(after, Is.Not.EqualTo(before), "the first token sees the last one");

        string Forward(string name) => kind == MixerKind.Mamba
            ? name.Replace("_b_log", "_log").Replace("_b.", ".").Replace("D_b", "D")
            : name.Replace("mixer_b.", "mixer.");
    }

    /// <summary>Every parameter has a gradient, at the narrowest layers of the family, too.</summary>
    [Test]
    public void Models_train_with_any_mixer([Values("vim", "ul-vm-unet", "ul-vm-unet-v2")] string model, [Values] MixerKind kind)
    {
        ModelEntry entry = Registry.Find(model);
        ModelConfig config = entry.Config with { Mixer = kind };
        if (model == "vim") config = config with { ImageSize = 16, Width = 12, Depth = 2, DropPath = 0 };
        VisionModel net = entry.Create(config, seed: 3);
        net.Parameters.Training = true;
        using Tape tape = new();
        Tensor y = net.Forward(Numbers.Random(1, 2, model == "vim" ? 16 : 32, model == "vim" ? 16 : 32, 3));
        tape.Backward(y, Numbers.Random(2, y.Shape.ToArray()));
        foreach ((string name, Tensor parameter) in net.Parameters.Parameters)
        {
            Assert.That(parameter.Grad, Is.Not.Null, name);
            foreach (float g in parameter.Grad!.Value.Span) Assert.That(float.IsFinite(g), name);
        }
        Assert.That(y.Span.ToArray(), Is.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void A_file_names_its_mixer()
    {
        ModelConfig vim = Registry.Find("vim").Config;
        Assert.That(vim.MixerName, Is.Null);
        Assert.That((vim with { Mixer = MixerKind.S4d }).MixerName, Is.EqualTo("s4d"));
        Assert.That(vim.WithMixer("mamba3").Mixer, Is.EqualTo(MixerKind.Mamba3));
        Assert.That(vim.WithMixer(null), Is.EqualTo(vim));
        Assert.That(() => vim.WithMixer("mamba9"), Throws.TypeOf<FormatException>().With.Message.Contains("mamba9"));
        Assert.That(() => Registry.Find("vit").Config.WithMixer("mamba2"), Throws.TypeOf<FormatException>());
    }
}
