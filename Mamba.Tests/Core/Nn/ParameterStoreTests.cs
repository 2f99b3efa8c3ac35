using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;

namespace Mamba.Tests.Core;

internal sealed class ParameterStoreTests
{
    [Test]
    public void Names_shapes_and_order_are_PyTorchs()
    {
        ParameterStore store = Model(out _);
        Assert.That(store.All.Select(e => $"{e.Name} {e.Tensor.Shape}"), Is.EqualTo(new[]
        {
            "stem.0.weight (4, 3, 3, 3)", "stem.0.bias (4)", "stem.1.weight (4)", "stem.1.bias (4)", "stem.1.running_mean (4)",
            "stem.1.running_var (4)", "head.weight (2, 4)",
        }));
        Assert.That(store.Parameters.Select(e => e.Name), Has.None.Contains("running"));
        Assert.That(store.ParameterCount, Is.EqualTo(4 * 3 * 9 + 4 + 4 + 4 + 2 * 4));
        Assert.That(store["stem.1.running_var"].RequiresGrad, Is.False);
        Assert.That(store["head.weight"].RequiresGrad, Is.True);
        Assert.That(() => store["head.bias"], Throws.TypeOf<KeyNotFoundException>().With.Message.Contains("head.bias"));
    }

    [Test]
    public void A_name_is_declared_once()
    {
        ParameterStore store = Model(out Scope root);
        Assert.That(() => new Linear(root / "head", 4, 2, bias: false), Throws.ArgumentException.With.Message.Contains("head.weight"));
        Assert.That(store.All.Count(), Is.EqualTo(7));
    }

    [Test]
    public void The_initial_values_depend_on_seed_and_name_alone()
    {
        float[] values = Model(out _)["head.weight"].Span.ToArray();
        ParameterStore other = new(7);
        _ = new Linear(new Scope(other) / "head", 4, 2, bias: false);
        Assert.That(other["head.weight"].Span.ToArray(), Is.EqualTo(values), "declared first or last");
        ParameterStore seeded = new(8);
        _ = new Linear(new Scope(seeded) / "head", 4, 2, bias: false);
        Assert.That(seeded["head.weight"].Span.ToArray(), Is.Not.EqualTo(values));
    }

    [Test]
    public void Loading_takes_the_values_and_passes_over_what_PyTorch_adds()
    {
        ParameterStore store = Model(out _);
        Dictionary<string, float[]> file = store.All.ToDictionary(
            e => "module." + e.Name, e => Enumerable.Repeat(5f, e.Tensor.Count).ToArray());
        file["module.stem.1.num_batches_tracked"] = [3f];
        Load(store, file);
        foreach ((string name, Tensor tensor) in store.All) Assert.That(tensor.Span.ToArray(), Is.All.EqualTo(5f), name);
    }

    [Test]
    public void Everything_that_does_not_fit_is_listed_and_nothing_is_loaded()
    {
        ParameterStore store = Model(out _);
        float[] before = store["stem.1.bias"].Span.ToArray();
        Dictionary<string, float[]> file = store.All.ToDictionary(e => e.Name, e => Enumerable.Repeat(5f, e.Tensor.Count).ToArray());
        file["tail.weight"] = [1f];
        file["tail.bias"] = [1f];
        file.Remove("stem.0.bias");
        file.Remove("head.weight");
        file["stem.1.running_mean"] = new float[3];
        Assert.That(() => Load(store, file), Throws.TypeOf<CheckpointException>().With.Message.StartsWith("file.safetensors: ")
            .And.Message.Contains("missing: stem.0.bias, head.weight")
            .And.Message.Contains("unexpected: tail.weight, tail.bias")
            .And.Message.Contains("misshapen: stem.1.running_mean is (3), expected (4)"));
        Assert.That(store["stem.1.bias"].Span.ToArray(), Is.EqualTo(before));
    }

    [Test]
    public void A_second_name_leads_to_the_same_tensor_and_is_not_stored()
    {
        ParameterStore store = Aliased();
        Assert.That(store["copy.stem.0.bias"], Is.EqualTo(store["stem.0.bias"]));
        Assert.That(
            store["copy.stem.modules.1.running_var"], Is.EqualTo(store["stem.1.running_var"]), "a second name inside a second name");
        Assert.That(store.All.Count(), Is.EqualTo(7));
        Assert.That(() => store["copy.stem.2.bias"], Throws.TypeOf<KeyNotFoundException>());
    }

