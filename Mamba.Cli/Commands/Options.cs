using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>Options with their checks: what does not fit is refused by name, with what was expected.</summary>
internal static class Options
{
    /// <summary>What stands between a description and a default value.</summary>
    public const string DefaultMark = " Default: ";

    /// <summary>A description with its default value.</summary>
    /// <param name="text">A sentence.</param>
    /// <param name="value">The value; null where there is no default to tell.</param>
    public static string Describe(string text, string? value) => value is null ? text : $"{text}{DefaultMark}{value}.";

    /// <summary>A number as short as people write it: 3e-4, 0.01, 2048.</summary>
    public static string Short(double value) =>
        value.ToString(value is > 0 and < 0.01 ? "0.##e-0" : "G4", CultureInfo.InvariantCulture);

    /// <summary>A whole number within bounds; null where it is not given.</summary>
    public static Option<int?> Integer(string name, string description, string? otherwise, int low, int high = int.MaxValue) => new(name)
    {
        Description = Describe(description, otherwise),
        HelpName = "N",
        CustomParser = result => Parse<int?>(
            result, name, high == int.MaxValue ? $"a whole number of at least {low}" : $"a whole number from {low} to {high}",
            text => int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int value) && value >= low && value <= high
                ? value : null),
    };

    /// <summary>A number above (or at) zero; null where it is not given.</summary>
    public static Option<double?> Number(string name, string description, string? otherwise, bool orZero = false) => new(name)
    {
        Description = Describe(description, otherwise),
        HelpName = "X",
        CustomParser = result => Parse<double?>(
            result, name, orZero ? "a number of at least 0" : "a number above 0",
            text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
                && double.IsFinite(value) && (value > 0 || (orZero && value == 0)) ? value : null),
    };

    /// <summary>A seed: any whole number from 0.</summary>
    public static Option<ulong?> Seed() => new("--seed")
    {
        Description = Describe("Random seed.", "0"),
        HelpName = "N",
        CustomParser = result => Parse<ulong?>(
            result, "--seed", "a whole number of at least 0",
            text => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null),
    };

    /// <summary>A number from 0 to 1; null where it is not given.</summary>
    public static Option<double?> Share(string name, string description, string? otherwise) => new(name)
    {
        Description = Describe(description, otherwise),
        HelpName = "X",
        CustomParser = result => Parse<double?>(
            result, name, "a number from 0 to 1",
            text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value is >= 0 and <= 1
                ? value : null),
    };

    /// <summary>One of the words of an enumeration; null where it is not given.</summary>
    /// <param name="name">The option.</param>
    /// <param name="description">What it is for.</param>
    /// <param name="otherwise">The default.</param>
    /// <param name="alone">What the option means without a word; null if it needs one.</param>
    public static Option<T?> Choice<T>(string name, string description, string? otherwise, T? alone = null) where T : struct, Enum
    {
        // Loops, not queries: each would be compiled anew for each enumeration, 15 kB of a native program.
        T[] values = Enum.GetValues<T>();
        string[] words = new string[values.Length];
        for (int i = 0; i < words.Length; i++) words[i] = RunArguments.Name(values[i]);
        return new Option<T?>(name)
        {
            Description = Describe(description, otherwise),
            HelpName = string.Join('|', words),
            Arity = alone is null ? ArgumentArity.ExactlyOne : ArgumentArity.ZeroOrOne,
            CustomParser = result =>
            {
                if (result.Tokens.Count == 0 && alone is not null) return alone;
                int place = PlaceOf(result, name, words);
                return place < 0 ? null : values[place];
            },
        };
    }

    /// <summary>Height and width, as 256x320; one number for both.</summary>
    public static Option<(int Height, int Width)?> Size(string otherwise) => new("--size")
    {
        Description = Describe("Input height and width.", otherwise),
        HelpName = "HxW",
        CustomParser = result => Parse<(int, int)?>(result, "--size", $"HxW, as 256x256, each from 16 to {RunData.MaxSide}", text =>
        {
            string[] parts = text.Split('x', 'X');
            int[] sides = [.. parts.Select(Side)];
            return parts.Length is 1 or 2 && sides.All(n => n > 0) ? (sides[0], sides[^1]) : null;
        }),
    };

    /// <summary>A pixel, as 120,84; null where it is not given.</summary>
    public static Option<(int X, int Y)?> Pixel(string description, string otherwise) => new("--pixel")
    {
        Description = Describe(description, otherwise),
        HelpName = "X,Y",
        CustomParser = result => Parse<(int, int)?>(result, "--pixel", "column and row from the top left, as 120,84", text =>
        {
            string[] parts = text.Split(',');
            return parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int x)
                && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int y) ? (x, y) : null;
        }),
    };

    /// <summary>The normalization of a model's input; null where it is not given.</summary>
    public static Option<NormalizationKind?> Normalize() =>
        Choice<NormalizationKind>("--normalize", "Input normalization.", "none for segmentation, cifar for classification");

    /// <summary>How often a checkpoint is written; null where it is not given.</summary>
    public static Option<CheckpointInterval?> Interval(string name, string description, string otherwise) => new(name)
    {
        Description = Describe(description, otherwise),
        HelpName = "TIME",
        CustomParser = result => Parse(result, name, "a time such as 30s, 5m or 1h, or epoch", CheckpointInterval.Parse),
    };

    public static Option<string?> Text(string name, string help, string description, string? otherwise = null) =>
        new(name) { Description = Describe(description, otherwise), HelpName = help };

    public static Option<bool> Flag(string name, string description) => new(name) { Description = description };

    public static Option<bool> Json() => Flag("--json", "Print JSON.");

    public static Option<OnBadImage?> OnBadImage() => Choice<OnBadImage>("--on-bad-image", "What to do with an unreadable image.", "fail");

    public static Option<bool> CheckNumerics() => Flag("--check-numerics", "Name the first operator that gives NaN.");

    public static Option<int?> Threads() => Integer("--threads", "Threads; results stay the same.", "all fast cores", 1, 1024);

    public static Option<string> Weights() =>
        new("--weights") { Description = "Weight file or name; others with --model.", HelpName = "FILE|NAME", Required = true };

    /// <summary>The place of the tensors in a PyTorch checkpoint; null where it is not given.</summary>
    public static Option<string?> Key() => Text("--key", "NAME", "Keys of the state_dict, joined by dots.", "found");

    /// <summary>
    /// Says which prefix the names of trained weights lost, as those of DataParallel or torch.compile do, and what the model goes without.
    /// </summary>
    public static void NoteNames(Terminal terminal, string weights, ModelInfo info)
    {
        string note = string.Join("; ", new[] { info.NamePrefix, info.LeftOut }.Where(part => part.Length > 0));
        if (note.Length > 0) terminal.Error.WriteLine(PlainText.Printable($"mamba: {weights}: {note}"));
    }

    /// <summary>Sets the number of threads, if given, and tells which it is.</summary>
    public static int Apply(ParseResult parsed, Option<int?> threads)
    {
        if (parsed.GetValue(threads) is { } count) Workers.Count = count;
        return Workers.Count;
    }

    /// <summary>How samples become values from 0 to 1; null where it is not given.</summary>
    public static Option<Intensity?> Intensity() => new("--intensity")
    {
        Description = Describe(
            "Values: range, percentile:L,H, window:L,H, zscore or none.",
            "none; of 12 bits in 16, those 12; percentile:0.5,99.5 of volumes"),
        HelpName = "KIND",
        CustomParser = result => OrError(result, "--intensity", Models.Data.Intensity.Parse),
    };

    /// <summary>How training images are changed; basic without a word, null where it is not given.</summary>
    public static Option<AugmentChoice?> Augment() => new("--augment")
    {
        Description = Describe(
            "Training augmentation; basic without a word.", "none for segmentation, randaugment for classification"),
        HelpName = "none|crop|basic|randaugment|LIST",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = result => result.Tokens.Count == 0 ? AugmentKind.Basic : OrError(result, "--augment", AugmentChoice.Parse),
    };

    /// <summary>The axis of volumes; null where it is not given.</summary>
    public static Option<SliceAxis?> Axis() => Choice<SliceAxis>("--axis", "Axis along which volumes are sliced.", "z, or the training's");

    /// <summary>A fold of a cross-validation; null where it is not given.</summary>
    public static Option<Fold?> Fold() => new("--fold")
    {
        Description = "Cross-validation: test on fold k of K.",
        HelpName = "k/K",
        CustomParser = result => Parse(result, "--fold", "k/K, as 1/5", Models.Data.Splits.Fold.Parse),
    };

    /// <summary>The part of the work that this process does; null for all of it.</summary>
    public static Option<JobPart?> Part() => new("--part")
    {
        Description = "Do part I of N.",
        HelpName = "I/N",
        CustomParser = result => Parse(result, "--part", "I/N with I from 1 to N, as 3/8", JobPart.Parse),
    };

    /// <summary>Opens the data that a name stands for; of synthetic images, as many as the limit says.</summary>
    /// <exception cref="ArgumentException">It is for another task.</exception>
    public static IImageData OpenData(
        string data, DataOptions options, ModelTask task, ulong seed, int? limit, (int Height, int Width) size, CancellationToken stop)
    {
        (int height, int width) = size;
        IImageData opened = data != RunArguments.Synthetic ? ImageDataSource.Open(data, options, task, stop)
            : task == ModelTask.Classification ? new SyntheticShapes(seed, limit ?? TrainDefaults.SyntheticImages, height, width)
            : new SyntheticLesions(seed, limit ?? TrainDefaults.SyntheticImages, height, width);
        if (opened.Task == task)
        {
            DataSetOptions.ThrowIfUnused(data, options, opened);
            return opened;
        }
        string hint = task == ModelTask.Segmentation
            ? "; --model resnet8, vim or vit classifies them, and --masks DIR names the folder of masks where there is one"
            : "; --model ul-vm-unet or unet segments them";
        throw new ArgumentException(
            $"{data} holds images for {RunArguments.Name(opened.Task)}, and the model is for {RunArguments.Name(task)}{hint}");
    }

    private static int Side(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n is >= 16 and <= RunData.MaxSide ? n : 0;

    /// <summary>The place of the given word; -1, and an error, where there is none such.</summary>
    private static int PlaceOf(ArgumentResult result, string name, string[] words)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        int place = Array.IndexOf(words, text);
        if (place < 0) result.AddError($"{name} is '{text}'; expected {string.Join(" or ", words)}");
        return place;
    }

    private static T? Parse<T>(ArgumentResult result, string name, string expected, Func<string, T?> parse)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        T? value = parse(text);
        if (value is null) result.AddError($"{name} is '{text}'; expected {expected}");
        return value;
    }

    /// <summary>What a parser makes of the text; its message becomes the error of the option.</summary>
    private static T? OrError<T>(ArgumentResult result, string name, Func<string, T> parse) where T : class
    {
        try
        {
            return parse(result.Tokens[0].Value);
        }
        catch (ArgumentException e)
        {
            result.AddError($"{name}: {e.Message}");
            return null;
        }
    }
}
