using System.Numerics;
using System.Numerics.Tensors;
using Mamba.Core;
using Mamba.Core.Nn;
using Tensor = Mamba.Core.Tensor;

namespace Mamba.Models.Training;

/// <summary>A sum of the gradients of neighbouring shards.</summary>
/// <param name="First">The first shard of the step.</param>
/// <param name="Count">The number of shards: a power of two that divides <paramref name="First"/>.</param>
/// <param name="Values">The gradients of all trainable parameters, one after the other.</param>
/// <param name="Present">Whether a parameter has a gradient; one that no result depends on has none.</param>
public sealed record GradientBlock(int First, int Count, float[] Values, bool[] Present);

/// <summary>
/// Adds the gradients of a step's shards in a fixed order: the binary tree over shard numbers in which [0, 2) and [2, 4) make [0, 4).
/// Blocks that are left at the end of a step are added from the last to the first. So the sum has the same bits in whatever runs of
/// neighbours the shards were computed, and wherever.
/// </summary>
public sealed class GradientSums
{
    private readonly Tensor[] _parameters;
    private readonly int _length;
    private readonly List<GradientBlock> _blocks = [];
    private readonly Stack<GradientBlock> _spare = [];

    /// <summary>Sums of gradients of a model's trainable parameters.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <exception cref="ArgumentException">There are more than fit into an array.</exception>
    public GradientSums(ParameterStore parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        if (parameters.ParameterCount > Array.MaxLength)
            throw new ArgumentException($"GradientSums: {parameters.ParameterCount} parameters; expected at most {Array.MaxLength}.");
        _parameters = [.. parameters.Parameters.Select(p => p.Tensor)];
        _length = (int)parameters.ParameterCount;
    }

    /// <summary>The sums so far, in order. They are valid until the next call.</summary>
    public IReadOnlyList<GradientBlock> Blocks => _blocks;

    private int End => _blocks.Count == 0 ? 0 : _blocks[^1].First + _blocks[^1].Count;

    /// <summary>Begins anew.</summary>
    public void Clear()
    {
        foreach (GradientBlock block in _blocks) _spare.Push(block);
        _blocks.Clear();
    }

    /// <summary>Adds the gradients that the parameters hold.</summary>
    /// <param name="shard">The shard that they are of, after all that were added.</param>
    /// <exception cref="ArgumentException">The shard is not the next one.</exception>
    public void AddFromParameters(int shard)
    {
        ThrowIfOutOfOrder(shard, 1);
        bool joins = _blocks.Count > 0 && AreHalves(_blocks[^1], shard, 1);
        GradientBlock block = joins ? _blocks[^1] : Rent(shard, 1);
        int at = 0;
        for (int i = 0; i < _parameters.Length; i++)
        {
            Span<float> values = block.Values.AsSpan(at, _parameters[i].Count);
            at += values.Length;
            if (_parameters[i].Grad is { } gradient) Take(gradient.Span, values, ref block.Present[i], add: joins);
        }
        if (joins) _blocks[^1] = block with { Count = 2 };
        else _blocks.Add(block);
        Merge();
    }

    /// <summary>Adds sums that were made elsewhere. They are copied.</summary>
    /// <param name="block">The sums, of shards after all that were added.</param>
    /// <exception cref="ArgumentException">
    /// The block is not one of the tree, or not after the others, or of another model.
    /// </exception>
    public void Add(GradientBlock block)
    {
        ArgumentNullException.ThrowIfNull(block);
        ThrowIfOutOfOrder(block.First, block.Count);
        if (block.Values.Length != _length || block.Present.Length != _parameters.Length)
            throw new ArgumentException(
                $"GradientSums: {block.Values.Length} values of {block.Present.Length} parameters; expected {_length} of "
                    + $"{_parameters.Length}.", nameof(block));
        GradientBlock copy = Rent(block.First, block.Count);
        block.Values.CopyTo(copy.Values, 0);
        block.Present.CopyTo(copy.Present, 0);
        _blocks.Add(copy);
        Merge();
    }

    /// <summary>Adds up what is left, leaves the sum with the parameters as their gradients, and begins anew.</summary>
    /// <exception cref="InvalidOperationException">Nothing was added, or a shard before the last one is missing.</exception>
    public void MoveToParameters()
    {
        if (_blocks.Count == 0 || _blocks.Sum(block => block.Count) != End)
            throw new InvalidOperationException($"GradientSums: shards 0 to {End - 1} are not all there.");
        while (_blocks.Count > 1) Join();
        GradientBlock sum = _blocks[0];
        int at = 0;
        for (int i = 0; i < _parameters.Length; i++)
        {
            Tensor parameter = _parameters[i];
            parameter.ZeroGrad();
            if (sum.Present[i]) sum.Values.AsSpan(at, parameter.Count).CopyTo(parameter.OpenGrad().Span);
            at += parameter.Count;
        }
        Clear();
    }

    /// <summary>Joins blocks as long as the last two are the halves of one.</summary>
    private void Merge()
    {
        while (_blocks.Count > 1 && AreHalves(_blocks[^2], _blocks[^1].First, _blocks[^1].Count)) Join();
    }

    /// <summary>Whether a block and the shards from <paramref name="first"/> on are the halves of a block of the tree.</summary>
    private static bool AreHalves(GradientBlock left, int first, int count) =>
        left.Count == count && left.First + count == first && first % (2 * count) == count;

    /// <summary>Adds the last block to the one before.</summary>
    private void Join()
    {
        GradientBlock left = _blocks[^2], right = _blocks[^1];
        int at = 0;
        for (int i = 0; i < _parameters.Length; i++)
        {
            int count = _parameters[i].Count;
            if (right.Present[i]) Take(right.Values.AsSpan(at, count), left.Values.AsSpan(at, count), ref left.Present[i], add: true);
            at += count;
        }
        _spare.Push(right);
        _blocks.RemoveAt(_blocks.Count - 1);
        _blocks[^1] = left with { Count = left.Count + right.Count };
    }

    private static void Take(ReadOnlySpan<float> from, Span<float> to, ref bool present, bool add)
    {
        if (add && present) TensorPrimitives.Add(to, from, to);
        else from.CopyTo(to);
        present = true;
    }

    private GradientBlock Rent(int first, int count)
    {
        GradientBlock block = _spare.TryPop(out GradientBlock? spare)
            ? spare with { First = first, Count = count }
            : new GradientBlock(first, count, new float[_length], new bool[_parameters.Length]);
        Array.Clear(block.Present);
        return block;
    }

    private void ThrowIfOutOfOrder(int first, int count)
    {
        if (first < End || count < 1 || !BitOperations.IsPow2(count) || first % count != 0)
            throw new ArgumentException(
                $"GradientSums: {count} shards from {first}; expected a power of two that divides it, and at least {End}.");
    }
}
