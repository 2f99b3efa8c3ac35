using System.Globalization;

namespace Mamba.Models.Explanation;

/// <summary>
/// Whether a map names what the model decides by (Petsiuk, Das and Saenko 2018, "RISE"). Deletion takes the picture away, the most
/// important blocks first: a faithful map makes the score fall early, and the area below the curve is small. Insertion gives it back in
/// the same order to a picture that has lost everything: the area is large. A random order is what a map must beat.
/// </summary>
public sealed class FaithfulnessCurves
{
    /// <summary>Points of a curve, unless others are asked for.</summary>
    public const int DefaultSteps = 16;

    internal FaithfulnessCurves(int block, double[] deletion, double[] insertion, double[] randomDeletion, double[] randomInsertion) =>
        (Block, Deletion, Insertion, RandomDeletion, RandomInsertion) = (block, deletion, insertion, randomDeletion, randomInsertion);

    /// <summary>Rows and columns of the blocks of pixels that go and come as one.</summary>
    public int Block { get; }

    /// <summary>The score after each step, the first of the whole picture.</summary>
    public IReadOnlyList<double> Deletion { get; }

    /// <summary>The score after each step, the last of the whole picture.</summary>
    public IReadOnlyList<double> Insertion { get; }

    /// <summary>As <see cref="Deletion"/>, the mean of random orders.</summary>
    public IReadOnlyList<double> RandomDeletion { get; }

    /// <summary>As <see cref="Insertion"/>, the mean of random orders.</summary>
    public IReadOnlyList<double> RandomInsertion { get; }

    /// <summary>Whether both areas are on the right side of those of random orders.</summary>
    public bool BeatsRandom => Area(Deletion) < Area(RandomDeletion) && Area(Insertion) > Area(RandomInsertion);

    /// <summary>The mean of the curves of several images.</summary>
    /// <param name="all">At least one, all of the same steps and blocks.</param>
    /// <returns>The mean.</returns>
    /// <exception cref="ArgumentException">There are none, or their steps differ.</exception>
    public static FaithfulnessCurves MeanOf(IReadOnlyList<FaithfulnessCurves> all)
    {
        ArgumentNullException.ThrowIfNull(all);
        if (all.Count == 0 || all.Any(c => c.Deletion.Count != all[0].Deletion.Count))
            throw new ArgumentException("FaithfulnessCurves.MeanOf: expected at least one, all of as many steps.", nameof(all));
        return new FaithfulnessCurves(
            all[0].Block, Mean(c => c.Deletion), Mean(c => c.Insertion), Mean(c => c.RandomDeletion), Mean(c => c.RandomInsertion));

        double[] Mean(Func<FaithfulnessCurves, IReadOnlyList<double>> curve)
        {
            double[] mean = new double[all[0].Deletion.Count];
            foreach (FaithfulnessCurves curves in all)
                for (int i = 0; i < mean.Length; i++) mean[i] += curve(curves)[i] / all.Count;
            return mean;
        }
    }

    /// <summary>The area below a curve over the share of the picture, from 0 to 1: the trapezoidal rule.</summary>
    /// <param name="curve">At least two points.</param>
    /// <returns>The area.</returns>
    public static double Area(IReadOnlyList<double> curve)
    {
        ArgumentNullException.ThrowIfNull(curve);
        double sum = 0;
        for (int i = 1; i < curve.Count; i++) sum += (curve[i - 1] + curve[i]) / 2;
        return sum / (curve.Count - 1);
    }

    /// <summary>The four areas in a line, and plainly whether the map is better than a random one.</summary>
    /// <returns>As "deletion 0.31 (random 0.52), insertion 0.71 (random 0.48)".</returns>
    public override string ToString()
    {
        bool deletes = Area(Deletion) < Area(RandomDeletion), inserts = Area(Insertion) > Area(RandomInsertion);
        string verdict = deletes && inserts ? "better than random"
            : deletes ? "insertion is not better than random" : inserts ? "deletion is not better than random" : "not better than random";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"deletion {Area(Deletion):F2} (random {Area(RandomDeletion):F2}), insertion {Area(Insertion):F2} "
                + $"(random {Area(RandomInsertion):F2}): {verdict}");
    }
}
