using System.IO.Hashing;
using System.Runtime.InteropServices;
using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Training;

/// <summary>Adds the gradient of a shard to sums while the backward pass computes it: each parameter as soon as it is complete.</summary>
internal sealed class GradientStream
{
    private readonly (string Name, Tensor Tensor)[] _parameters;

    // What was added, by its hash: the sums do not show it any more.
    private readonly ulong[] _hashes;
    private GradientSums? _sums;

    public GradientStream(ParameterStore parameters)
    {
        _parameters = [.. parameters.Parameters];
        _hashes = new ulong[_parameters.Length];
        Watch = new GradientWatch(_parameters.Select(p => p.Tensor), Add);
    }

    /// <summary>For the tape of the shard.</summary>
    public GradientWatch Watch { get; }

    /// <summary>Begins with a shard, which completes a block of the sums.</summary>
    public void Begin(GradientSums sums, int shard)
    {
        _sums = sums;
        sums.Begin(shard, 1);
    }

    /// <summary>The backward pass is done.</summary>
    /// <exception cref="InvalidOperationException">A gradient has changed after it was called complete.</exception>
    public void End()
    {
        for (int i = 0; i < _hashes.Length; i++)
            if (Hash(i) != _hashes[i])
                throw new InvalidOperationException(
                    $"The gradient of {_parameters[i].Name} has changed after it was called complete; the sums are wrong.");
        _sums!.End();
    }

    private void Add(int i)
    {
        _hashes[i] = Hash(i);
        _sums!.AddFromParameter(i);
        _sums.Final!(_sums.Place, i);
    }

    private ulong Hash(int i) =>
        _parameters[i].Tensor.Grad is { } gradient ? XxHash3.HashToUInt64(MemoryMarshal.AsBytes(gradient.Span)) : 0;
}
