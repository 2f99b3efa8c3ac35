using System.Globalization;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;

namespace Mamba.Models.Verification;

/// <summary>Compares the operators with reference values: one operator, forward and backward, per safetensors file.</summary>
public static class OperatorGolden
{
    private const double Tolerance = 1e-5;

    // The gradients of a long scan sum over more steps than float32 keeps to 1e-5.
    private const double LongScanTolerance = 1e-4;
    private const int LongScan = 1000;

    /// <summary>
    /// Runs the case of one file: its inputs through the operator, its cotangents back. Errors are the largest difference over the largest
    /// magnitude expected.
    /// </summary>
    /// <param name="path">A file of the format that the goldens' README describes.</param>
    /// <returns>The verdict; an operator or an option that is not built is unsupported.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or is no golden file of an operator.</exception>
    public static VerificationResult Run(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        GoldenCase golden = new(file);
        using MemoryScope scope = new();
        using Tape tape = new();
        try
        {
            Tensor[] outputs = GoldenOperators.Run(golden);
            Worst worstOutput = new(), worstGradient = new();
            List<Tensor> differentiated = [], cotangents = [];
            for (int i = 0; file.Contains(Numbered("out.", i)); i++)
            {
                if (i >= outputs.Length) throw new FailedCaseException($"{golden.Operator} has no output {i}");
                worstOutput.Compare(Numbered("out.", i), golden.Tensor(Numbered("out.", i)), outputs[i]);
                if (!file.Contains(Numbered("cot.", i))) continue;
                differentiated.Add(outputs[i]);
                cotangents.Add(golden.Tensor(Numbered("cot.", i)));
            }
            if (worstOutput.Name is null) throw new CheckpointException($"{path}: no tensor 'out.0'");
            (string Name, Tensor Input)[] leaves = [.. golden.Differentiated];
            if (leaves.Length > 0)
            {
                if (cotangents.Count == 0) throw new CheckpointException($"{path}: gradients without a cotangent");
                tape.Backward(differentiated.ToArray(), cotangents.ToArray());
            }
            foreach ((string name, Tensor input) in leaves)
            {
                Tensor gradient = input.Grad ?? throw new FailedCaseException($"no gradient reached '{name}'");
                worstGradient.Compare("grad." + name, golden.Tensor("grad." + name), gradient);
            }

            bool longScan = golden.Operator == "selective_scan" && golden.In("u").Shape[-1] > LongScan;
            (double ofOutput, double ofGradient) = golden.Tolerance ?? (Tolerance, longScan ? LongScanTolerance : Tolerance);
            string? problem = worstOutput.Problem(ofOutput) ?? worstGradient.Problem(ofGradient);
            return VerificationResult.Compared(path, golden.Name, worstOutput.Error, worstGradient.Error, problem);
        }
        catch (UnsupportedCaseException e)
        {
            return VerificationResult.Unsupported(path, golden.Name, e.Message);
        }
        catch (Exception e) when (e is FailedCaseException or ArgumentException) // operators refuse what does not fit
        {
            return VerificationResult.Failed(path, golden.Name, e.Message);
        }
    }

    private static string Numbered(string prefix, int index) => prefix + index.ToString(CultureInfo.InvariantCulture);

    /// <summary>The tensor with the largest error so far.</summary>
    private sealed class Worst
    {
        public string? Name { get; private set; }

        public double? Error { get; private set; }

        public void Compare(string name, Tensor expected, Tensor actual)
        {
            if (expected.Shape != actual.Shape)
                throw new FailedCaseException($"{name} has shape {actual.Shape}, expected {expected.Shape}");
            double error = RelativeError(expected.Span, actual.Span);
            if (error <= Error) return; // false at first and for NaN, which nothing then displaces
            if (Error is { } worst && double.IsNaN(worst)) return;
            (Name, Error) = (name, error);
        }

        public string? Problem(double tolerance) =>
            Error is not { } error || error <= tolerance ? null
                : string.Create(CultureInfo.InvariantCulture, $"{Name}: error {error:0.0e+00}, allowed {tolerance:0e+00}");

        private static double RelativeError(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
        {
            double largest = 0, difference = 0;
            for (int i = 0; i < expected.Length; i++)
            {
                largest = Math.Max(largest, Math.Abs((double)expected[i]));
                difference = Math.Max(difference, Math.Abs((double)expected[i] - actual[i])); // Math.Max passes NaN on
            }
            return largest > 0 ? difference / largest : difference; // where all of it is zero, the absolute error
        }
    }
}
