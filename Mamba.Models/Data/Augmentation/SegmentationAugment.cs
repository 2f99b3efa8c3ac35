using System.Runtime.CompilerServices;
using Mamba.Core;
using Mamba.Models.Words;

namespace Mamba.Models.Data.Augmentation;

/// <summary>
/// Random changes of a picture together with its mask, each with a strength; none by default. In this order: flips and quarter turns;
/// rotation, scale, shift and elastic displacement in one resampling; blur; brightness, contrast, gamma; noise. The mask takes part in
/// those that move pixels, and takes the nearest. What comes from outside of the picture is black, and background in the mask.
/// </summary>
public sealed record SegmentationAugment : IAugmentation
{
    /// <summary>The smallest factor of <see cref="Scale"/> and <see cref="Gamma"/>.</summary>
    public const float LeastFactor = 0.1f;

    /// <summary>The largest factor of <see cref="Scale"/> and <see cref="Gamma"/>.</summary>
    public const float MostFactor = 10;

    private const float MostDegrees = 180, MostPercent = 5, MostSigma = 10;

    private static readonly AugmentationTerm[] s_terms =
    [
        new AugmentationTerm.Switch("flips", a => a.Flips, a => a with { Flips = true }),
        new AugmentationTerm.Switch("turns", a => a.QuarterTurns, a => a with { QuarterTurns = true }),
        new AugmentationTerm.Number("rotate", 15, MostDegrees, a => a.Rotate, (a, strength) => a with { Rotate = strength }),
        new AugmentationTerm.Factors("scale", new FactorRange(0.8f, 1.25f), a => a.Scale, (a, range) => a with { Scale = range }),
        new AugmentationTerm.Number("shift", 0.1f, 1, a => a.Shift, (a, strength) => a with { Shift = strength }),
        new AugmentationTerm.Number("elastic", 1, MostPercent, a => a.Elastic, (a, strength) => a with { Elastic = strength }),
        new AugmentationTerm.Number("brightness", 0.2f, 1, a => a.Brightness, (a, strength) => a with { Brightness = strength }),
        new AugmentationTerm.Number("contrast", 0.2f, 1, a => a.Contrast, (a, strength) => a with { Contrast = strength }),
        new AugmentationTerm.Factors("gamma", new FactorRange(0.7f, 1.5f), a => a.Gamma, (a, range) => a with { Gamma = range }),
        new AugmentationTerm.Number("noise", 0.05f, 1, a => a.Noise, (a, strength) => a with { Noise = strength }),
        new AugmentationTerm.Number("blur", 1, MostSigma, a => a.Blur, (a, strength) => a with { Blur = strength }),
    ];

    /// <summary>The words that <see cref="Parse"/> knows.</summary>
    public static IReadOnlyList<string> Words { get; } = [.. s_terms.Select(term => term.Name)];

    /// <summary>Flip left to right and top to bottom, each with probability one half.</summary>
    public bool Flips { get; init; }

    /// <summary>Rotate by 0, 90, 180 or 270 degrees; a picture that is not square, by 0 or 180.</summary>
    public bool QuarterTurns { get; init; }

    /// <summary>Rotate about the center by up to this many degrees, either way.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 180.</exception>
    public float Rotate
    {
        get;
        init => field = Within(value, MostDegrees);
    }

    /// <summary>Enlarge about the center by a factor from this range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The factors are not in order, or not from 0.1 to 10.</exception>
    public FactorRange Scale
    {
        get;
        init => field = Within(value);
    } = FactorRange.One;

    /// <summary>Shift by up to this share of the width and of the height, either way.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 1.</exception>
    public float Shift
    {
        get;
        init => field = Within(value, 1);
    }

    /// <summary>
    /// The standard deviation of a smooth displacement along each axis, in percent of the shorter side. Pixels that are half of that side
    /// apart move independently.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 5.</exception>
    public float Elastic
    {
        get;
        init => field = Within(value, MostPercent);
    }

    /// <summary>Multiply the brightness by a factor from 1 - this to 1 + this.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 1.</exception>
    public float Brightness
    {
        get;
        init => field = Within(value, 1);
    }

    /// <summary>Multiply the distance to the picture's mean by a factor from 1 - this to 1 + this.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 1.</exception>
    public float Contrast
    {
        get;
        init => field = Within(value, 1);
    }

    /// <summary>
    /// Raise a sample's place between the picture's smallest and largest one to a power from this range; below 1 brightens.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The exponents are not in order, or not from 0.1 to 10.</exception>
    public FactorRange Gamma
    {
        get;
        init => field = Within(value);
    } = FactorRange.One;

