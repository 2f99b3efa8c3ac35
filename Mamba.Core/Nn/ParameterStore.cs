using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>
/// The tensors of a model by name, in the order of their declaration: PyTorch's state_dict, the optimizer's list and the buffers in one. Modules
/// declare them through a <see cref="Scope"/>; nothing is found by reflection.
/// </summary>
/// <param name="seed">The seed of the initial values; together with its name it determines every parameter.</param>
public sealed class ParameterStore(ulong seed = 0)
{
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly List<Entry> _order = [];

    /// <summary>Whether the model trains: batch statistics are learned, dropout is on.</summary>
    public bool Training { get; set; }

    /// <summary>The trainable parameters.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Parameters => _order.Where(e => e.Trainable).Select(e => (e.Name, e.Tensor));

    /// <summary>The trainable parameters and the buffers, such as running statistics.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> All => _order.Select(e => (e.Name, e.Tensor));

    /// <summary>The number of trainable numbers.</summary>
    public long ParameterCount => _order.Where(e => e.Trainable).Sum(e => (long)e.Tensor.Count);

    /// <summary>The tensor of this name.</summary>
    /// <param name="name">Its full name.</param>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public Tensor this[string name] => _entries.TryGetValue(name, out Entry? entry)
        ? entry.Tensor
        : throw new KeyNotFoundException($"No parameter '{name}' in this model.");

    /// <summary>Forgets all gradients.</summary>
    public void ZeroGrad()
    {
        foreach (Entry entry in _order) entry.Tensor.ZeroGrad();
    }

    /// <summary>Takes the values of a file of weights: safetensors, or a state_dict that PyTorch saved.</summary>
    /// <param name="file">The open file.</param>
    /// <exception cref="CheckpointException">Names are missing, unexpected or misshapen: the message lists them all, and nothing was loaded.</exception>
    public void Load(WeightFile file) => Load(file.Names, file.Shape, file.ReadFloats, file.Path);

    /// <summary>
    /// Takes the values of a state_dict. A leading <c>module.</c> (PyTorch's DataParallel) falls away; <c>num_batches_tracked</c> counters are not used.
    /// </summary>
    /// <param name="names">The names there are.</param>
    /// <param name="shape">The shape of a name.</param>
    /// <param name="read">Writes the values of a name.</param>
    /// <param name="source">What to call the source in errors: a file name.</param>
    /// <exception cref="CheckpointException">Names are missing, unexpected or misshapen: the message lists them all, and nothing was loaded.</exception>
    public void Load(IEnumerable<string> names, Func<string, int[]> shape, Action<string, Span<float>> read, string source)
    {
        List<string> unexpected = [], misshapen = [];
        Dictionary<string, string> found = [];
        foreach (string name in names)
        {
            string key = name.StartsWith("module.", StringComparison.Ordinal) ? name["module.".Length..] : name;
            if (key.EndsWith("num_batches_tracked", StringComparison.Ordinal)) continue;
            if (!_entries.TryGetValue(key, out Entry? entry) || found.ContainsKey(key)) unexpected.Add(name); // also the second of 'x' and 'module.x'
            else if (!shape(name).AsSpan().SequenceEqual(entry.Tensor.Shape.ToArray()))
                misshapen.Add($"{name} is ({string.Join(", ", shape(name))}), expected {entry.Tensor.Shape}");
            else found[key] = name;
        }
        List<string> missing = [.. _order.Select(e => e.Name).Where(n => !found.ContainsKey(n) && !misshapen.Exists(m => m.StartsWith(n + " is ", StringComparison.Ordinal) || m.StartsWith($"module.{n} is ", StringComparison.Ordinal)))];
        if (missing.Count + unexpected.Count + misshapen.Count > 0)
            throw new CheckpointException(
                $"{source}: the weights do not fit the model" + List("missing", missing) + List("unexpected", unexpected) + List("misshapen", misshapen) + ".");
        foreach ((string key, string name) in found) read(name, _entries[key].Tensor.Span);

        static string List(string what, List<string> items) => items.Count == 0 ? "" : $"; {what}: {string.Join(", ", items)}";
    }

    /// <summary>Draws initial values again by a rule of the whole model, as PyTorch's <c>apply(init_weights)</c> does.</summary>
    /// <param name="rule">The initialisation of a trainable parameter by name and shape; null leaves it as it is.</param>
    public void Reinitialize(Func<string, Shape, Initializer?> rule)
    {
        foreach (Entry entry in _order)
            if (entry.Trainable && rule(entry.Name, entry.Tensor.Shape) is { } initializer)
                initializer(entry.Tensor.Span, new RandomStream(seed, entry.Name));
    }

    internal Tensor Add(string name, Initializer initializer, bool trainable, ReadOnlySpan<int> shape)
    {
        if (_entries.ContainsKey(name)) throw new ArgumentException($"Parameter '{name}' is declared twice.", nameof(name));
        using MemoryScope.Suspension _ = MemoryScope.Suspend();
        Tensor tensor = Tensor.Empty(shape);
        initializer(tensor.Span, new RandomStream(seed, name));
        tensor.RequiresGrad = trainable;
        Entry entry = new(name, tensor, trainable);
        _entries.Add(name, entry);
        _order.Add(entry);
        return tensor;
    }

    private sealed record Entry(string Name, Tensor Tensor, bool Trainable);
}

/// <summary>A place in the tree of a model's parameters: <c>scope / "in_proj"</c> is the place below, and names join with dots as in PyTorch.</summary>
/// <param name="Store">Where the parameters go.</param>
/// <param name="Path">The name of this place; empty at the root.</param>
public readonly record struct Scope(ParameterStore Store, string Path = "")
{
    /// <summary>The place of this name below.</summary>
    public static Scope operator /(Scope scope, string name) => scope with { Path = scope.Name(name) };

    /// <summary>The place of this index below: an element of PyTorch's Sequential or ModuleList.</summary>
    public static Scope operator /(Scope scope, int index) => scope / index.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Declares a trainable parameter.</summary>
    /// <param name="name">Its name in this place.</param>
    /// <param name="initializer">Its initial values.</param>
    /// <param name="shape">Its extents.</param>
    /// <returns>The parameter.</returns>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    public Tensor Parameter(string name, Initializer initializer, params ReadOnlySpan<int> shape) => Store.Add(Name(name), initializer, trainable: true, shape);

    /// <summary>Declares a buffer: saved and loaded, not trained.</summary>
    /// <inheritdoc cref="Parameter"/>
    public Tensor Buffer(string name, Initializer initializer, params ReadOnlySpan<int> shape) => Store.Add(Name(name), initializer, trainable: false, shape);

    private string Name(string name) => Path.Length == 0 ? name : $"{Path}.{name}";
}
