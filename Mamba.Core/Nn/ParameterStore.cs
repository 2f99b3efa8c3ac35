using System.Globalization;
using System.Runtime.InteropServices;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Converts the values of a checkpoint's parameter to another shape.</summary>
/// <param name="values">The checkpoint's values, in row-major order.</param>
/// <param name="parameter">The parameter's values, all to be written.</param>
public delegate void Refit(ReadOnlySpan<float> values, Span<float> parameter);

/// <summary>
/// The tensors of a model by name, in the order of their declaration: PyTorch's state_dict, the optimizer's list and the buffers in one.
/// Modules declare them through a <see cref="Scope"/>; nothing is found by reflection.
/// </summary>
/// <param name="seed">The seed of the initial values; together with its name it determines every parameter.</param>
public sealed partial class ParameterStore(ulong seed = 0)
{
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly List<Entry> _order = [];
    private readonly List<(string Place, string Original)> _aliases = [];
    private readonly List<string> _leftOut = [];
    private long _count;
    private MappedFile? _mapped;

    /// <summary>
    /// The largest total number of elements that may be declared: a model described by a file cannot be larger than the file.
    /// </summary>
    public long MaxCount { get; init; } = long.MaxValue;

    /// <summary>Whether parameters are declared without initial values: for a model built only to know its shapes.</summary>
    public bool SkipInitialValues { get; init; }

    /// <summary>
    /// Whether the model trains, false unless set: batch norms use batch statistics and update the running ones, dropout is active. Setting
    /// it to true thaws a frozen model.
    /// </summary>
    public bool Training
    {
        get;
        set
        {
            field = value;
            if (value) Thaw();
        }
    }

    /// <summary>Whether the model is frozen, see <see cref="Freeze"/>.</summary>
    public bool IsFrozen { get; private set; }

    /// <summary>
    /// The training step, set by the training loop. A layer's random numbers depend on <see cref="Seed"/>, its name and this number.
    /// </summary>
    public long Step { get; set; }

    /// <summary>The seed of the initial values and of the layers' random numbers.</summary>
    public ulong Seed => seed;

    /// <summary>The random numbers of a layer at this training step: one stream for each (seed, name, step).</summary>
    /// <param name="name">The layer's path and the purpose of the numbers.</param>
    /// <returns>The stream, at its start.</returns>
    public RandomStream Random(string name)
    {
        RandomStream stream = new(Seed, "");
        Restart(stream, name);
        return stream;
    }

    /// <summary>As <see cref="Random"/>, but restarts an existing stream, so that nothing is allocated.</summary>
    /// <param name="stream">Restarted for this step.</param>
    /// <param name="name">The layer's path and the purpose of the numbers.</param>
    public void Restart(RandomStream stream, string name)
    {
        Span<char> key = stackalloc char[name.Length + 21]; // a dot and the longest integer
        name.CopyTo(key);
        key[name.Length] = '.';
        Step.TryFormat(key[(name.Length + 1)..], out int digits, provider: CultureInfo.InvariantCulture);
        stream.Restart(Seed, key[..(name.Length + 1 + digits)]);
    }

    /// <summary>The trainable parameters.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Parameters => _order.Where(e => e.Trainable).Select(e => (e.Name, e.Tensor));

    /// <summary>The trainable parameters and the buffers, such as running statistics.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> All => _order.Select(e => (e.Name, e.Tensor));

    /// <summary>The number of trainable values.</summary>
    public long ParameterCount { get; private set; }

    /// <summary>The tensor with this name or alias (see <see cref="Scope.Alias"/>).</summary>
    /// <param name="name">Its full name.</param>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public Tensor this[string name] => Find(name)?.Tensor ?? throw new KeyNotFoundException($"No parameter '{name}' in this model.");

    /// <summary>Whether there is a tensor with this name or alias.</summary>
    /// <param name="name">Its full name.</param>
    /// <returns>True if there is.</returns>
    public bool Contains(string name) => Find(name) is not null;

    /// <summary>Clears all gradients.</summary>
    public void ZeroGrad()
    {
        foreach (Entry entry in _order) entry.Tensor.ZeroGrad();
    }

