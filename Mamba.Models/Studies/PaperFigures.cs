using System.Text.Json;

namespace Mamba.Models.Studies;

/// <summary>
/// What the paper and its public notebooks report of the models: test Dice or the best macro F1, minutes on four T4, losses by epoch. The
/// ResNet segmenters started from ImageNet weights there. Curves are stored in ten-thousandths.
/// </summary>
public static class PaperFigures
{
    /// <summary>Epochs of each of the paper's trainings.</summary>
    public const int Epochs = 100;

    private const double Unit = 1e-4;

    private static readonly Lazy<Dictionary<string, PaperScores>> s_models = new(Load);

    /// <summary>The models that the paper has figures of.</summary>
    public static IReadOnlyCollection<string> Models => s_models.Value.Keys;

    /// <summary>The figures of a model.</summary>
    /// <param name="model">Its name in the zoo.</param>
    /// <returns>The figures; null where the paper has none. A curve that is not known is NaN.</returns>
    public static PaperScores? Of(string model) => s_models.Value.GetValueOrDefault(model);

    private static Dictionary<string, PaperScores> Load()
    {
        using Stream stream = typeof(PaperFigures).Assembly.GetManifestResourceStream("Studies.paper.json")!;
        using JsonDocument document = JsonDocument.Parse(stream);
        Dictionary<string, PaperScores> models = [];
        foreach (JsonProperty model in document.RootElement.EnumerateObject())
        {
            double[] train = Curve(model.Value, "train"), validation = Curve(model.Value, "validation"), f1 = Curve(model.Value, "f1");
            EpochPoint[] epochs = [.. Enumerable.Range(0, validation.Length)
                .Select(i => new EpochPoint(i + 1, At(train, i), validation[i], At(f1, i), double.NaN))];
            double? minutes = model.Value.TryGetProperty("minutes", out JsonElement time) ? time.GetDouble() : null;
            models.Add(model.Name, new PaperScores(model.Value.GetProperty("score").GetDouble(), minutes, epochs));
        }
        return models;
    }

    private static double[] Curve(JsonElement model, string name) => model.TryGetProperty(name, out JsonElement curve)
        ? [.. curve.EnumerateArray().Select(value => Math.Round(value.GetInt32() * Unit, 4))] : [];

    private static double At(double[] curve, int i) => i < curve.Length ? curve[i] : double.NaN;
}
