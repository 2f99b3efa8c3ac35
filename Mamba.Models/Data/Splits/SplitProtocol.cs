namespace Mamba.Models.Data.Splits;

/// <summary>What is dealt out at random.</summary>
public enum SplitProtocol
{
    /// <summary>Single slices, as the paper does it; neighbours of a training slice may be test slices.</summary>
    Slice,

    /// <summary>Whole patients: no patient on two sides.</summary>
    Patient,

    /// <summary>The parts that the makers of the data gave. Where they gave no validation images the test images serve for that, too, as in the paper.</summary>
    Official,

    /// <summary>As <see cref="Official"/>, but a tenth of the training images is held out to validate, and the test images are seen once, at the end.</summary>
    Holdout,
}
