namespace Mamba.Models.Explanation;

/// <summary>
/// A scan as an attention (Ali, Zimerman and Wolf 2024, equation 11). Of channel d, token i reads token j with the weight alpha[i,j] = sum
/// over n of C[i,n] exp(A[d,n] (dt[j+1,d] + ... + dt[i,d])) dt[j,d] B[j,n], for j up to i; a reverse scan has j from i on. The skip and the
/// gate are left out. With all but the input held constant, alpha is the derivative of the scan's output by its input.
/// </summary>
/// <remarks>
/// The heads of Mamba-2 and Mamba-3 are channels here, with one decay for all n. Mamba-3 has turned B and C, and its trapezoid takes an
/// input once more with the next token: lambda[j] dt[j] + (1 - lambda[j+1]) dt[j+1] stands for dt[j] where j is not i. S4D depends on the
/// distance alone: alpha[i,j] = K[i-j]. A row is walked from token i outwards with N running products: O(L D N) time, and memory for the
/// row alone.
/// </remarks>
internal static class ImplicitAttention
{
    /// <summary>The row of token i of one channel.</summary>
    /// <param name="scan">What was scanned.</param>
    /// <param name="sequence">Which of the sequences.</param>
    /// <param name="token">i.</param>
    /// <param name="channel">d.</param>
    /// <param name="row">(L), all written: zeros for tokens that the scan has not seen at i.</param>
    public static void Channel(ScanTrace scan, int sequence, int token, int channel, Span<double> row)
    {
        row.Clear();
        if (scan is RecurrenceTrace recurrence)
        {
            Channel(recurrence, sequence * scan.Length, token, channel, row);
            return;
        }
        ReadOnlySpan<float> kernel = ((KernelTrace)scan).Kernel.AsSpan(channel * scan.Length, scan.Length);
        int step = scan.Reverse ? 1 : -1;
        for (int j = token; j >= 0 && j < scan.Length; j += step) row[j] = kernel[Math.Abs(token - j)];
    }

    /// <summary>The row of token i: the mean of |alpha[i,j]| over the channels of all sequences.</summary>
    /// <param name="scan">What was scanned.</param>
    /// <param name="token">i.</param>
    /// <returns>(L).</returns>
    public static double[] Row(ScanTrace scan, int token)
    {
        double[] row = new double[scan.Length], channel = new double[scan.Length];
        double share = 1.0 / (scan.Sequences * scan.Channels);
        for (int sequence = 0; sequence < scan.Sequences; sequence++)
            for (int d = 0; d < scan.Channels; d++)
            {
                Channel(scan, sequence, token, d, channel);
                for (int j = 0; j < row.Length; j++) row[j] += share * Math.Abs(channel[j]);
            }
        return row;
    }

    /// <summary>The step size of each token over the channels of all sequences; of a kernel the same for every token.</summary>
    /// <param name="scan">What was scanned.</param>
    /// <param name="channels">Their mean, or the largest.</param>
    /// <returns>(L).</returns>
    public static double[] Steps(ScanTrace scan, DeltaChannels channels)
    {
        double[] steps = new double[scan.Length];
        double share = 1.0 / (scan.Sequences * scan.Channels);
        for (int i = 0; i < scan.Delta.Length; i++)
        {
            int token = i / scan.Channels % scan.Length;
            steps[token] = channels == DeltaChannels.Max ? Math.Max(steps[token], scan.Delta[i]) : steps[token] + share * scan.Delta[i];
        }
        if (scan is KernelTrace) Array.Fill(steps, steps[0]);
        return steps;
    }

    private static void Channel(RecurrenceTrace scan, int first, int token, int channel, Span<double> row)
    {
        int states = scan.States, step = scan.Reverse ? 1 : -1, group = channel / (scan.Channels / scan.Groups);
        ReadOnlySpan<float> a = scan.A.AsSpan(channel * scan.Decays, scan.Decays), c = Factors(scan.C, token);
        Span<double> carried = states <= 256 ? stackalloc double[states] : new double[states]; // C[i,n] times what is left of the state
        for (int n = 0; n < states; n++) carried[n] = c[n];
        for (int j = token; j >= 0 && j < scan.Length; j += step)
        {
            int at = (first + j) * scan.Channels + channel;
            double weight = scan.Inputs[at], sum = 0;
            if (j != token && scan.Carried is { } next) weight += next[at - step * scan.Channels];
            ReadOnlySpan<float> b = Factors(scan.B, j);
            for (int n = 0; n < states; n++) sum += carried[n] * b[n];
            row[j] = weight * sum;
            Decay(carried, scan.Rates[at], a);
        }

        ReadOnlySpan<float> Factors(float[] values, int t) => values.AsSpan(((first + t) * scan.Groups + group) * states, states);
    }

    private static void Decay(Span<double> carried, double rate, ReadOnlySpan<float> a)
    {
        double all = Math.Exp(rate * a[0]);
        carried[0] *= all;
        for (int n = 1; n < carried.Length; n++) carried[n] *= a.Length == 1 ? all : Math.Exp(rate * a[n]);
    }
}