    /// <summary>Add normal noise whose standard deviation is up to this share of the picture's range of samples.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 1.</exception>
    public float Noise
    {
        get;
        init => field = Within(value, 1);
    }

    /// <summary>Blur by a Gaussian whose standard deviation is up to this many pixels.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 10.</exception>
    public float Blur
    {
        get;
        init => field = Within(value, MostSigma);
    }

    /// <inheritdoc/>
    public bool AtModelSize { get; init; }

    /// <summary>
    /// Reads a list of words, each with or without a strength, as "flips,rotate:15,scale:0.8-1.25,noise". The changes act at the model's
    /// size.
    /// </summary>
    /// <param name="text">The list, in any order.</param>
    /// <returns>The changes.</returns>
    /// <exception cref="ArgumentException">A word is unknown or repeated, or a strength is out of its range.</exception>
    public static SegmentationAugment Parse(string text)
    {
        SegmentationAugment augment = new() { AtModelSize = true };
        HashSet<string> seen = [];
        foreach (string item in text.Split(',', StringSplitOptions.TrimEntries))
        {
            string[] parts = item.Split(':', 2);
            AugmentationTerm term = Array.Find(s_terms, term => term.Name == parts[0]) ?? throw Unknown(parts[0]);
            if (!seen.Add(term.Name)) throw new ArgumentException($"{term.Name} is repeated in '{text}'");
            augment = term.Set(augment, parts.Length == 2 ? parts[1] : null);
        }
        return augment;
    }

    /// <summary>The list that <see cref="Parse"/> reads, with all strengths; "none" if nothing is changed.</summary>
    /// <returns>For instance "flips,rotate:15".</returns>
    public override string ToString() =>
        string.Join(',', s_terms.Select(term => term.Write(this)).OfType<string>()) is { Length: > 0 } list ? list : "none";

    /// <inheritdoc/>
    public Sample Apply(Sample sample, ulong seed, int epoch, int index)
    {
        string key = $"augment/{epoch}/{index}";
        RandomStream random = new(seed, key);
        // All numbers are sampled always, and in this order, so that one option does not change the effect of another.
        ulong bits = random.NextBits();
        double brightness = random.NextDouble(1 - Brightness, 1 + Brightness), contrast = random.NextDouble(1 - Contrast, 1 + Contrast);
        double degrees = random.NextDouble(-Rotate, Rotate), zoom = Scale.At(random.NextDouble());
        Placement placement = new(degrees, zoom, random.NextDouble(-Shift, Shift), random.NextDouble(-Shift, Shift));
        Tones tones = new(brightness, contrast, Gamma.At(random.NextDouble()));
        double noise = Noise * random.NextDouble(), blur = Blur * random.NextDouble();

        Image image = sample.Image;
        Symmetry symmetry = Symmetry.Of(bits, Flips, QuarterTurns, image.Width == image.Height);
        Warp? warp = placement == Placement.Unchanged && Elastic == 0 ? null
            : new Warp(image.Width, image.Height, placement, Elastic, new RandomStream(seed, $"{key}/elastic"));
        image = symmetry.Apply(image);
        image = new GaussianBlur(blur).Apply(warp?.Apply(image) ?? image);
        image = new GaussianNoise(noise, new RandomStream(seed, $"{key}/noise")).Apply(tones.Apply(image));
        if (sample is not SegmentationSample { Mask: var mask }) return sample with { Image = image };
        mask = symmetry.Apply(mask);
        return new SegmentationSample(image, warp?.Apply(mask) ?? mask);
    }

    private static ArgumentException Unknown(string word)
    {
        string meant = EditDistance.Meant(word, Words);
        return new ArgumentException(
            $"unknown operation '{word}'{(meant.Length > 0 ? $"{meant} Expected" : "; expected")} {string.Join(", ", Words)}");
    }

    private static float Within(float value, float most, [CallerMemberName] string name = "") => value >= 0 && value <= most ? value
        : throw new ArgumentOutOfRangeException(name, value, FormattableString.Invariant($"SegmentationAugment: expected 0 to {most}."));

    private static FactorRange Within(FactorRange value, [CallerMemberName] string name = "") =>
        value.Low >= LeastFactor && value.High >= value.Low && value.High <= MostFactor ? value
            : throw new ArgumentOutOfRangeException(
                name, value, "SegmentationAugment: expected factors from 0.1 to 10, the smaller one first.");
}
