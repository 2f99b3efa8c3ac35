using System.Numerics.Tensors;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Core.Optim;

/// <summary>
/// The exponential moving average (EMA) of a model's weights and running statistics (Polyak and Juditsky 1992). It often performs better
/// than the last weights. The decay of update t is min(decay, t / (t + 10)), so that the initial weights are soon forgotten.
/// </summary>
public sealed class WeightAverage
{
    private readonly string[] _names;
    private readonly Tensor[] _weights, _average;
    private readonly double _decay;
    private bool _swapped;

    /// <summary>Starts at the current weights.</summary>
    /// <param name="parameters">The model's parameters and buffers.</param>
    /// <param name="decay">The factor on the old average, from 0 to 1, for instance 0.999.</param>
    /// <exception cref="ArgumentOutOfRangeException">The decay is not from 0 to 1.</exception>
    public WeightAverage(ParameterStore parameters, double decay)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(decay);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(decay, 1);
        using MemoryScope _ = MemoryScope.Suspend();
        _decay = decay;
        _names = [.. parameters.All.Select(p => p.Name)];
        _weights = [.. parameters.All.Select(p => p.Tensor)];
        _average = Array.ConvertAll(_weights, w => Tensor.From(w.Span, w.Shape.ToArray()));
    }

    /// <summary>The number of updates; set when a run resumes from a checkpoint.</summary>
    public long Updates { get; set; }

    /// <summary>The weights of the last step by name, whether swapped or not.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Weights => _names.Zip(_swapped ? _average : _weights);

    /// <summary>The average by name, whether swapped or not.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Average => _names.Zip(_swapped ? _weights : _average);

    /// <summary>Adds the current weights to the average.</summary>
    public void Update()
    {
        Updates++;
        float share = 1f - (float)Math.Min(_decay, Updates / (Updates + 10.0));
        for (int i = 0; i < _weights.Length; i++) TensorPrimitives.Lerp(_average[i].Span, _weights[i].Span, share, _average[i].Span);
    }

    /// <summary>Swaps the model's weights and the average; a second call swaps them back.</summary>
    /// <exception cref="InvalidOperationException">A weight is frozen: kernels cache its packed form. Nothing was changed.</exception>
    public void Swap()
    {
        for (int i = 0; i < _weights.Length; i++)
            if (_weights[i].Forms is not null)
                throw new InvalidOperationException($"WeightAverage.Swap: '{_names[i]}' is frozen; thaw the model first.");
        _swapped = !_swapped;
        for (int i = 0; i < _weights.Length; i++)
        {
            Span<float> weights = _weights[i].Span, average = _average[i].Span;
            for (int k = 0; k < weights.Length; k++) (weights[k], average[k]) = (average[k], weights[k]);
        }
    }
}
