using System.Globalization;
using System.Text.Json;
using Mamba.Models.Training;

namespace Mamba.Models.Studies;

/// <summary>How far a run is that has not ended: its folder says so also after a crash.</summary>
internal static class BegunRun
{
    private const int Before = 3; // columns: the epoch and two losses
    private static readonly string[] s_scores = ["dice_paper", "mean_dice", "macro_f1"];

    /// <summary>Adds to a run what its folder says.</summary>
    /// <param name="run">A run without scores.</param>
    /// <param name="folder">Its run folder.</param>
    public static RunResult Read(RunResult run, string folder)
    {
        if (Path.GetFileName(run.Id) != run.Id || !RunFolder.HoldsRun(folder)) return run;
        string table = Path.Combine(folder, RunFolder.Results);
        EpochPoint[] epochs = File.Exists(table) ? [.. Points(File.ReadAllLines(table))] : [];
        return run with { HasBegun = true, Epochs = epochs, PlannedEpochs = Planned(RunFolder.ArgumentsOf(folder)) };
    }

    /// <summary>The epochs of results.csv, up to a line that is none.</summary>
    private static IEnumerable<EpochPoint> Points(string[] lines)
    {
        string[] columns = lines.Length == 0 ? [] : lines[0].Split(',');
        int score = Array.FindIndex(columns, s_scores.Contains), seconds = Array.IndexOf(columns, "seconds");
        double time = 0;
        foreach (string line in lines.Skip(1))
        {
            double[] values = Array.ConvertAll(line.Split(','), word =>
                double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : double.NaN);
            if (values.Length != columns.Length || values.Length < Before || double.IsNaN(values[0])) yield break;
            time += seconds < 0 ? double.NaN : values[seconds];
            yield return new EpochPoint((int)values[0], values[1], values[2], score < 0 ? double.NaN : values[score], time);
        }
    }

    /// <summary>The epochs of args.json; 0 where a budget of time ends the run, or the file does not say.</summary>
    private static int Planned(string path)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            return document.RootElement.GetProperty("epochs").GetInt32() is var epochs and not RunArguments.EndlessEpochs ? epochs : 0;
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            return 0;
        }
    }
}
