using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Zoo;

namespace Mamba.Models.Files;

/// <summary>What a weight file says about its model, so that evaluation and inference need nothing else.</summary>
/// <param name="Model">Its name in the <see cref="Registry"/>.</param>
/// <param name="Config">Its configuration.</param>
/// <param name="Labels">The names of its classes.</param>
/// <param name="Normalization">The normalization of its input.</param>
/// <param name="Data">What it was trained on.</param>
public sealed record ModelInfo(string Model, ModelConfig Config, IReadOnlyList<string> Labels, Normalization Normalization, RunData Data)
{
    /// <summary>
    /// Which prefix of the tensors' names was dropped or added to fit the model, in words; empty where the names fit as they stood.
    /// </summary>
    public string NamePrefix { get; init; } = "";

    /// <summary>Which tensors of the file the model goes without, in words; empty where it takes all.</summary>
    public string LeftOut { get; init; } = "";

    /// <summary>How samples become values from 0 to 1.</summary>
    public Intensity Intensity { get; init; } = Intensity.None;

    /// <summary>How pictures of another size are resized.</summary>
    public Resampling Resampling { get; init; }

    /// <summary>What the values of the training masks stood for; null if there were no masks, or the file is of an older version.</summary>
    public MaskMeaning? Masks { get; init; }

    /// <summary>Which samples the model was trained, validated and tested on; null if the file does not say so.</summary>
    public SplitRecord? Split { get; init; }

    /// <summary>How the numbers of the file are stored and multiplied; null for float32.</summary>
    public Quantization? Quantization { get; init; }

    /// <summary>
    /// The same for slices of a volume, see <see cref="Mamba.Models.Data.Formats.SliceStack.Slice"/>: the intensity is applied to their
    /// volume, and not once more to each.
    /// </summary>
    public ModelInfo ForSlices => this with
    {
        Intensity = Intensity.None,
        Normalization = Intensity.Kind == IntensityKind.ZScore ? VolumeRange.ZScores(Config.InputChannels) : Normalization,
    };

    /// <summary>What is to be said where a picture has other bits than those of the training, whose values then mean something
    /// else.</summary>
    /// <param name="image">The picture.</param>
    /// <returns>A sentence; null if there is nothing to say.</returns>
    public string? BitsNote(Image image)
    {
        bool wide = Intensity is { Kind: IntensityKind.Window, High: > 255 };
        if (wide && !image.Is16Bit) return $"8 bits, and the weights were trained on values up to {Intensity.High}; expected images of "
            + $"the same bits";
        return !wide && Intensity.Kind == IntensityKind.None && Data.Axis is null && image is { Is16Bit: true, UsedBits: < 16 }
            ? $"{image.UsedBits} bits in a file of 16, and the weights were trained on whole ranges; expected images of the same "
                + $"bits" : null;
    }

    /// <summary>Its entry in the registry.</summary>
    public ModelEntry Entry => Registry.Find(Model);

    /// <summary>How pictures become its input: size, channels and normalization.</summary>
    public BatchOptions Input => new()
    {
        Height = Data.Height,
        Width = Data.Width,
        Channels = Config.InputChannels,
        Normalization = Normalization,
        Intensity = Intensity,
        Resampling = Resampling,
    };
}