    /// <summary>
    /// Makes the values read-only, for inference. Kernels cache packed weights, and adjacent linear operations are folded, such as a
    /// convolution and its batch norm. Any number of threads may then run the model. Values must not be written before <see cref="Thaw"/>.
    /// </summary>
    public void Freeze()
    {
        Training = false;
        if (IsFrozen) return;
        foreach (Entry entry in _order) entry.Tensor.Freeze(entry.Inputs);
        IsFrozen = true;
    }

    /// <summary>Ends <see cref="Freeze"/>: values may change again. Loading weights and training call it.</summary>
    /// <exception cref="InvalidOperationException">Weights are stored in fewer bits, see <see cref="Store"/>.</exception>
    public void Thaw()
    {
        ThrowIfStored();
        if (!IsFrozen) return;
        foreach (Entry entry in _order) entry.Tensor.Thaw();
        IsFrozen = false;
    }

    /// <summary>Loads a weight file: safetensors, or a state_dict saved by PyTorch.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>What was loaded, and which prefix of the names was dropped or added.</returns>
    /// <exception cref="CheckpointException">
    /// Names are missing, unexpected or have other shapes; the message lists them, and nothing was loaded.
    /// </exception>
    public LoadReport Load(WeightFile file) => Load(file, CancellationToken.None);

