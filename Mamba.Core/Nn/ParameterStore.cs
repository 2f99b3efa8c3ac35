using System.Globalization;
using System.Runtime.InteropServices;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Makes the values of a parameter from those of a checkpoint in which it has another shape.</summary>
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

    /// <summary>The most numbers that may be declared in all. A model that a file describes has no more numbers than the file.</summary>
    public long MaxCount { get; init; } = long.MaxValue;

    /// <summary>
    /// Whether parameters are declared without initial values: for a model that is made to know its shapes, not to run.
    /// </summary>
    public bool SkipInitialValues { get; init; }

    /// <summary>Whether the model trains: batch statistics are learned, dropout is on. A frozen model thaws when it is set.</summary>
    public bool Training
    {
        get;
        set
        {
            field = value;
            if (value) Thaw();
        }
    }

    /// <summary>Whether <see cref="Freeze"/> was called and <see cref="Thaw"/> was not.</summary>
    public bool IsFrozen { get; private set; }

    /// <summary>
    /// The number of the training step; the training loop sets it. A layer's random numbers follow from <see cref="Seed"/>, its own name
    /// and this number.
    /// </summary>
    public long Step { get; set; }

    /// <summary>The seed of the initial values and of the layers' random numbers.</summary>
    public ulong Seed => seed;

    /// <summary>The random numbers of a layer at this training step: a stream of its own for each (seed, name, step).</summary>
    /// <param name="name">The layer's place and what the numbers are for.</param>
    /// <returns>The stream, at its start.</returns>
    public RandomStream Random(string name)
    {
        RandomStream stream = new(Seed, "");
        Restart(stream, name);
        return stream;
    }

    /// <summary>As <see cref="Random"/>, with a stream that is there already: a layer that keeps one allocates nothing.</summary>
    /// <param name="stream">Begins with the numbers of this step.</param>
    /// <param name="name">The layer's place and what the numbers are for.</param>
    public void Restart(RandomStream stream, string name)
    {
        Span<char> key = stackalloc char[name.Length + 21]; // a point and the longest number
        name.CopyTo(key);
        key[name.Length] = '.';
        Step.TryFormat(key[(name.Length + 1)..], out int digits, provider: CultureInfo.InvariantCulture);
        stream.Restart(Seed, key[..(name.Length + 1 + digits)]);
    }

    /// <summary>The trainable parameters.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Parameters => _order.Where(e => e.Trainable).Select(e => (e.Name, e.Tensor));

    /// <summary>The trainable parameters and the buffers, such as running statistics.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> All => _order.Select(e => (e.Name, e.Tensor));

    /// <summary>The number of trainable numbers.</summary>
    public long ParameterCount { get; private set; }

    /// <summary>The tensor of this name, or of this second name (see <see cref="Scope.Alias"/>).</summary>
    /// <param name="name">Its full name.</param>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public Tensor this[string name] => Find(name)?.Tensor ?? throw new KeyNotFoundException($"No parameter '{name}' in this model.");

    /// <summary>Whether there is a tensor of this name, or of this second name.</summary>
    /// <param name="name">Its full name.</param>
    /// <returns>True if there is.</returns>
    public bool Contains(string name) => Find(name) is not null;

    /// <summary>Forgets all gradients.</summary>
    public void ZeroGrad()
    {
        foreach (Entry entry in _order) entry.Tensor.ZeroGrad();
    }

    /// <summary>
    /// Declares that the values do not change, for inference. Kernels cache packed weights, and linear layers are folded into one. From
    /// then on any number of threads may run the model. Until <see cref="Thaw"/> values must not be written.
    /// </summary>
    public void Freeze()
    {
        Training = false;
        if (IsFrozen) return;
        foreach (Entry entry in _order) entry.Tensor.Freeze(entry.Inputs);
        IsFrozen = true;
    }

    /// <summary>Ends <see cref="Freeze"/>: values may change again. Loading weights and training do so by themselves.</summary>
    /// <exception cref="InvalidOperationException">Weights are stored in fewer bits, see <see cref="Store"/>.</exception>
    public void Thaw()
    {
        ThrowIfStored();
        if (!IsFrozen) return;
        foreach (Entry entry in _order) entry.Tensor.Thaw();
        IsFrozen = false;
    }

    /// <summary>Takes the values of a file of weights: safetensors, or a state_dict that PyTorch saved.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>What was loaded, and which prefix of the names was dropped or added.</returns>
    /// <exception cref="CheckpointException">
    /// Names are missing, unexpected or misshapen: the message lists them, and nothing was loaded.
    /// </exception>
    public LoadReport Load(WeightFile file) => Load(file, CancellationToken.None);

    /// <summary>As <see cref="Load(WeightFile)"/>; weights of a mapped file stay in it.</summary>
    /// <param name="file">The open file.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    /// <returns>What was loaded, and which prefix of the names was dropped or added.</returns>
    /// <exception cref="CheckpointException">
    /// Names are missing, unexpected or misshapen: the message lists them, and nothing was loaded.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public LoadReport Load(WeightFile file, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(file);
        _mapped = null;
        return Load(file.Names, file.Shape, file.Path, file.HasSame, match =>
        {
            cancellation.ThrowIfCancellationRequested();
            if (match.Refit is null && file.TryShare(match.Name, match.Entry.Tensor)) _mapped = match.Entry.Tensor.MappedFile;
            else match.Take(file.ReadFloats);
        });
    }

    /// <summary>Throws where the weights are in a file that has become shorter: reading them would end the process.</summary>
    /// <exception cref="CheckpointException">The file was cut.</exception>
    public void ThrowIfCut()
    {
        if (_mapped is { IsWhole: false })
            throw new CheckpointException("The file of the mapped weights was cut; load the model again from a whole file.");
    }

    /// <summary>
    /// Takes the values of a state_dict. A prefix that all names share and the model lacks is dropped, such as <c>module.</c>
    /// (DataParallel) or <c>_orig_mod.</c> (torch.compile). A prefix that the model's names share and the file lacks is added. Counters
    /// that are no weights are ignored: <c>num_batches_tracked</c>, and <c>total_ops</c> and <c>total_params</c> of a profiler. So are
    /// places that the model goes without (see <see cref="Scope.LeaveOut"/>). A tensor may have its own name, a second one (see
    /// <see cref="Scope.Alias"/>), or both: then both have the same numbers, or the file is refused.
    /// </summary>
    /// <param name="names">The names there are.</param>
    /// <param name="shape">The shape of a name.</param>
    /// <param name="read">Writes the values of a name.</param>
    /// <param name="source">What to call the source in errors: a file name.</param>
    /// <returns>What was loaded, and which prefix of the names was dropped or added.</returns>
    /// <exception cref="CheckpointException">
    /// Names are missing, unexpected or misshapen: the message lists them, and nothing was loaded.
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
    /// Takes what fits of a file of weights, to start training from; the rest keeps its initial values, such as another model's head.
    /// </summary>
    /// <param name="file">The open file.</param>
    /// <returns>What was loaded and what was not.</returns>
    /// <exception cref="CheckpointException">Nothing fits.</exception>
    public LoadReport LoadMatching(WeightFile file)
    {
        (List<Match> matches, LoadReport report) = MatchAll(file.Names, file.Shape);
        if (matches.Count == 0) throw new CheckpointException($"{file.Path}: no tensor fits the model; {report}");
        RequireSame(matches, file.Path, file.HasSame);
        Thaw();
        foreach (Match match in matches) match.Take(file.ReadFloats);
        return report;
    }

    /// <summary>Which of a file's names <see cref="Load(WeightFile)"/> takes for each tensor, whatever their shapes.</summary>
    /// <param name="names">The names there are.</param>
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

    /// <summary>The place of a name that a file may have and the model goes without; null for other names.</summary>
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

    /// <summary>What is left out, given the place of each tensor of it.</summary>
    private static string InWords(List<string> places) => places.Count == 0 ? ""
        : $"left out {places.Count} tensors that the model goes without: {string.Join(", ", places.Distinct().Select(p => p + "*"))}";

    private static bool IsCounter(string name) =>
        name[(name.LastIndexOf('.') + 1)..] is "num_batches_tracked" or "total_ops" or "total_params";

    /// <summary>Initializes again by a rule of the whole model, as PyTorch's <c>apply(init_weights)</c> does.</summary>
    /// <param name="rule">The initialization of a trainable parameter by name and shape; null leaves it as it is.</param>
    public void Reinitialize(Func<string, Shape, Initializer?> rule)
    {
        Thaw();
        if (SkipInitialValues) return;
        foreach (Entry entry in _order)
            if (entry.Trainable && rule(entry.Name, entry.Tensor.Shape) is { } initializer)
                initializer(entry.Tensor.Span, new RandomStream(seed, entry.Name));
    }

    /// <summary>Keeps parameters as they are in training: they get no gradient, and optimizers that are made later do not see
    /// them.</summary>
    /// <param name="names">Which, by name.</param>
    /// <returns>The number of values that are kept.</returns>
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
        // Both together keep second names from leading round in a circle.
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

    /// <summary>
    /// The parameter or buffer of a name, its own or a second one. A second name leads to the original place, or to another second name.
    /// </summary>
    private Entry? Find(string name)
    {
        if (_entries.TryGetValue(name, out Entry? entry)) return entry;
        foreach ((string place, string original) in _aliases)
            if (name.StartsWith(place, StringComparison.Ordinal) && Find(original + name[place.Length..]) is { } found) return found;
        return null;
    }

    internal void LeaveOut(string place) => _leftOut.Add(place + ".");

    internal void SetRefits(string name, Func<int[], Refit?> refits) => _entries[name].Refits = refits;

    /// <summary>A tensor of a file and the entry that takes it, as it is or refitted.</summary>
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

        /// <summary>How other shapes are taken.</summary>
        public Func<int[], Refit?>? Refits { get; set; }

        /// <summary>How what the weight is multiplied by is rounded while it is frozen; null for not at all.</summary>
        public InputQuantization? Inputs { get; set; }
    }
}

