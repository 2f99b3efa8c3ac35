using Mamba.Core;
using Mamba.Models.Data;

namespace Mamba.Models.Sequences;

/// <summary>
/// Speech-like signals at 8 kHz from a source and a filter (Fant 1960): five vowels are pulses of a random pitch through two resonances, a
/// hiss is noise through one, a click a short decay, a hum a low tone. Pitch, resonances, loudness and background noise vary by signal.
/// </summary>
/// <param name="length">Samples of a signal; 8,000 are a second.</param>
/// <param name="seed">The seed of the signals.</param>
public sealed class SyntheticSignals(int length, ulong seed) : SequenceTask
{
    private const int SamplesPerSecond = 8000;

    // First and second formant of the vowels of a male voice, Hz (Peterson and Barney 1952).
    private static readonly (string Name, double First, double Second)[] s_vowels =
        [("a", 730, 1090), ("e", 530, 1840), ("i", 270, 2290), ("o", 570, 840), ("u", 300, 870)];

    private static readonly string[] s_labels = [.. s_vowels.Select(vowel => vowel.Name), "hiss", "click", "hum"];

    /// <inheritdoc/>
    public override string Name => SequenceTasks.Signals;

    /// <inheritdoc/>
    public override int Length { get; } = length > 0 ? length
        : throw new ArgumentException($"signals of {length} samples; expected at least 1");

    /// <inheritdoc/>
    public override int? Vocabulary => null;

    /// <inheritdoc/>
    public override int? Rate => SamplesPerSecond;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => s_labels;

    /// <inheritdoc/>
    public override int? Count(SplitPart part) => null;

    /// <inheritdoc/>
    protected override void Write(SplitPart part, long number, Span<float> inputs, Span<int> targets)
    {
        RandomStream random = Random(seed, part, number);
        int label = targets[0] = random.NextInt(s_labels.Length);
        switch (s_labels[label])
        {
            case "hiss":
                foreach (ref float x in inputs) x = (float)random.NextNormal();
                Resonate(inputs, random.NextDouble(2400, 3400), bandwidth: 600);
                break;
            case "click":
                Click(inputs, random);
                break;
            case "hum":
                Hum(inputs, random);
                break;
            default:
                Vowel(inputs, random, s_vowels[label].First, s_vowels[label].Second);
                break;
        }
        Finish(inputs, random);
    }

    /// <summary>Pulses of a slowly gliding pitch through two resonances, as wide as a speaker's differ.</summary>
    private static void Vowel(Span<float> x, RandomStream random, double first, double second)
    {
        double pitch = random.NextDouble(80, 240), glide = random.NextDouble(-0.2, 0.2), phase = random.NextDouble();
        double tract = random.NextDouble(0.92, 1.08);
        for (int i = 0; i < x.Length; i++)
        {
            phase += pitch * (1 + glide * i / x.Length) / SamplesPerSecond;
            x[i] = phase >= 1 ? 1 : 0;
            phase -= Math.Floor(phase);
        }
        Resonate(x, first * tract, bandwidth: 90);
        Resonate(x, second * tract, bandwidth: 110);
    }

    /// <summary>A burst at a random time that dies away within milliseconds.</summary>
    private static void Click(Span<float> x, RandomStream random)
    {
        int start = random.NextInt(Math.Max(1, 3 * x.Length / 4));
        x[..start].Clear();
        double decay = Math.Exp(-1 / (SamplesPerSecond * random.NextDouble(0.001, 0.004))), level = 1;
        for (int i = start; i < x.Length; i++, level *= decay) x[i] = (float)(level * random.NextNormal());
    }

    /// <summary>A tone of 50 to 70 Hz with two weaker harmonics.</summary>
    private static void Hum(Span<float> x, RandomStream random)
    {
        double step = 2 * Math.PI * random.NextDouble(50, 70) / SamplesPerSecond, phase = random.NextDouble(0, 2 * Math.PI);
        for (int i = 0; i < x.Length; i++)
        {
            double angle = phase + step * i;
            x[i] = (float)(Math.Sin(angle) + 0.4 * Math.Sin(2 * angle) + 0.2 * Math.Sin(3 * angle));
        }
    }

    /// <summary>A resonance: y_t = x_t + 2 r cos(w) y_(t-1) - r^2 y_(t-2), in place.</summary>
    private static void Resonate(Span<float> x, double frequency, double bandwidth)
    {
        double r = Math.Exp(-Math.PI * bandwidth / SamplesPerSecond), b = -r * r;
        double a = 2 * r * Math.Cos(2 * Math.PI * frequency / SamplesPerSecond);
        double last = 0, before = 0;
        foreach (ref float value in x)
        {
            (last, before) = (value + a * last + b * before, last);
            value = (float)last;
        }
    }

    /// <summary>A random loudness, and background noise 6 to 30 dB below the signal.</summary>
    private static void Finish(Span<float> x, RandomStream random)
    {
        double squares = 0;
        foreach (float value in x) squares += (double)value * value;
        double power = Math.Sqrt(squares / x.Length) + 1e-6, loudness = random.NextDouble(0.3, 1.5) / power;
        double noise = power * Math.Pow(10, -random.NextDouble(6, 30) / 20);
        foreach (ref float value in x) value = (float)(loudness * (value + noise * random.NextNormal()));
    }
}