    /// <summary>As <see cref="Load(WeightFile)"/>; weights of a memory-mapped file are not copied.</summary>
    /// <param name="file">The open file.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    /// <returns>What was loaded, and which prefix of the names was dropped or added.</returns>
    /// <exception cref="CheckpointException">
    /// Names are missing, unexpected or have other shapes; the message lists them, and nothing was loaded.
    /// </exception>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public LoadReport Load(WeightFile file, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(file);
        _mapped = null;
        return Load(file.Names, file.Shape, file.Path, SameIn(file), match =>
        {
            cancellation.ThrowIfCancellationRequested();
            if (match.Refit is null && file.TryShare(match.Name, match.Entry.Tensor)) _mapped = match.Entry.Tensor.MappedFile;
            else match.Take(file.ReadFloats);
        });
    }

    /// <summary>Throws if the file of memory-mapped weights was truncated: reading them would crash the process.</summary>
    /// <exception cref="CheckpointException">The file was truncated.</exception>
    public void ThrowIfCut()
    {
        if (_mapped is { IsWhole: false })
            throw new CheckpointException("The file of the mapped weights was cut; load the model again from a whole file.");
    }

    /// <summary>
    /// Loads a state_dict. A prefix that all names share and the model lacks is dropped, such as <c>module.</c> (DataParallel) or
    /// <c>_orig_mod.</c> (torch.compile). A prefix that the model's names share and the file lacks is added. Counters that are not weights
    /// are ignored: <c>num_batches_tracked</c>, and a profiler's <c>total_ops</c> and <c>total_params</c>. So are scopes that the model
    /// lacks (see <see cref="Scope.LeaveOut"/>). A tensor is found by its name or its alias (see <see cref="Scope.Alias"/>). If the file
    /// has both, their values must be equal.
    /// </summary>
    /// <param name="names">The names of the source.</param>
    /// <param name="shape">The shape of a name.</param>
    /// <param name="read">Writes the values of a name.</param>
    /// <param name="source">The name of the source in error messages: a file name.</param>
    /// <returns>What was loaded, and which prefix of the names was dropped or added.</returns>
    /// <exception cref="CheckpointException">
    /// Names are missing, unexpected or have other shapes; the message lists them, and nothing was loaded.
    /// </exception>
    public LoadReport Load(IEnumerable<string> names, Func<string, int[]> shape, Action<string, Span<float>> read, string source) =>
        Load(names, shape, source, (one, other) => HaveSame(one, other, shape, read), match => match.Take(read));

    private LoadReport Load(
        IEnumerable<string> names, Func<string, int[]> shape, string source, Func<string, string, bool> same, Action<Match> take)
    {
        (List<Match> matches, LoadReport report) = MatchAll(names, shape);
        if (report.Missing.Count + report.Unexpected.Count + report.Misshapen.Count > 0)
            throw new CheckpointException($"{source}: the weights do not fit the model; {report}");
        RequireSame(matches, source, same);
        Thaw();
        foreach (Match match in matches) take(match);
        return report;
    }

    /// <summary>
    /// Loads the tensors of a weight file that match, to start training from; the others keep their initial values, such as a new head.
    /// </summary>
    /// <param name="file">The open file.</param>
    /// <returns>What was loaded and what was not.</returns>
    /// <exception cref="CheckpointException">Nothing matches.</exception>
    public LoadReport LoadMatching(WeightFile file)
    {
        (List<Match> matches, LoadReport report) = MatchAll(file.Names, file.Shape);
        if (matches.Count == 0) throw new CheckpointException($"{file.Path}: no tensor fits the model; {report}");
        RequireSame(matches, file.Path, SameIn(file));
        Thaw();
        foreach (Match match in matches) match.Take(file.ReadFloats);
        return report;
    }

    /// <summary>Which of a file's names <see cref="Load(WeightFile)"/> uses for each tensor, ignoring shapes.</summary>
    /// <param name="names">The names of the file.</param>
    /// <returns>The file's name by the tensor's own name; tensors that the file lacks are left out.</returns>
    public IReadOnlyDictionary<string, string> MatchNames(IEnumerable<string> names)
    {
        (string[] weights, NamePrefix prefix) = WithoutCounters(names);
        Dictionary<string, string> found = [];
        foreach (string name in weights)
            if (Find(prefix.Apply(name)) is { } entry && (prefix.Apply(name) == entry.Name || !found.ContainsKey(entry.Name)))
                found[entry.Name] = name;
        return found;
    }

    private (string[] Names, NamePrefix Prefix) WithoutCounters(IEnumerable<string> all)
    {
        string[] names = [.. all.Where(n => !IsCounter(n))];
        bool Known(string name) => Find(name) is not null || PlaceLeftOut(name) is not null;
        return (names, NamePrefix.Between(names, Known, [.. _order.Select(e => e.Name)]));
    }

    /// <summary>The left-out scope that contains a name; null for other names.</summary>
    private string? PlaceLeftOut(string name) => _leftOut.Find(place => name.StartsWith(place, StringComparison.Ordinal));

    private (List<Match> Matches, LoadReport Report) MatchAll(IEnumerable<string> all, Func<string, int[]> shape)
    {
        (string[] names, NamePrefix prefix) = WithoutCounters(all);
        List<string> unexpected = [], misshapen = [], leftOut = [];
        HashSet<string> seen = [];
        HashSet<Entry> named = [];
        Dictionary<Entry, Match> found = [];
        foreach (string name in names)
        {
            string key = prefix.Apply(name);
            if (Find(key) is not { } entry || !seen.Add(key))
            {
                if (PlaceLeftOut(key) is { } place) leftOut.Add(place);
                else unexpected.Add(name); // also the second of 'x' and 'module.x'
                continue;
            }
            named.Add(entry);
            int[] extents = shape(name);
            bool fits = extents.AsSpan().SequenceEqual(entry.Tensor.Shape.ToArray());
            Refit? refit = fits ? null : entry.Refits?.Invoke(extents);
            if (!fits && refit is null) misshapen.Add($"{name} is ({string.Join(", ", extents)}), expected {entry.Tensor.Shape}");
            else if (!found.TryGetValue(entry, out Match? other)) found[entry] = new Match(entry, name, extents, refit);
            else if (key == entry.Name) found[entry] = new Match(entry, name, extents, refit) { Again = [.. other.Again, other.Name] };
            else other.Again.Add(name);
        }
        string[] missing = [.. _order.Where(e => !named.Contains(e)).Select(e => e.Name)];
        LoadReport report = new(found.Count, missing, unexpected, misshapen) { Prefix = prefix.ToString(), LeftOut = InWords(leftOut) };
        return ([.. found.Values], report);
    }

    /// <summary>A tensor under two names is one tensor here. One of them must not be dropped in silence where they differ.</summary>
    private static void RequireSame(List<Match> matches, string source, Func<string, string, bool> same)
    {
        foreach (Match match in matches)
            foreach (string again in match.Again)
                if (!same(match.Name, again))
                    throw new CheckpointException(
                        $"{source}: '{again}' differs from '{match.Name}'; they are one tensor in this model (tied weights)");
    }

    private static Func<string, string, bool> SameIn(WeightFile file) =>
        (one, other) => file.SharePlace(one, other) || HaveSame(one, other, file.Shape, file.ReadFloats);

    private static bool HaveSame(string one, string other, Func<string, int[]> shape, Action<string, Span<float>> read)
    {
        return Values(one).AsSpan().SequenceEqual(Values(other));

        byte[] Values(string name)
        {
            float[] values = new float[shape(name).Aggregate(1, (product, extent) => checked(product * extent))];
            read(name, values);
            return MemoryMarshal.AsBytes<float>(values).ToArray();
        }
    }

    /// <summary>A message listing the left-out scopes, given the scope of each tensor.</summary>
    private static string InWords(List<string> places) => places.Count == 0 ? ""
        : $"left out {places.Count} tensors that the model goes without: {string.Join(", ", places.Distinct().Select(p => p + "*"))}";

    private static bool IsCounter(string name) =>
        name[(name.LastIndexOf('.') + 1)..] is "num_batches_tracked" or "total_ops" or "total_params";

    /// <summary>Reinitializes the model, like PyTorch's <c>apply(init_weights)</c>.</summary>
    /// <param name="rule">The initialization of a trainable parameter by name and shape; null keeps its values.</param>
    public void Reinitialize(Func<string, Shape, Initializer?> rule)
    {
        Thaw();
        if (SkipInitialValues) return;
        foreach (Entry entry in _order)
            if (entry.Trainable && rule(entry.Name, entry.Tensor.Shape) is { } initializer)
                initializer(entry.Tensor.Span, new RandomStream(seed, entry.Name));
    }

    /// <summary>Excludes parameters from training: they get no gradient, and optimizers created later ignore them.</summary>
    /// <param name="names">Selects them by name.</param>
    /// <returns>The number of values excluded.</returns>
    public long KeepFixed(Func<string, bool> names)
    {
        long count = 0;
        foreach (Entry entry in _order.Where(e => e.Trainable && names(e.Name)))
        {
            Tensor tensor = entry.Tensor;
            (entry.Trainable, tensor.RequiresGrad) = (false, false);
            count += entry.Tensor.Count;
        }
        ParameterCount -= count;
        return count;
    }

    internal Tensor Add(string name, Initializer initializer, bool trainable, ReadOnlySpan<int> shape)
    {
        if (_entries.ContainsKey(name))
            throw new ArgumentException($"Parameter '{name}' is declared twice; each needs a name of its own.", nameof(name));
        _count += new Shape(shape).Count;
        if (_count > MaxCount)
            throw new ArgumentException($"Parameters up to '{name}' have {_count} numbers; expected at most {MaxCount}.");
        using MemoryScope _ = MemoryScope.Suspend();
        Tensor tensor = Tensor.Lasting(new Shape(shape));
        if (!SkipInitialValues) initializer(tensor.Span, new RandomStream(seed, name));
        tensor.RequiresGrad = trainable;
        Entry entry = new(name, tensor, trainable);
        _entries.Add(name, entry);
        _order.Add(entry);
        if (trainable) ParameterCount += tensor.Count;
        return tensor;
    }

    internal void Alias(string place, string original)
    {
        // Both checks together prevent cycles of aliases.
        if (!Holds(original))
            throw new ArgumentException(
                $"Scope.Alias: place '{original}' has no parameters yet; declare them before '{place}' becomes its second name.",
                nameof(original));
        if (Holds(place))
            throw new ArgumentException(
                $"Scope.Alias: place '{place}' has parameters of its own, so it cannot be a second name of '{original}'.", nameof(place));
        _aliases.Add((place + ".", original + "."));

        bool Holds(string path) => _order.Exists(e => e.Name.StartsWith(path + ".", StringComparison.Ordinal));
    }

    /// <summary>The parameter or buffer with a name or alias. An alias leads to the original scope, or to another alias.</summary>
    private Entry? Find(string name)
    {
        if (_entries.TryGetValue(name, out Entry? entry)) return entry;
        foreach ((string place, string original) in _aliases)
            if (name.StartsWith(place, StringComparison.Ordinal) && Find(original + name[place.Length..]) is { } found) return found;
        return null;
    }

    internal void LeaveOut(string place) => _leftOut.Add(place + ".");

    internal void SetRefits(string name, Func<int[], Refit?> refits) => _entries[name].Refits = refits;

    /// <summary>A tensor of a file and the entry that takes it, unchanged or reshaped by Refit.</summary>
    private sealed record Match(Entry Entry, string Name, int[] Extents, Refit? Refit)
    {
        /// <summary>Other names that the file has for it.</summary>
        public List<string> Again { get; init; } = [];

        public void Take(Action<string, Span<float>> read)
        {
            if (Refit is null)
            {
                read(Name, Entry.Tensor.Span);
                return;
            }
            float[] values = new float[Extents.Aggregate(1, (product, extent) => checked(product * extent))];
            read(Name, values);
            Refit(values, Entry.Tensor.Span);
        }
    }

    private sealed record Entry(string Name, Tensor Tensor, bool Trainable)
    {
        public bool Trainable { get; set; } = Trainable;

        /// <summary>How values of other shapes are converted.</summary>
        public Func<int[], Refit?>? Refits { get; set; }

        /// <summary>How the inputs of the weight are quantized while it is frozen; null for float32.</summary>
        public InputQuantization? Inputs { get; set; }
    }
}

