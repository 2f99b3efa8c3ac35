using System.Globalization;

namespace Mamba.Models.Data.Augmentation;

/// <summary>A word of a list of augmentations, as rotate in "flips,rotate:15".</summary>
internal abstract record AugmentationTerm(string Name)
{
    /// <summary>Reads the strength.</summary>
    /// <param name="to">What gets it.</param>
    /// <param name="strength">The text behind the colon; null for the default.</param>
    /// <returns>The list with it.</returns>
    /// <exception cref="ArgumentException">It is no strength of this operation.</exception>
    public abstract SegmentationAugment Set(SegmentationAugment to, string? strength);

    /// <summary>The word with its strength; null where the operation is off.</summary>
    public abstract string? Write(SegmentationAugment from);

    private protected ArgumentException Unfit(string strength, string expected) => new($"{Name}:{strength}; expected {expected}");

    private protected static string Text(float value) => value.ToString("R", CultureInfo.InvariantCulture);

    private protected static float? Read(string text, float least, float most) =>
        float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out float value) && value >= least && value <= most
            ? value : null;

    /// <summary>An operation without a strength.</summary>
    public sealed record Switch(string Name, Func<SegmentationAugment, bool> Get, Func<SegmentationAugment, SegmentationAugment> On)
        : AugmentationTerm(Name)
    {
        /// <inheritdoc/>
        public override SegmentationAugment Set(SegmentationAugment to, string? strength) =>
            strength is null ? On(to) : throw Unfit(strength, $"{Name} without a strength");

        /// <inheritdoc/>
        public override string? Write(SegmentationAugment from) => Get(from) ? Name : null;
    }

    /// <summary>An operation whose strength is a number from 0, where it is off.</summary>
    public sealed record Number(
        string Name, float Default, float Most, Func<SegmentationAugment, float> Get,
        Func<SegmentationAugment, float, SegmentationAugment> With)
        : AugmentationTerm(Name)
    {
        /// <inheritdoc/>
        public override SegmentationAugment Set(SegmentationAugment to, string? strength) => With(
            to, strength is null ? Default
                : Read(strength, 0, Most) ?? throw Unfit(strength, $"a number from 0 to {Text(Most)}, as {Name}:{Text(Default)}"));

        /// <inheritdoc/>
        public override string? Write(SegmentationAugment from) => Get(from) == 0 ? null : $"{Name}:{Text(Get(from))}";
    }

    /// <summary>An operation whose strength is a range of factors about 1, where it is off.</summary>
    public sealed record Factors(
        string Name, FactorRange Default, Func<SegmentationAugment, FactorRange> Get,
        Func<SegmentationAugment, FactorRange, SegmentationAugment> With)
        : AugmentationTerm(Name)
    {
        /// <inheritdoc/>
        public override SegmentationAugment Set(SegmentationAugment to, string? strength)
        {
            if (strength is null) return With(to, Default);
            (float least, float most) = (SegmentationAugment.LeastFactor, SegmentationAugment.MostFactor);
            return strength.Split('-') is [var low, var high] && Read(low, least, most) is { } from && Read(high, from, most) is { } upTo
                ? With(to, new FactorRange(from, upTo))
                : throw Unfit(strength, $"LOW-HIGH from {Text(least)} to {Text(most)}, as {Name}:{Text(Default)}");
        }

        /// <inheritdoc/>
        public override string? Write(SegmentationAugment from) => Get(from) == FactorRange.One ? null : $"{Name}:{Text(Get(from))}";

        private static string Text(FactorRange range) => $"{Text(range.Low)}-{Text(range.High)}";
    }
}
