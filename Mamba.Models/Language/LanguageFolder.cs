using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;

namespace Mamba.Models.Language;

/// <summary>
/// A language model in a folder, as published: config.json, weights, and tokenizer.json where there is one. Weights are safetensors or a
/// state_dict of PyTorch, whole or in shards.
/// </summary>
public static class LanguageFolder
{
    private const string ConfigName = "config.json";
    private const string WeightsName = "model.safetensors";
    private const string TokenizerName = "tokenizer.json";

    // The first that is there is taken.
    private static readonly string[] s_weights =
        ["model.safetensors.index.json", "pytorch_model.bin.index.json", WeightsName, "pytorch_model.bin"];

    /// <summary>Loads a model, frozen for inference.</summary>
    /// <param name="folder">The folder, or a file of weights in it.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    /// <returns>The model's name in the <see cref="LanguageRegistry"/>, and the model.</returns>
    /// <exception cref="CheckpointException">
    /// A file is missing, malformed, describes a model that is not here, or does not fit the configuration.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static (string Name, LanguageModel Model) Load(string folder, CancellationToken cancellation = default)
    {
        string weights = File.Exists(folder) ? folder : FindWeights(folder);
        string configuration = Path.Combine(Path.GetDirectoryName(weights) ?? "", ConfigName);
        (string name, LanguageModelConfig config) = LanguageConfigFile.Read(configuration);
        using WeightFile file = WeightFile.Open(weights);
        LanguageModel model;
        try
        {
            // What a file describes has no more numbers than the file, so that a hostile configuration takes no memory.
            ParameterStore store = new() { SkipInitialValues = true, MaxCount = file.Names.Sum(n => (long)file.Count(n)) };
            model = LanguageRegistry.Find(name).Build(new Scope(store), config);
        }
        catch (ArgumentException e)
        {
            throw new CheckpointException($"{configuration}: does not fit {weights}: {e.Message}", e);
        }
        try
        {
            model.Parameters.Load(file, cancellation);
        }
        catch
        {
            model.Dispose();
            throw;
        }
        model.Parameters.Freeze();
        return (name, model);
    }

    /// <summary>Writes config.json and model.safetensors, which <see cref="Load"/> reads.</summary>
    /// <param name="folder">The folder; it is made.</param>
    /// <param name="name">The model's name in the <see cref="LanguageRegistry"/>.</param>
    /// <param name="model">The model.</param>
    /// <param name="cancellation">Gives up; files that were there stay as they are.</param>
    /// <exception cref="ArgumentException">There is no such model.</exception>
    /// <exception cref="CheckpointException">A file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static void Save(string folder, string name, LanguageModel model, CancellationToken cancellation = default)
    {
        _ = LanguageRegistry.Find(name);
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{folder}: cannot be made: {e.Message}", e);
        }
        Safetensors.Write(
            Path.Combine(folder, WeightsName), model.Parameters.All, new Dictionary<string, string> { ["model"] = name }, cancellation);
        LanguageConfigFile.Write(Path.Combine(folder, ConfigName), name, model.Config);
    }

    /// <summary>
    /// The tokenizer of a folder: its tokenizer.json; without one, bytes for a vocabulary of about as many. What ends a text is the
    /// eos_token_id of generation_config.json or config.json, else the eos_token of tokenizer_config.json, else
    /// <c>&lt;|endoftext|></c>.
    /// </summary>
    /// <param name="folder">The folder, or a file of weights in it.</param>
    /// <param name="model">The model.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="CheckpointException">
    /// There is no tokenizer.json and the vocabulary is not of bytes; or a file is malformed, names a step that is not built, or a token
    /// that the model does not have.
    /// </exception>
    public static TextTokenizer Tokenizer(string folder, LanguageModel model)
    {
        string beside = File.Exists(folder) ? Path.GetDirectoryName(folder) ?? "" : folder;
        string path = Path.Combine(beside, TokenizerName);
        int vocabulary = model.Config.Vocabulary;
        IReadOnlyList<int>? ends = TokenizerSettings.Ends(beside, vocabulary);
        if (File.Exists(path))
        {
            BpeTokens tokens = BpeTokens.Open(path, file => TokenizerSettings.Check(beside, file, ends));
            return tokens.Vocabulary <= vocabulary ? tokens
                : throw new CheckpointException(
                    $"{path}: its last token is number {tokens.Vocabulary - 1}, and the model has a vocabulary of {vocabulary}; it is the "
                    + "tokenizer of another model");
        }
        return vocabulary is >= ByteTokens.Count and < 2 * ByteTokens.Count ? new ByteTokens(ends ?? [])
            : throw new CheckpointException(
                $"{path}: no such file, and a vocabulary of {vocabulary} is not one of bytes; put the model's {TokenizerName} there "
                + "(GPT-NeoX's for state-spaces/mamba)");
    }

    private static string FindWeights(string folder)
    {
        if (!Directory.Exists(folder)) throw new CheckpointException($"{folder}: no such folder");
        try
        {
            if (s_weights.Select(n => Path.Combine(folder, n)).FirstOrDefault(File.Exists) is { } known) return known;
            string[] files =
                [.. Directory.EnumerateFiles(folder).Where(f => Path.GetExtension(f) is ".safetensors" or ".bin" or ".pt" or ".pth")];
            string found = files.Length == 0 ? "no weights" : $"{files.Length} files of weights; name one of them";
            return files.Length == 1 ? files[0]
                : throw new CheckpointException(
                    $"{folder}: {found}; expected {WeightsName} or pytorch_model.bin, or an index of shards");
        }
        catch (Exception e) when (e is (IOException and not CheckpointException) or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{folder}: cannot be read: {e.Message}", e);
        }
    }
}