/// <summary>
/// A node in the tree of a model's parameters: <c>scope / "in_proj"</c> is a child, and names join with dots as in PyTorch.
/// </summary>
/// <param name="Store">The store of the parameters.</param>
/// <param name="Path">The full name of this node; empty at the root.</param>
public readonly record struct Scope(ParameterStore Store, string Path = "")
{
    /// <summary>The child with this name.</summary>
    public static Scope operator /(Scope scope, string name) => scope with { Path = scope.Name(name) };

    /// <summary>The child with this index: an element of PyTorch's Sequential or ModuleList.</summary>
    public static Scope operator /(Scope scope, int index) => scope / index.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Declares a trainable parameter.</summary>
    /// <param name="name">Its name in this scope.</param>
    /// <param name="initializer">Its initial values.</param>
    /// <param name="shape">Its extents.</param>
    /// <returns>The parameter.</returns>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    public Tensor Parameter(string name, Initializer initializer, params ReadOnlySpan<int> shape) =>
        Store.Add(Name(name), initializer, trainable: true, shape);

    /// <summary>Declares a buffer: saved and loaded, not trained.</summary>
    /// <inheritdoc cref="Parameter"/>
    public Tensor Buffer(string name, Initializer initializer, params ReadOnlySpan<int> shape) =>
        Store.Add(Name(name), initializer, trainable: false, shape);

    /// <summary>Lets a parameter load values of other shapes: a table that is resampled, for instance.</summary>
    /// <param name="name">The name of a declared parameter in this scope.</param>
    /// <param name="refits">The conversion from a shape; null if there is none, which reports a shape mismatch.</param>
    public void Refit(string name, Func<int[], Refit?> refits) => Store.SetRefits(Name(name), refits);

    /// <summary>The channels of the layer in this scope: its default, or the value in <see cref="ParameterStore.Widths"/>.</summary>
    /// <param name="own">The channels in a model that was not pruned.</param>
    /// <returns>At least 1.</returns>
    /// <exception cref="ArgumentException">The given width is below 1.</exception>
    public int Width(int own) => Store.Width(Path, own);

    /// <summary>
    /// Allows weight files to have tensors in a scope that this model lacks, such as an auxiliary training head. Loading ignores them and
    /// reports them in <see cref="LoadReport.LeftOut"/>.
    /// </summary>
    /// <param name="name">The scope's name in this one.</param>
    public void LeaveOut(string name) => Store.LeaveOut(Name(name));

    /// <summary>
    /// Gives a scope a second name. PyTorch lists a shared module under both names; here it is stored and trained once, and found and
    /// loaded under either.
    /// </summary>
    /// <param name="name">The alias, in this scope.</param>
    /// <param name="original">The original scope.</param>
    /// <exception cref="ArgumentException">The original holds no parameters yet, or the alias already holds some.</exception>
    public void Alias(string name, Scope original) => Store.Alias(Name(name), original.Path);

    private string Name(string name) => Path.Length == 0 ? name : $"{Path}.{name}";
}
