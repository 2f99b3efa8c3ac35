using Mamba.Core;

namespace Mamba.Models.Data.Augmentation;

/// <summary>
/// RandAugment (Cubuk et al. 2020) as in torchvision. It applies random operations in sequence, each with the same magnitude. Signed
/// operations are negated with probability one half. Sampling is nearest, black outside. Each operation equals torchvision's on a Pillow
/// picture. Those have 8 bits: of a picture of 16, the highest 8 of its used bits remain, at the same scale as before. Where values are
/// signed, or begin far from 0, 256 levels of their own range remain.
/// </summary>
public sealed record RandAugment
{
    /// <summary>The number of magnitudes.</summary>
    public const int Magnitudes = 31;

    /// <summary>Where the highest bits would leave fewer levels, values begin far from 0.</summary>
    private const int FewestLevels = 32;

    private static readonly int s_operations = Enum.GetValues<RandAugmentOperation>().Length;

    /// <summary>The number of operations per picture.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public int Operations
    {
        get;
        init => field = value >= 0 ? value
            : throw new ArgumentOutOfRangeException(nameof(Operations), value, "RandAugment: expected 0 operations or more.");
    } = 2;

    /// <summary>The magnitude of each operation, 0 to 30.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 30.</exception>
    public int Magnitude
    {
        get;
        init => field = value is >= 0 and < Magnitudes ? value
            : throw new ArgumentOutOfRangeException(nameof(Magnitude), value, "RandAugment: expected a magnitude from 0 to 30.");
    } = 9;

    /// <summary>Samples the operations and their signs, and applies them.</summary>
    /// <param name="image">The picture; it stays as it is.</param>
    /// <param name="random">The random stream.</param>
    /// <returns>A picture of the same size.</returns>
    public Image Apply(Image image, RandomStream random)
    {
        if (image.Is16Bit) return Operations == 0 ? image : ApplyTo16Bits(image, random);
        for (int i = 0; i < Operations; i++)
        {
            var operation = (RandAugmentOperation)random.NextInt(s_operations);
            bool negative = random.NextInt(2) == 1 && operation is >= RandAugmentOperation.ShearX and <= RandAugmentOperation.Sharpness;
            double strength = Strength(operation, Magnitude, image);
            image = Apply(image, operation, negative ? -strength : strength);
        }
        return image;
    }

    private Image ApplyTo16Bits(Image image, RandomStream random)
    {
        int used = image.UsedBits;
        (int low, int high) = image.UsedRange;
        return image.Origin != 0 || (used > 8 && high - low >> used - 8 < FewestLevels)
            ? Apply(image.Spread(low, high), random).FromSpread(low, high, image.Origin)
            : Apply(image.HighBits(used), random).FromHighBits(used, image.Origin);
    }

    /// <summary>The strength of an operation at a magnitude.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="magnitude">0 to 30.</param>
    /// <param name="image">The picture, whose size translations are relative to.</param>
    /// <returns>The positive strength: a slope, pixels, degrees, a factor less 1, bits, a threshold.</returns>
    public static double Strength(RandAugmentOperation operation, int magnitude, Image image)
    {
        return operation switch
        {
            RandAugmentOperation.ShearX or RandAugmentOperation.ShearY => UpTo(0.3),
            RandAugmentOperation.TranslateX => UpTo(150.0 / 331.0 * image.Width),
            RandAugmentOperation.TranslateY => UpTo(150.0 / 331.0 * image.Height),
            RandAugmentOperation.Rotate => UpTo(30),
            >= RandAugmentOperation.Brightness and <= RandAugmentOperation.Sharpness => UpTo(0.9),
            RandAugmentOperation.Posterize => 8 - Math.Round(magnitude / ((Magnitudes - 1) / 4.0)),
            RandAugmentOperation.Solarize => 255 - UpTo(255),
            _ => 0,
        };

        // In single precision, as theirs.
        double UpTo(double most) => (float)((double)(float)most * magnitude / (Magnitudes - 1));
    }

    /// <summary>Applies one operation.</summary>
    /// <param name="image">The picture; it stays as it is.</param>
    /// <param name="operation">The operation.</param>
    /// <param name="strength">See <see cref="Strength"/>; with its sign.</param>
    /// <returns>A picture of the same size.</returns>
    /// <exception cref="InvalidOperationException">The picture has 16 bits.</exception>
    public static Image Apply(Image image, RandAugmentOperation operation, double strength) => operation switch
    {
        RandAugmentOperation.ShearX => ImageOperations.Affine(image, 1, strength, 0, 0, 1, 0),
        RandAugmentOperation.ShearY => ImageOperations.Affine(image, 1, 0, 0, strength, 1, 0),
        RandAugmentOperation.TranslateX => ImageOperations.Affine(image, 1, 0, -(int)strength, 0, 1, 0),
        RandAugmentOperation.TranslateY => ImageOperations.Affine(image, 1, 0, 0, 0, 1, -(int)strength),
        RandAugmentOperation.Rotate => ImageOperations.Rotate(image, strength),
        RandAugmentOperation.Brightness => ImageOperations.Brightness(image, (float)(1 + strength)),
        RandAugmentOperation.Color => ImageOperations.Color(image, (float)(1 + strength)),
        RandAugmentOperation.Contrast => ImageOperations.Contrast(image, (float)(1 + strength)),
        RandAugmentOperation.Sharpness => ImageOperations.Sharpness(image, (float)(1 + strength)),
        RandAugmentOperation.Posterize => ImageOperations.Posterize(image, (int)strength),
        RandAugmentOperation.Solarize => ImageOperations.Solarize(image, strength),
        RandAugmentOperation.AutoContrast => ImageOperations.AutoContrast(image),
        RandAugmentOperation.Equalize => ImageOperations.Equalize(image),
        _ => image,
    };
}
