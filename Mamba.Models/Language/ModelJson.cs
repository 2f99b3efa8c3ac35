using System.Text.Json;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Language;

/// <summary>Reads a JSON file of a model's folder: as Python writes it, which has Infinity and NaN.</summary>
internal static class ModelJson
{
    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maxBytes">Longer ones are refused.</param>
    /// <param name="what">What a file is that <paramref name="read"/> refuses; null if its message says it.</param>
    /// <param name="read">Reads the object.</param>
    /// <exception cref="CheckpointException">It cannot be read, is not JSON, or was refused.</exception>
    public static T Read<T>(string path, int maxBytes, string? what, Func<JsonFields, T> read)
    {
        try
        {
            if (new FileInfo(path).Length is var length && length > maxBytes)
                throw new CheckpointException($"{path}: {length} bytes; expected at most {maxBytes}");
            using JsonDocument json = Parse(File.ReadAllBytes(path));
            return read(new JsonFields(json.RootElement));
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{path}: is not JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException or KeyNotFoundException or ArgumentException)
        {
            throw new CheckpointException(what is null ? $"{path}: {e.Message}" : $"{path}: is {what}: {e.Message}", e);
        }
        catch (Exception e) when (e is (IOException and not CheckpointException) or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    private static JsonDocument Parse(byte[] bytes)
    {
        JsonDocumentOptions options = new() { MaxDepth = 16 };
        try
        {
            return JsonDocument.Parse(bytes, options);
        }
        catch (JsonException) when (bytes.AsSpan().IndexOf("Infinity"u8) >= 0 || bytes.AsSpan().IndexOf("NaN"u8) >= 0)
        {
            return JsonDocument.Parse(Quoted(bytes), options);
        }
    }

    /// <summary>The same with the words for numbers that JSON lacks in quotation marks.</summary>
    private static byte[] Quoted(ReadOnlySpan<byte> json)
    {
        List<byte> quoted = new(json.Length + 64);
        bool text = false;
        for (int i = 0; i < json.Length; i++)
        {
            int word = text ? 0 : json[i..] switch
            {
                var rest when rest.StartsWith("-Infinity"u8) => 9,
                var rest when rest.StartsWith("Infinity"u8) => 8,
                var rest when rest.StartsWith("NaN"u8) => 3,
                _ => 0,
            };
            if (word > 0)
            {
                quoted.AddRange([(byte)'"', .. json.Slice(i, word), (byte)'"']);
                i += word - 1;
                continue;
            }
            quoted.Add(json[i]);
            if (json[i] == '"') text = !text;
            else if (text && json[i] == '\\' && i + 1 < json.Length) quoted.Add(json[++i]);
        }
        return [.. quoted];
    }
}