    [Test]
    public void Loading_accepts_a_tensor_under_its_own_name_a_second_one_or_both()
    {
        foreach (bool own in new[] { true, false })
            foreach (bool second in new[] { true, false })
            {
                ParameterStore store = Aliased();
                Dictionary<string, float[]> file = [];
                foreach ((string name, Tensor tensor) in store.All)
                {
                    bool aliased = name.StartsWith("stem", StringComparison.Ordinal);
                    if (second && aliased) file["module.copy." + name] = Enumerable.Repeat(own ? 5f : 6f, tensor.Count).ToArray();
                    if (own || !aliased) file["module." + name] = Enumerable.Repeat(5f, tensor.Count).ToArray();
                }
                if (!own && !second)
                {
                    Assert.That(
                        () => Load(store, file), Throws.TypeOf<CheckpointException>().With.Message.Contains("missing: stem.0.weight"));
                    continue;
                }
                Load(store, file);
                Assert.That(store["stem.1.weight"].Span.ToArray(), Is.All.EqualTo(own ? 5f : 6f), $"own {own}, second {second}");
            }
    }

    [Test]
    public void Loading_refuses_a_tensor_that_differs_under_its_two_names([Values] bool ownFirst)
    {
        ParameterStore store = Aliased();
        float[] before = store["stem.0.bias"].Span.ToArray();
        Dictionary<string, float[]> file = [];
        foreach ((string name, Tensor tensor) in store.All) file[name] = Enumerable.Repeat(5f, tensor.Count).ToArray();
        float[] other = [5f, 5f, 5f, 6f];
        file = ownFirst ? new(file) { ["copy.stem.0.bias"] = other } : new(file.Prepend(new("copy.stem.0.bias", other)));
        Assert.That(() => Load(store, file), Throws.TypeOf<CheckpointException>()
            .With.Message.Contains("'copy.stem.0.bias' differs from 'stem.0.bias'"));
        Assert.That(store["stem.0.bias"].Span.ToArray(), Is.EqualTo(before), "nothing was loaded");
    }

    [Test]
    public void A_second_name_of_nothing_or_of_another_place_is_refused()
    {
        ParameterStore store = Model(out Scope root);
        Assert.That(() => root.Alias("copy", root / "tail"), Throws.ArgumentException.With.Message.Contains("'tail' has no parameters"));
        Assert.That(() => root.Alias("head", root / "stem"),
            Throws.ArgumentException.With.Message.Contains("'head' has parameters of its own"));
        Assert.That(() => root.Alias("stem", root / "stem" / 0), Throws.ArgumentException);
        Assert.That(store.All.Count(), Is.EqualTo(7));
    }

    [Test]
    public void ZeroGrad_forgets_all_gradients()
    {
        ParameterStore store = Model(out _);
        using (Tape tape = new()) tape.Backward(Ops.Scale(store["head.weight"], 1f), Tensor.Full(1f, 2, 4));
        Assert.That(store["head.weight"].Grad, Is.Not.Null);
        store.ZeroGrad();
        Assert.That(store["head.weight"].Grad, Is.Null);
    }

    private static ParameterStore Model(out Scope root)
    {
        ParameterStore store = new(7);
        root = new Scope(store);
        _ = new Conv2d(root / "stem" / 0, new ConvConfig(3, 4, 3));
        _ = new BatchNorm2d(root / "stem" / 1, 4);
        _ = new Linear(root / "head", 4, 2, bias: false);
        return store;
    }

    /// <summary>The same with two second names: <c>stem.modules.1</c> for <c>stem.1</c>, and <c>copy.stem</c> for <c>stem</c>.</summary>
    private static ParameterStore Aliased()
    {
        ParameterStore store = Model(out Scope root);
        (root / "stem").Alias("modules.1", root / "stem" / 1);
        (root / "copy").Alias("stem", root / "stem");
        return store;
    }

    /// <summary>Loads arrays; one whose length fits has the model's shape, another is a vector.</summary>
    private static void Load(ParameterStore store, Dictionary<string, float[]> file) => store.Load(
        file.Keys,
        name =>
        {
            string key = name.Replace("module.", "", StringComparison.Ordinal).Replace("copy.", "", StringComparison.Ordinal);
            (string Name, Tensor Tensor) entry = store.All.FirstOrDefault(e => e.Name == key);
            return entry.Tensor is { } tensor && tensor.Count == file[name].Length ? tensor.Shape.ToArray() : [file[name].Length];
        },
        (name, values) => file[name].CopyTo(values), "file.safetensors");
}
