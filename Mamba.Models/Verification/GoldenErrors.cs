using Mamba.Core;

namespace Mamba.Models.Verification;

/// <summary>The worst error of each kind, and whether it is within its tolerance.</summary>
internal sealed class GoldenErrors(ILookup<string, double> tolerances)
{
    public double? Output { get; private set; }

    public double? Gradient { get; private set; }

    /// <summary>The first error that is too large.</summary>
    public string? Problem { get; private set; }

    public void Compare(string kind, string name, Digest expected, Tensor actual, double largestRms)
    {
        if (actual.Shape != expected.Shape)
            throw new FailedCaseException($"{name} has shape {actual.Shape}, expected {expected.Shape}");
        double scale = expected.Rms + largestRms, worst = 0;
        foreach ((int index, double value) in expected.Samples)
        {
            double difference = Math.Abs(actual.Span[index] - value);
            worst = Math.Max(worst, scale > 0 ? difference / scale : difference); // Math.Max passes NaN on
        }
        Add(kind, name, worst);
    }

    /// <summary>Compares what belongs to parameters: their gradients, or the buffers themselves.</summary>
    public void CompareAll(string kind, IReadOnlyList<(string Name, Digest? Digest)> expected, Func<string, Tensor?> actual)
    {
        double largest = expected.Select(e => e.Digest?.Rms ?? 0).DefaultIfEmpty(0).Max();
        foreach ((string name, Digest? digest) in expected)
            if (digest is not null)
                Compare(kind, name, digest, actual(name) ?? throw new FailedCaseException($"{name} has no gradient"), 0.01 * largest);
            else if (actual(name) is not null) throw new FailedCaseException($"{name} has a gradient, expected none");
    }

    public void Add(string kind, string name, double error)
    {
        if (kind is "output" or "loss" or "losses" or "tokens") Output = Math.Max(Output ?? 0, error);
        else Gradient = Math.Max(Gradient ?? 0, error);
        if (!tolerances.Contains(kind)) throw new FailedCaseException($"no tolerance of {kind} is given");
        double allowed = tolerances[kind].First();
        if (!(error <= allowed))
            Problem ??= FormattableString.Invariant($"{kind}: {name} has error {error:0.0e+00}, allowed {allowed:0.0e+00}");
    }
}
