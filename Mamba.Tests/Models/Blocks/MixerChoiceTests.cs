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

    /// <summary>The authors' rule for convolutions is for these alone, and not for all that has three dimensions.</summary>
    [Test]
    public void Parameters_of_a_mixer_start_as_the_mixer_has_them([Values] MixerKind kind)
    {
        const ulong Seed = 3;
        ModelEntry entry = Registry.Find("ul-vm-unet");
        ParameterStore store = entry.Create(entry.Config with { Mixer = kind }, Seed).Parameters;
        string[] convolutions = kind == MixerKind.Mamba3 ? ["get_all_att.weight"] : ["conv1d.weight", "get_all_att.weight"];
        HashSet<string> seen = [];
        foreach ((string name, Tensor tensor) in store.Parameters.Where(p => p.Tensor.Shape.Rank == 3))
        {
            string? convolution = Array.Find(convolutions, ending => name.EndsWith(ending, StringComparison.Ordinal));
            Initializer expected = convolution is not null ? Init.KaimingNormal(tensor.Shape[2] * tensor.Shape[0])
                : name.EndsWith("_bias", StringComparison.Ordinal) ? Init.Ones
                : Init.Normal(Math.Sqrt(0.5));
            float[] values = new float[tensor.Count];
            expected(values, new RandomStream(Seed, name));
            Assert.That(tensor.Span.ToArray(), Is.EqualTo(values), name);
            seen.Add(convolution ?? name[(name.LastIndexOf('.') + 1)..]);
        }
        string[] others = kind switch
        {
            MixerKind.Mamba3 => ["B_bias", "C_bias"],
            MixerKind.S4d => ["C"],
            _ => [],
        };
        Assert.That(seen, Is.EquivalentTo(convolutions.Concat(others)));
    }

    /// <summary>A model that is made in a store changes nothing that is there, and starts as it would alone in such a place.</summary>
    [Test]
    public void A_model_gives_initial_values_to_its_own_parameters_alone([Values("vim", "ul-vm-unet")] string name)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = name == "vim" ? entry.Config with { ImageSize = 16, Width = 12, Depth = 2, DropPath = 0 } : entry.Config;
        ParameterStore store = new(seed: 3), alone = new(seed: 3);
        Scope root = new(store);
        entry.Build(root / "subnet", config);
        foreach ((_, Tensor tensor) in store.All) tensor.Span.Fill(5f); // as if loaded
        entry.Build(root / "second", config);
        entry.Build(new Scope(alone) / "second", config);
        foreach ((string parameter, Tensor tensor) in store.All)
            if (alone.Contains(parameter)) Assert.That(tensor.Span.ToArray(), Is.EqualTo(alone[parameter].Span.ToArray()), parameter);
            else Assert.That(tensor.Span.ToArray(), Is.All.EqualTo(5f), parameter);

        // The name of the place has no part in the rule.
        ParameterStore plain = new(seed: 3), renamed = new(seed: 3);
        entry.Build(new Scope(plain) / "a", config);
        entry.Build(new Scope(renamed) / "subnet.att_proj", config);
        foreach ((string parameter, Tensor tensor) in plain.All)
            Assert.That(
                renamed["subnet.att_proj" + parameter[1..]].Span.ContainsAnyExcept(0f), Is.EqualTo(tensor.Span.ContainsAnyExcept(0f)),
                parameter);
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
