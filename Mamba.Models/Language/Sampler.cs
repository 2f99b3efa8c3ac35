using System.Numerics.Tensors;
using Mamba.Core;

namespace Mamba.Models.Language;

/// <summary>Chooses tokens by their logits. After its first choice it allocates nothing.</summary>
public sealed class Sampler
{
    private readonly SamplingOptions _options;
    private readonly RandomStream _random;
    private readonly bool[] _seen;
    private readonly float[] _logits;
    private readonly float[] _weights;
    private readonly int[] _tokens;
    private readonly int[] _excluded;

    /// <summary>A sampler that has seen no token.</summary>
    /// <param name="vocabulary">Tokens from 0 up to this one are chosen from.</param>
    /// <param name="options">How.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no tokens, or an option is out of its range.</exception>
    public Sampler(int vocabulary, SamplingOptions options)
        : this(vocabulary, options, [])
    {
    }

    /// <summary>As the other, but for tokens that are never chosen.</summary>
    internal Sampler(int vocabulary, SamplingOptions options, int[] excluded)
    {
        _excluded = excluded;
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabulary, 1);
        options.Check();
        _options = options;
        _random = new RandomStream(options.Seed, "generate");
        _seen = new bool[vocabulary];
        _logits = new float[vocabulary];
        _weights = new float[vocabulary];
        _tokens = new int[vocabulary];
    }

    /// <summary>Remembers a token for the repetition penalty; chosen ones are remembered by themselves.</summary>
    /// <param name="token">A token of the prompt.</param>
    public void See(int token)
    {
        if ((uint)token < (uint)_seen.Length) _seen[token] = true;
    }

    /// <summary>The next token.</summary>
    /// <param name="logits">At least as many as the vocabulary; those beyond it are not read.</param>
    /// <returns>A token.</returns>
    /// <exception cref="ArgumentException">There are too few logits.</exception>
    /// <exception cref="NonFiniteException">A logit is NaN or infinite above all others.</exception>
    public int Next(ReadOnlySpan<float> logits)
    {
        logits[.._logits.Length].CopyTo(_logits);
        if (_options.RepetitionPenalty != 1) Penalize();
        foreach (int token in _excluded) _logits[token] = float.NegativeInfinity;
        int best = TensorPrimitives.IndexOfMax<float>(_logits); // that of a NaN, if there is one
        if (!float.IsFinite(_logits[best]))
            throw new NonFiniteException("the logits of the next token", Core.Tensor.From(_logits, _logits.Length));
        int chosen = _options.IsGreedy ? best : Draw(_logits[best]);
        _seen[chosen] = true;
        return chosen;
    }

    private void Penalize()
    {
        float penalty = (float)_options.RepetitionPenalty;
        for (int i = 0; i < _logits.Length; i++)
            if (_seen[i]) _logits[i] = _logits[i] < 0 ? _logits[i] * penalty : _logits[i] / penalty;
    }

    /// <summary>Top-k first, then temperature and softmax, then top-p, as state-spaces/mamba has it.</summary>
    private int Draw(float largest)
    {
        int count = 0;
        double sum = 0;
        float least = _options.TopK > 0 && _options.TopK < _logits.Length ? KthLargest(_options.TopK) : float.MinValue;
        least = Math.Max(least, float.MinValue); // a token at minus infinity has no probability
        for (int i = 0; i < _logits.Length; i++)
        {
            if (_logits[i] < least) continue;
            float weight = (float)Math.Exp((_logits[i] - largest) / _options.Temperature);
            sum += weight;
            (_weights[count], _tokens[count++]) = (weight, i);
        }
        if (_options.TopP < 1) (count, sum) = Nucleus(count, sum);
        double place = _random.NextDouble() * sum;
        for (int i = 0; i < count; i++)
            if ((place -= _weights[i]) < 0) return _tokens[i];
        return _tokens[count - 1]; // rounding left the place at the very end
    }

    private float KthLargest(int k)
    {
        _logits.CopyTo(_weights.AsSpan());
        _weights.AsSpan().Sort();
        return _weights[^k];
    }

    /// <summary>Drops the least probable tokens whose probabilities sum up to at most 1 - p.</summary>
    private (int Count, double Sum) Nucleus(int count, double sum)
    {
        // Those below an even share of what may go are certain to go together, and are not sorted.
        double most = (1 - _options.TopP) * sum, certain = most / count, gone = 0;
        int kept = 0;
        for (int i = 0; i < count; i++)
            if (_weights[i] > certain) (_weights[kept], _tokens[kept++]) = (_weights[i], _tokens[i]);
            else gone += _weights[i];
        MemoryExtensions.Sort(_weights.AsSpan(0, kept), _tokens.AsSpan(0, kept));
        int first = 0;
        while (first < kept - 1 && gone + _weights[first] <= most) gone += _weights[first++];
        _weights.AsSpan(first, kept - first).CopyTo(_weights);
        _tokens.AsSpan(first, kept - first).CopyTo(_tokens);
        return (kept - first, sum - gone);
    }
}
