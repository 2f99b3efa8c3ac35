using System.Text.Json;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Language;

/// <summary>What the files beside tokenizer.json say about tokens.</summary>
internal static class TokenizerSettings
{
    private const int MaxBytes = 4 << 20;
    private const string SettingsName = "tokenizer_config.json";

    /// <summary>The eos_token_id of generation_config.json, which counts, or of config.json; null if neither has one.</summary>
    public static IReadOnlyList<int>? Ends(string folder, int vocabulary)
    {
        foreach (string name in new[] { "generation_config.json", "config.json" })
            if (Path.Combine(folder, name) is var path && File.Exists(path)
                && ModelJson.Read(path, MaxBytes, null, json => Numbers(json, vocabulary)) is { } ends) return ends;
        return null;
    }

    /// <summary>Reads tokenizer_config.json, if there is one, and refuses steps in it that are not built.</summary>
    /// <returns>What ends a text: as given; else its eos_token; else null.</returns>
    /// <exception cref="CheckpointException">It is malformed, or has such a step.</exception>
    public static IReadOnlyList<int>? Check(string folder, TokenizerFile tokens, IReadOnlyList<int>? ends)
    {
        string path = Path.Combine(folder, SettingsName);
        if (!File.Exists(path)) return ends;
        return ModelJson.Read(path, MaxBytes, null, json =>
        {
            foreach (string flag in new[] { "add_prefix_space", "add_bos_token", "add_eos_token" }) json.Expect(flag, false);
            foreach (JsonProperty token in json.Value("added_tokens_decoder")?.EnumerateObject().ToArray() ?? [])
                if (new JsonFields(token.Value, $"added_tokens_decoder.{token.Name}").Text("content") is { } text
                    && $"{tokens.Added.Find(t => t.Text == text)?.Id}" != token.Name)
                    throw new FormatException($"'added_tokens_decoder.{token.Name}' is '{text}', which tokenizer.json does not have there");
            if (ends is not null || End(json) is not { } end) return ends;
            return [tokens.Find(end) ?? throw new FormatException($"'eos_token' is '{end}', which is no token of tokenizer.json")];
        });
    }

    private static int[]? Numbers(JsonFields json, int vocabulary)
    {
        if (json.Value("eos_token_id") is not { } value) return null;
        JsonElement[] list = value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : [value];
        return Array.ConvertAll(list, v => v.ValueKind == JsonValueKind.Number && v.TryGetInt32(out int id) && id >= 0 && id < vocabulary
            ? id : throw new FormatException($"'eos_token_id' is {v.GetRawText()}, expected a token from 0 to {vocabulary - 1}"));
    }

    /// <summary>The token that ends a text: its text, or an object with it.</summary>
    private static string? End(JsonFields json) =>
        json.Value("eos_token") is { ValueKind: JsonValueKind.Object } ? json.Below("eos_token")!.Text("content") : json.Text("eos_token");
}
