using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Verification;

/// <summary>Something that was asked for was computed, and is wrong by more than numbers: its message says what.</summary>
internal sealed class FailedCaseException(string message) : Exception(message);

/// <summary>A case asks for something that is not implemented: its message says what.</summary>
internal class UnsupportedCaseException(string message) : Exception(message);

/// <summary>There is no such operator yet.</summary>
internal sealed class UnsupportedOperatorException(string name) : UnsupportedCaseException($"unknown operator '{name}'");

/// <summary>
/// The inputs and attributes of an operator's golden file, handed out by name. What nobody asked for is remembered, so that an option which
/// an operator does not know fails its case instead of being passed over.
/// </summary>
internal sealed class GoldenCase
{
    private const string InputPrefix = "in.", GradientPrefix = "grad.";
    private readonly SafetensorsFile _file;
    private readonly Dictionary<string, Tensor> _inputs = [];
    private readonly HashSet<string> _readAttributes = [];
    private readonly JsonElement _attributes;

    /// <summary>Reads the metadata.</summary>
    /// <exception cref="CheckpointException">Operator, case or attributes are missing or malformed.</exception>
    public GoldenCase(SafetensorsFile file)
    {
        _file = file;
        Operator = Metadata("op");
        Name = Metadata("case");
        try
        {
            using JsonDocument attributes = JsonDocument.Parse(Metadata("attrs"));
            _attributes = attributes.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{file.Path}: attrs: {e.Message}", e);
        }
        if (_attributes.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{file.Path}: attrs is no JSON object");
        if (!file.Metadata.TryGetValue("tolerance", out string? tolerance)) return;
        try
        {
            using JsonDocument both = JsonDocument.Parse(tolerance);
            Tolerance = (Allowed(both.RootElement, "out"), Allowed(both.RootElement, "grad"));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new CheckpointException($"{file.Path}: tolerance: expected {{\"out\": number, \"grad\": number}}", e);
        }
    }

    /// <summary>The operator's name.</summary>
    public string Operator { get; }

    /// <summary>The case's name.</summary>
    public string Name { get; }

    /// <summary>
    /// The largest error allowed of an output and of a gradient, relative to the largest magnitude expected; null where the file names
    /// none.
    /// </summary>
    public (double Output, double Gradient)? Tolerance { get; }

    /// <summary>The inputs read so far for which the file gives a gradient.</summary>
    public IEnumerable<(string Name, Tensor Input)> Differentiated =>
        _inputs.Where(i => i.Value.RequiresGrad).Select(i => (i.Key, i.Value));

    /// <summary>Whether there is an input of this name.</summary>
    public bool Has(string name) => _file.Contains(InputPrefix + name);

    /// <summary>An input in PyTorch's layout; a leaf if the file gives its gradient.</summary>
    /// <exception cref="UnsupportedCaseException">There is none: the operator is not built for what the file does without.</exception>
    public Tensor In(string name)
    {
        if (_inputs.TryGetValue(name, out Tensor known)) return known;
        if (!Has(name)) throw new UnsupportedCaseException($"{Operator}: without input '{name}'");
        Tensor input = Tensor(InputPrefix + name);
        input.RequiresGrad = _file.Contains(GradientPrefix + name);
        return _inputs[name] = input;
    }

    /// <summary>Makes a parameter of a module an input of the case: gives it the file's values.</summary>
    /// <exception cref="UnsupportedCaseException">There is no such input.</exception>
    /// <exception cref="FailedCaseException">Its shape differs.</exception>
    public void Load(string name, Tensor parameter)
    {
        Tensor values = In(name);
        if (values.Shape != parameter.Shape)
            throw new FailedCaseException($"{Operator}: {name} is {values.Shape}, expected {parameter.Shape}");
        values.Span.CopyTo(parameter.Span);
        parameter.RequiresGrad = values.RequiresGrad;
        _inputs[name] = parameter;
    }

    /// <summary>An input, or null where the file has none.</summary>
    public Tensor? Optional(string name) => Has(name) ? In(name) : null;

    /// <summary>Any tensor of the file.</summary>
    public Tensor Tensor(string name) => Core.Tensor.From(_file.ReadFloats(name), _file.Shape(name));

    /// <summary>An attribute that is a whole number, or two equal ones.</summary>
    public int Int(string name, int? otherwise = null)
    {
        if (Attribute(name) is not { } value) return otherwise ?? throw Missing(name);
        (int first, int second) = Pair(name, value);
        return first == second ? first : throw Unknown(name, value);
    }

    /// <summary>An attribute that is a whole number, which stands for two equal ones, or a pair; null where there is none.</summary>
    public (int First, int Second)? Pair(string name) => Attribute(name) is { } value ? Pair(name, value) : null;

    /// <summary>An attribute that is a number.</summary>
    public float Float(string name, float otherwise) => Attribute(name) is not { } value ? otherwise
        : value.ValueKind == JsonValueKind.Number && value.TryGetSingle(out float number) ? number
        : throw Unknown(name, value);

    /// <summary>An attribute that is a number; null where there is none.</summary>
    public float? Number(string name) => Attribute(name) is null ? null : Float(name, 0f);

    /// <summary>An attribute that is a list of whole numbers; empty where there is none.</summary>
    public int[] Integers(string name)
    {
        if (Attribute(name) is not { } value) return [];
        bool whole = value.ValueKind == JsonValueKind.Array
            && value.EnumerateArray().All(v => v.ValueKind == JsonValueKind.Number && v.TryGetInt32(out _));
        return whole ? [.. value.EnumerateArray().Select(v => v.GetInt32())] : throw Unknown(name, value);
    }

    /// <summary>An attribute that is a list of numbers; null where there is none.</summary>
    public double[]? Numbers(string name)
    {
        if (Attribute(name) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(e =>
            e.ValueKind != JsonValueKind.Number)) throw Unknown(name, value);
        return [.. value.EnumerateArray().Select(e => e.GetDouble())];
    }

    /// <summary>An attribute that is true or false.</summary>
    public bool Bool(string name, bool otherwise = false) => Attribute(name) is not { } value ? otherwise
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Unknown(name, value);

    /// <summary>An attribute that is text; null where there is none.</summary>
    public string? Text(string name) => Attribute(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw Unknown(name, value);

    /// <summary>An attribute that, if given, must have the one value which is implemented.</summary>
    public void Only(string name, string json)
    {
        if (Attribute(name) is { } value && value.GetRawText() != json) throw Unknown(name, value);
    }

    /// <summary>The first of the names that the case's name starts with, the longest ones tried first.</summary>
    public string StartOfName(IEnumerable<string> names) =>
        names.OrderByDescending(n => n.Length).FirstOrDefault(n => Name.StartsWith(n, StringComparison.Ordinal))
        ?? throw new UnsupportedCaseException($"unknown {Operator} '{Name}'");

    /// <summary>Fails the case if it has an input or an attribute that the operator did not read.</summary>
    public void RequireAllRead()
    {
        foreach (JsonProperty attribute in _attributes.EnumerateObject())
            if (!_readAttributes.Contains(attribute.Name))
                throw new UnsupportedCaseException($"{Operator}: unknown attribute '{attribute.Name}'");
        foreach (string tensor in _file.Names)
            if (tensor.StartsWith(InputPrefix, StringComparison.Ordinal) && !_inputs.ContainsKey(tensor[InputPrefix.Length..]))
                throw new UnsupportedCaseException($"{Operator}: unknown input '{tensor}'");
    }

    /// <summary>A tolerance of the file; one that would let anything pass is refused.</summary>
    private double Allowed(JsonElement both, string name)
    {
        double allowed = both.GetProperty(name).GetDouble();
        return allowed is > 0 and <= 1e-3
            ? allowed
            : throw new CheckpointException($"{_file.Path}: tolerance {name} = {allowed}: expected more than 0 and at most 1e-3");
    }

    private string Metadata(string key) => _file.Metadata.TryGetValue(key, out string? value)
        ? value
        : throw new CheckpointException($"{_file.Path}: __metadata__ lacks '{key}': no golden file of an operator");

    private JsonElement? Attribute(string name)
    {
        _readAttributes.Add(name);
        return _attributes.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private (int First, int Second) Pair(string name, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int both)) return (both, both);
        return value.ValueKind == JsonValueKind.Array && value.GetArrayLength() is 1 or 2
            && value[0].ValueKind == JsonValueKind.Number && value[0].TryGetInt32(out int first)
            && value[value.GetArrayLength() - 1].ValueKind == JsonValueKind.Number
                && value[value.GetArrayLength() - 1].TryGetInt32(out int second)
            ? (first, second)
            : throw Unknown(name, value);
    }

    private UnsupportedCaseException Missing(string name) => new($"{Operator}: attribute '{name}' is missing");

    private UnsupportedCaseException Unknown(string name, JsonElement value) =>
        new($"{Operator}: {name} = {value.GetRawText()} is not supported");
}
