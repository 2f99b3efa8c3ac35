using System.Globalization;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Models.Language;

namespace Mamba.Benchmarks;

/// <summary>
/// Tokens a second of a model of the shape of mamba-130m (24 layers of 768, a vocabulary of 50,280) with random weights. A token reads all
/// weights once, so memory bandwidth is the limit; it is measured beside each round of tokens. Versions take turns, since the speed of a
/// machine drifts.
/// </summary>
internal static class GenerationBench
{
    private const int Rounds = 7, TokensPerRound = 4;

    /// <summary>The lines of the table in Markdown.</summary>
    public static IEnumerable<string> Lines(int depth = 24)
    {
        LanguageModelConfig config = LanguageRegistry.Find("mamba-lm").Config with { Depth = depth };
        // Each has weights of its own, at places of its own: what one reads is in no cache for the next.
        using LanguageModel loops = Make(config), packed = Make(config), rows = Make(config), half = Make(config), bytes = Make(config);
        PlainMamba plain = new(loops);
        packed.Parameters.Freeze();
        rows.Store(WeightFormat.Float32);
        half.Store(WeightFormat.Float16);
        bytes.Store(WeightFormat.Int8);
        long parameters = rows.Parameters.ParameterCount;
        Version[] versions =
        [
            new("plain loop", 4, plain.Step), Steps("packed panels", 4, packed), Steps("float32 rows", 4, rows),
            Steps("fp16 rows", 2, half), Steps("int8 rows", 1, bytes),
        ];
        double[] bandwidths = new double[Rounds];
        foreach (Version version in versions) version.Measure(TokensPerRound); // warms up
        foreach (Version version in versions) version.Times.Clear();
        for (int round = 0; round < Rounds; round++)
        {
            bandwidths[round] = Roofline.ReadBandwidth(clock: Clock);
            foreach (Version version in versions) version.Measure(TokensPerRound);
        }
        double bandwidth = bandwidths.Max();
        yield return Text($"{Processor.Name}, {Isa.Current}, {Workers.Count} threads; {parameters:N0} parameters; ")
            + Text($"reading: {bandwidth:F1} GB/s, median {Median(bandwidths):F1}. ")
            + Text($"Best and median of {Rounds} rounds of {TokensPerRound} tokens.");
        yield return "";
        yield return "| weights | ms a token | median | tokens/s | GB/s | of the bandwidth | of float32 rows |";
        yield return "|---|---|---|---|---|---|---|";
        double reference = versions[2].Times.Min();
        foreach (Version version in versions)
        {
            double best = version.Times.Min(), rate = (double)parameters * version.Bytes / best / 1e9;
            yield return Text(
                $"| {version.Name} | {1e3 * best:F1} | {1e3 * Median([.. version.Times]):F1} | {1 / best:F1} | {rate:F1} | ")
                + Text($"{100 * rate / bandwidth:F0} % | {reference / best:F2} x |");
        }
    }

    /// <summary>
    /// Seconds of processor time a thread: other programs on the machine do not count, and waiting for a thread does.
    /// </summary>
    private static double Clock() => Environment.CpuUsage.TotalTime.TotalSeconds / Workers.Count;

    private static LanguageModel Make(LanguageModelConfig config) => LanguageRegistry.Find("mamba-lm").Create(config, seed: 1);

    private static Version Steps(string name, int bytes, LanguageModel model)
    {
        LanguageState state = model.NewState(1);
        Tensor token = Tensor.Full(17f, 1);
        return new(name, bytes, () =>
        {
            using MemoryScope scope = new();
            _ = model.Step(token, state);
        });
    }

    private static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>One way to make a token, and the seconds that it took.</summary>
    /// <param name="Name">What it is called.</param>
    /// <param name="Bytes">Bytes of a weight.</param>
    /// <param name="Token">Makes one token.</param>
    private sealed record Version(string Name, int Bytes, Action Token)
    {
        public List<double> Times { get; } = [];

        public void Measure(int tokens)
        {
            for (int i = 0; i < tokens; i++)
            {
                double start = Clock();
                Token();
                Times.Add(Clock() - start);
            }
        }
    }

    /// <summary>
    /// A step as mamba.c has it: plain loops over the weights as they are stored, the rows of each product on all threads, no vectors but
    /// what the compiler makes.
    /// </summary>
    private sealed class PlainMamba
    {
        private readonly ParameterStore _weights;
        private readonly int _width, _inner, _states, _taps, _rank, _depth, _vocabulary;
        private readonly float[] _x, _normed, _xz, _dtBc, _dt, _y, _out, _logits;
        private readonly float[][] _conv, _ssm;

