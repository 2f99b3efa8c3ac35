using System.Globalization;
using Mamba.Models.Metrics;
using Mamba.Models.Training;

namespace Mamba.Cli.Reports;

/// <summary>What <c>mamba eval</c> says of its scores: which model on which images.</summary>
/// <param name="Model">The model.</param>
/// <param name="Unit">What is counted: images, or tiles.</param>
/// <param name="Where">The part of the data, the split and the size.</param>
/// <param name="Volumes">Whether images are slices of volumes.</param>
internal sealed record EvalHeading(string Model, string Unit, string Where, bool Volumes)
{
    /// <summary>Prints the scores as tables.</summary>
    public void Print(Terminal terminal, Evaluation result)
    {
        terminal.Out.WriteLine(PlainText.Printable(string.Create(
            CultureInfo.InvariantCulture,
            $"{Model} on {result.Images} {Unit} ({Where}): loss {result.Loss:F4}, {result.MillisecondsPerImage:F2} ms/image")));
        ScoreReport.Table(terminal, result.Scores);
        if (Volumes) ScoreReport.Volumes(terminal, result.Scores);
    }
}

/// <summary>
/// What one of several processes of <c>mamba eval --part</c> measured: counts of each image and the loss of each batch, from which the
/// scores follow to the bit.
/// </summary>
/// <param name="Job">What tells this evaluation from others.</param>
/// <param name="Part">The part, as 3/8.</param>
/// <param name="Images">The images of all parts together.</param>
/// <param name="BatchSize">Images in a batch.</param>
/// <param name="Skipped">Images of all parts that could not be read.</param>
/// <param name="Milliseconds">The time of the model.</param>
/// <param name="Vectors">The vectors of the processor that computed, which may change last bits.</param>
/// <param name="Heading">What is said of the scores.</param>
/// <param name="Labels">The names of the classes.</param>
/// <param name="Classes">The classes of the model: 1 for a mask.</param>
/// <param name="DistanceUnit">The unit of distances.</param>
/// <param name="Notes">What the user should know.</param>
/// <param name="Measured">What was measured of the images of this part, in order.</param>
internal sealed record EvalPartDocument(
    string Job, string Part, int Images, int BatchSize, int Skipped, double Milliseconds, string Vectors, EvalHeading Heading,
    IReadOnlyList<string> Labels, int Classes, string DistanceUnit, IReadOnlyList<string> Notes, IReadOnlyList<EvalSegment> Measured);

/// <summary>Images of a batch that follow one another: all of it, or those of one part.</summary>
/// <param name="Batch">The batch, from 0.</param>
/// <param name="First">The place of the first image in the batch, from 0.</param>
/// <param name="Loss">The loss of the whole batch.</param>
/// <param name="Images">The images.</param>
internal sealed record EvalSegment(int Batch, int First, float Loss, IReadOnlyList<MeasuredImage> Images);
