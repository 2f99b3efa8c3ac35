using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Language;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba generate</c>: a language model continues a text.</summary>
internal static class GenerateCommand
{
    private const int DefaultTokens = 100;

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string> weights =
            new("--weights") { Description = "Folder of a language model.", HelpName = "DIR", Required = true };
        Option<string> prompt = new("--prompt") { Description = "Text to continue.", HelpName = "TEXT", Required = true };
        Option<int?> tokens = Options.Integer("--tokens", "Tokens to generate at most.", $"{DefaultTokens}", 1);
        Option<double?> temperature = Options.Number(
            "--temperature", "Divides the logits; 0 is greedy.", "0; 1 with --top-k or --top-p", orZero: true);
        Option<int?> topK = Options.Integer("--top-k", "Choose among the K most probable.", "all", 1);
        Option<double?> topP = Options.Share("--top-p", "Choose among tokens of this probability.", "1");
        Option<double?> penalty = Options.Number("--repetition-penalty", "Makes earlier tokens less probable.", "1");
        Option<ulong?> seed = Options.Seed();
        Option<WeightsAs?> format = Options.Choice<WeightsAs>("--weights-as", "How weights are kept in memory.", "float32");
        Option<bool> json = Options.Json();
        Option<int?> threads = Options.Threads();
        Command command = new(
            "generate",
            "Continue a text with a language model.\n" +
            "The folder has config.json, weights and tokenizer.json as published for state-spaces/mamba or its -hf copies; " +
            "a model of 256 tokens reads bytes. Generation ends early where the model ends the text. " +
            "Greedy unless a temperature, --top-k or --top-p is given.\n\n" +
            "Example: mamba generate --weights mamba-130m-hf --prompt \"The capital of France is\" --tokens 20")
        {
            weights, prompt, tokens, temperature, topK, topP, penalty, seed, format, json, threads,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            double? divisor = parsed.GetValue(temperature), share = parsed.GetValue(topP);
            int? most = parsed.GetValue(topK);
            if (share == 0) throw new ArgumentException("--top-p is 0; expected a number above 0, up to 1");
            SamplingOptions options = new()
            {
                Temperature = divisor ?? (most is null && share is null ? 0 : 1),
                TopK = most ?? 0,
                TopP = share ?? 1,
                RepetitionPenalty = parsed.GetValue(penalty) ?? 1,
                Seed = parsed.GetValue(seed) ?? 0,
            };
            Request request = new(
                parsed.GetRequiredValue(weights), parsed.GetRequiredValue(prompt), parsed.GetValue(tokens) ?? DefaultTokens, options,
                parsed.GetValue(format) ?? WeightsAs.Float32, parsed.GetValue(json));
            return Run(terminal, request, stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, Request request, CancellationToken stop)
    {
        if (request.Prompt.Length == 0) throw new ArgumentException("--prompt is empty; expected a text to continue");
        (string name, LanguageModel model) = LanguageFolder.Load(request.Weights, stop);
        using LanguageModel _ = model;
        TextTokenizer tokenizer = LanguageFolder.Tokenizer(request.Weights, model);
        model.Store(Format(request.As));
        int[] prompt = tokenizer.Encode(request.Prompt);
        if (prompt.Length > model.LongestSequence)
            throw new ArgumentException(
                $"--prompt has {prompt.Length} tokens; {name} in '{request.Weights}' reads at most {model.LongestSequence}");
        TokenGenerator generator = new(model, request.Options, tokenizer);
        TextStream text = new(request.Json ? null : terminal.Out);
        List<int> tokens = new(Math.Min(request.Tokens, 1 << 20));

        long start = Stopwatch.GetTimestamp();
        int token = generator.Read(prompt, stop);
        double promptSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        start = Stopwatch.GetTimestamp();
        while (!tokenizer.IsEnd(token))
        {
            tokens.Add(token);
            text.Write(tokenizer.BytesOf(token));
            if (tokens.Count == request.Tokens || generator.IsFull) break;
            stop.ThrowIfCancellationRequested();
            token = generator.Next();
        }
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        text.Finish();
        bool ended = tokenizer.IsEnd(token), full = !ended && tokens.Count < request.Tokens;
        int steps = ended ? tokens.Count : tokens.Count - 1; // the prompt gives the first token
        double? rate = steps > 0 && seconds > 0 ? steps / seconds : null;
        if (request.Json)
        {
            GenerateDocument document = new(
                name, request.Prompt, text.Text, prompt, [.. tokens], ended ? "end" : full ? "positions" : "length", Workers.Count)
            {
                WeightsAs = RunArguments.Name(request.As),
                PromptSeconds = promptSeconds,
                Seconds = seconds,
                TokensPerSecond = rate,
            };
            JsonReport.Write(terminal.Out, document, ReportJson.Default.GenerateDocument);
            return ExitCode.Success;
        }
        terminal.Out.WriteLine();
        terminal.Error.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name}: prompt of {prompt.Length} tokens in {promptSeconds:F2} s; {tokens.Count} tokens, {rate ?? 0:F1} tokens/s"
            + $"{(full ? $"; ended at the model's {model.LongestSequence} positions" : "")}"));
        return ExitCode.Success;
    }

    private static WeightFormat Format(WeightsAs format) => format switch
    {
        WeightsAs.Fp16 => WeightFormat.Float16,
        WeightsAs.Int8 => WeightFormat.Int8,
        _ => WeightFormat.Float32,
    };

    /// <summary>The words of --weights-as.</summary>
    private enum WeightsAs
    {
        Float32,
        Fp16,
        Int8,
    }

    private sealed record Request(
        string Weights, string Prompt, int Tokens, SamplingOptions Options, WeightsAs As, bool Json);

    /// <summary>Text that comes as bytes: characters are written when they are whole, and none that could steer the terminal.</summary>
    private sealed class TextStream(TextWriter? output)
    {
        private readonly Decoder _decoder = new UTF8Encoding().GetDecoder();
        private readonly StringBuilder _text = new();
        private char[] _characters = new char[256];

        public string Text => _text.ToString();

        public void Write(ReadOnlySpan<byte> bytes) => Write(bytes, flush: false);

        public void Finish() => Write([], flush: true);

        private void Write(ReadOnlySpan<byte> bytes, bool flush)
        {
            if (bytes.Length + 2 > _characters.Length) _characters = new char[2 * bytes.Length + 2];
            Span<char> characters = _characters.AsSpan(0, _decoder.GetChars(bytes, _characters, flush));
            if (output is null)
            {
                _text.Append(characters);
                return;
            }
            foreach (ref char c in characters)
                if (char.IsControl(c) && c is not ('\n' or '\t')) c = '?';
            output.Write(characters);
            output.Flush();
        }
    }
}