        public PlainMamba(LanguageModel model)
        {
            LanguageModelConfig c = model.Config;
            _weights = model.Parameters;
            (_width, _inner, _states, _taps, _depth) = (c.Width, c.Expand * c.Width, c.States ?? 16, c.Taps, c.Depth);
            (_rank, _vocabulary) = ((c.Width + 15) / 16, c.PaddedVocabulary);
            (_x, _normed, _out) = (new float[_width], new float[_width], new float[_width]);
            (_xz, _y, _dt) = (new float[2 * _inner], new float[_inner], new float[_inner]);
            (_dtBc, _logits) = (new float[_rank + 2 * _states], new float[_vocabulary]);
            _conv = [.. Enumerable.Range(0, _depth).Select(_ => new float[_inner * _taps])];
            _ssm = [.. Enumerable.Range(0, _depth).Select(_ => new float[_inner * _states])];
        }

        public void Step()
        {
            _weights["backbone.embedding.weight"].Span.Slice(17 * _width, _width).CopyTo(_x);
            for (int layer = 0; layer < _depth; layer++)
            {
                string place = $"backbone.layers.{layer}.", mixer = place + "mixer.";
                Norm(_x, _weights[place + "norm.weight"].Span);
                Product(_xz, _normed, _weights[mixer + "in_proj.weight"]);
                Convolve(_conv[layer], _weights[mixer + "conv1d.weight"].Span, _weights[mixer + "conv1d.bias"].Span);
                Product(_dtBc, _xz, _weights[mixer + "x_proj.weight"]);
                Product(_dt, _dtBc, _weights[mixer + "dt_proj.weight"]);
                Scan(_ssm[layer], mixer);
                Product(_out, _y, _weights[mixer + "out_proj.weight"]);
                for (int i = 0; i < _width; i++) _x[i] += _out[i];
            }
            Norm(_x, _weights["backbone.norm_f.weight"].Span);
            Product(_logits, _normed, _weights["backbone.embedding.weight"]);
        }

        private void Norm(float[] x, ReadOnlySpan<float> weight)
        {
            float sum = 0;
            foreach (float value in x) sum += value * value;
            float scale = 1f / MathF.Sqrt(sum / x.Length + 1e-5f);
            for (int i = 0; i < x.Length; i++) _normed[i] = x[i] * scale * weight[i];
        }

        private static void Product(float[] y, float[] x, Tensor weight)
        {
            const int Block = 64;
            Workers.ForEach((weight.Shape[0] + Block - 1) / Block, (y, x, weight), static (s, block) =>
            {
                int columns = s.weight.Shape[1], end = Math.Min(s.weight.Shape[0], (block + 1) * Block);
                for (int row = block * Block; row < end; row++)
                {
                    ReadOnlySpan<float> w = s.weight.Span.Slice(row * columns, columns);
                    float value = 0;
                    for (int j = 0; j < w.Length; j++) value += w[j] * s.x[j];
                    s.y[row] = value;
                }
            });
        }

        private void Convolve(float[] window, ReadOnlySpan<float> weight, ReadOnlySpan<float> bias)
        {
            for (int c = 0; c < _inner; c++)
            {
                Span<float> taps = window.AsSpan(c * _taps, _taps);
                taps[1..].CopyTo(taps);
                taps[^1] = _xz[c];
                float sum = bias[c];
                for (int k = 0; k < _taps; k++) sum += taps[k] * weight[c * _taps + k];
                _xz[c] = sum / (1f + MathF.Exp(-sum));
            }
        }

        private void Scan(float[] state, string mixer)
        {
            ReadOnlySpan<float> aLog = _weights[mixer + "A_log"].Span, d = _weights[mixer + "D"].Span;
            ReadOnlySpan<float> bias = _weights[mixer + "dt_proj.bias"].Span;
            for (int c = 0; c < _inner; c++)
            {
                float dt = MathF.Log(1f + MathF.Exp(_dt[c] + bias[c])), y = d[c] * _xz[c], z = _xz[_inner + c];
                for (int n = 0; n < _states; n++)
                {
                    ref float h = ref state[c * _states + n];
                    h = h * MathF.Exp(-dt * MathF.Exp(aLog[c * _states + n])) + dt * _dtBc[_rank + n] * _xz[c];
                    y += h * _dtBc[_rank + _states + n];
                }
                _y[c] = y * (z / (1f + MathF.Exp(-z)));
            }
        }
    }
}
