using System.Text.Json;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// Weights in several files, with an index in Hugging Face's format: <c>model.safetensors.index.json</c> or
/// <c>pytorch_model.bin.index.json</c>, whose <c>weight_map</c> names the file of each tensor. The files are in the folder of the index.
/// </summary>
public sealed class ShardedWeightFile : WeightFile
{
    /// <summary>The file name extension of an index.</summary>
    internal const string Extension = ".index.json";

    /// <summary>The largest number of shards of an index.</summary>
    public const int MaxShards = 1000;

    /// <summary>The largest accepted index.</summary>
    public const int MaxIndexBytes = 16 << 20;

    private readonly Dictionary<string, WeightFile> _shards = [];

    private ShardedWeightFile(string path, Stream stream)
        : base(path, stream)
    {
        try
        {
            foreach ((string name, string file) in WeightMap(stream))
            {
                if (!_shards.TryGetValue(file, out WeightFile? shard))
                {
                    if (_shards.Count == MaxShards) throw Bad($"more than {MaxShards} shards");
                    _shards.Add(file, shard = Open(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(path) ?? "", file)));
                }
                if (!shard.Contains(name)) throw Bad($"tensor '{name}' is not in '{file}', where the index places it");
                if (!TryAdd(name, Share(shard, name))) throw Bad($"tensor '{name}' is there twice in the index");
            }
        }
        catch
        {
            foreach (WeightFile shard in _shards.Values) shard.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override string Form => $"{_shards.Count} shards of {_shards.Values.FirstOrDefault()?.Form ?? "weights"}";

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (WeightFile shard in _shards.Values) shard.Dispose();
        base.Dispose();
    }

    internal static ShardedWeightFile Read(string path, Stream stream) => new(path, stream);

    private List<(string Name, string File)> WeightMap(Stream stream)
    {
        if (stream.Length > MaxIndexBytes) throw Bad($"an index of {stream.Length} bytes; at most {MaxIndexBytes} are accepted");
        try
        {
            using JsonDocument json = JsonDocument.Parse(stream, new JsonDocumentOptions { MaxDepth = 8 });
            List<(string, string)> map = [];
            foreach (JsonProperty entry in json.RootElement.GetProperty("weight_map").EnumerateObject())
            {
                string file = entry.Value.GetString() ?? "";
                // Only a plain file name in the index's folder: an index must not refer to other folders, nor to another index.
                if (file is "" or "." or ".." || file.AsSpan().IndexOfAny("/\\:\0") >= 0
                    || file.EndsWith(Extension, StringComparison.Ordinal))
                    throw Bad($"'{file}' is no name of a shard beside the index");
                map.Add((entry.Name, file));
            }
            return map;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw Bad("not an index of shards: expected a JSON object with 'weight_map', the file of each tensor");
        }
    }
}
