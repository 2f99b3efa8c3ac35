using Mamba.Core;

namespace Mamba.Models.Explanation;

/// <summary>
/// The keys and queries of a Mamba-3, turned: each pair of neighbors by its angle, the sum of pi dt tanh(raw) up to the token.
/// </summary>
internal sealed class TurnedFactors
{
    private readonly int _sequences, _length, _heads, _groups, _states, _pairs;
    private readonly double[] _angles; // (B, L, H, S)

    /// <summary>Adds up the angles, in the order of the scan.</summary>
    /// <param name="inputs">Gives the sizes.</param>
    /// <param name="delta">(B, L, H), the steps.</param>
    /// <param name="raw">(B, L, H, S), or (B, L, 1, S) for all heads: the raw angles.</param>
    /// <param name="reverse">Whether the scan begins at the last token.</param>
    public TurnedFactors(in Mamba3Inputs inputs, float[] delta, float[] raw, bool reverse)
    {
        Shape values = inputs.V.Shape;
        (_sequences, _length, _heads) = (values[0], values[1], values[2]);
        (_groups, _states, _pairs) = (inputs.K.Shape[2], inputs.K.Shape[3], inputs.Angles.Shape[3]);
        _angles = new double[delta.Length * _pairs];
        bool shared = inputs.Angles.Shape[2] == 1;
        int step = reverse ? -1 : 1;
        for (int sequence = 0; sequence < _sequences; sequence++)
            for (int t = reverse ? _length - 1 : 0, count = 0; count < _length; t += step, count++)
                for (int h = 0; h < _heads; h++)
                {
                    int token = sequence * _length + t, at = token * _heads + h, before = at - step * _heads;
                    for (int j = 0; j < _pairs; j++)
                        _angles[at * _pairs + j] = (count == 0 ? 0 : _angles[before * _pairs + j])
                            + Math.PI * delta[at] * Math.Tanh(raw[(shared ? token : at) * _pairs + j]);
                }
    }

    /// <summary>Adds the bias of each head to the factors of its group, and turns them.</summary>
    /// <param name="factors">(B, L, G, N).</param>
    /// <param name="bias">(H, N).</param>
    /// <returns>(B, L, H, N).</returns>
    public float[] Of(float[] factors, ReadOnlySpan<float> bias)
    {
        float[] turned = new float[_sequences * _length * _heads * _states];
        for (int i = 0; i < turned.Length / _states; i++)
        {
            int token = i / _heads, h = i % _heads, group = token * _groups + h / (_heads / _groups);
            Span<float> to = turned.AsSpan(i * _states, _states);
            for (int n = 0; n < _states; n++) to[n] = factors[group * _states + n] + bias[h * _states + n];
            for (int j = 0; j < _pairs; j++)
            {
                double sin = Math.Sin(_angles[i * _pairs + j]), cos = Math.Cos(_angles[i * _pairs + j]), x = to[2 * j], y = to[2 * j + 1];
                to[2 * j] = (float)(cos * x - sin * y);
                to[2 * j + 1] = (float)(sin * x + cos * y);
            }
        }
        return turned;
    }
}