/// <summary>
/// A place in the tree of a model's parameters: <c>scope / "in_proj"</c> is the place below, and names join with dots as in PyTorch.
/// </summary>
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
    public Tensor Parameter(string name, Initializer initializer, params ReadOnlySpan<int> shape) =>
        Store.Add(Name(name), initializer, trainable: true, shape);

    /// <summary>Declares a buffer: saved and loaded, not trained.</summary>
    /// <inheritdoc cref="Parameter"/>
    public Tensor Buffer(string name, Initializer initializer, params ReadOnlySpan<int> shape) =>
        Store.Add(Name(name), initializer, trainable: false, shape);

    /// <summary>Lets a parameter take values of other shapes when weights are loaded: a table that is resampled, say.</summary>
    /// <param name="name">The parameter's name in this place; it is declared.</param>
    /// <param name="refits">
    /// How values of a shape are taken; null if they are not, and the shape is reported as one that does not fit.
    /// </param>
    public void Refit(string name, Func<int[], Refit?> refits) => Store.SetRefits(Name(name), refits);

    /// <summary>The channels of the layer in this place: its own, or those that <see cref="ParameterStore.Widths"/> has for it.</summary>
    /// <param name="own">The channels of a model that was not pruned.</param>
    /// <returns>At least 1.</returns>
    /// <exception cref="ArgumentException">The width that is given is below 1.</exception>
    public int Width(int own) => Store.Width(Path, own);

    /// <summary>
    /// Says that weight files may have tensors in a place which this model goes without, such as a head for training alone. Loading leaves
    /// them out, and <see cref="LoadReport.LeftOut"/> says so.
    /// </summary>
    /// <param name="name">The place's name in this one.</param>
    public void LeaveOut(string name) => Store.LeaveOut(Name(name));

    /// <summary>
    /// Gives a place a second name. PyTorch lists a module that two others hold under both names; here it is stored and trained once, and
    /// found and loaded under either.
    /// </summary>
    /// <param name="name">The second name, in this place.</param>
    /// <param name="original">The place itself.</param>
    /// <exception cref="ArgumentException">The place holds no parameters yet, or one of that name does.</exception>
    public void Alias(string name, Scope original) => Store.Alias(Name(name), original.Path);

    private string Name(string name) => Path.Length == 0 ? name : $"{Path}.{name}";
}
