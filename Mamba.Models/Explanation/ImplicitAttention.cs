namespace Mamba.Models.Explanation;

/// <summary>
/// The selective scan as an attention (Ali, Zimerman and Wolf 2024, equation 11). Of channel d, token i reads token j with the weight
/// alpha[i,j] = sum over n of C[i,n] exp(A[d,n] (dt[j+1,d] + ... + dt[i,d])) dt[j,d] B[j,n], for j up to i; a reverse scan has j from i on.
/// The skip D u and the gate are left out. With dt, B and C held constant, alpha is the derivative of the scan's output by its input.
/// </summary>
/// <remarks>A row is walked from token i outwards with N running products: O(L D N) time, and memory for the row alone.</remarks>
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
        int states = scan.States, first = sequence * scan.Length, step = scan.Reverse ? 1 : -1;
        ReadOnlySpan<float> a = scan.A.AsSpan(channel * states, states), c = scan.C.AsSpan((first + token) * states, states);
        Span<double> carried = states <= 256 ? stackalloc double[states] : new double[states]; // C[i,n] times what is left of the state
        for (int n = 0; n < states; n++) carried[n] = c[n];
        row.Clear();
        for (int j = token; j >= 0 && j < scan.Length; j += step)
        {
            double delta = scan.Delta[(first + j) * scan.Channels + channel], sum = 0;
            ReadOnlySpan<float> b = scan.B.AsSpan((first + j) * states, states);
            for (int n = 0; n < states; n++)
            {
                sum += carried[n] * b[n];
                carried[n] *= Math.Exp(delta * a[n]);
            }
            row[j] = delta * sum;
        }
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

    /// <summary>The step size of each token over the channels of all sequences.</summary>
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
        return steps;
    }
}
