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
    private readonly int[] _starts;
    private readonly List<GradientBlock> _blocks = [];
    private readonly Stack<GradientBlock> _spare = [];

    // The gradient that is being added: the last blocks to which it goes one after the other, the shards of the block that they make, and
    // the parameters that are to come.
    private int _levels, _count, _missing;

    /// <summary>Sums of gradients of a model's trainable parameters.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <exception cref="ArgumentException">There are more than fit into an array.</exception>
    public GradientSums(ParameterStore parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        if (parameters.ParameterCount > Array.MaxLength)
            throw new ArgumentException($"GradientSums: {parameters.ParameterCount} parameters; expected at most {Array.MaxLength}.");
        _parameters = [.. parameters.Parameters.Select(p => p.Tensor)];
        _starts = new int[_parameters.Length + 1];
        for (int i = 0; i < _parameters.Length; i++) _starts[i + 1] = _starts[i] + _parameters[i].Count;
    }

    /// <summary>
    /// Hears which sums are final while <see cref="ShardGradients"/> computes neighbouring shards: the place of a block in
    /// <see cref="Blocks"/>, and the number of a parameter, each pair once. The thread that computes calls it in the middle of a backward
    /// pass; it may read those values. Null for nobody.
    /// </summary>
    public Action<int, int>? Final { get; init; }

    /// <summary>The sums so far, in order. They are valid until the next call.</summary>
    public IReadOnlyList<GradientBlock> Blocks => _blocks;

    /// <summary>Where the values of each parameter begin in a block, and where the last one's end.</summary>
    public IReadOnlyList<int> Starts => _starts;

    /// <summary>The place of the block to which a gradient is being added.</summary>
    internal int Place => _blocks.Count - _levels;

    private int Next => _blocks.Count == 0 ? 0 : _blocks[^1].First + _blocks[^1].Count;

    /// <summary>The blocks that the sums of neighbouring shards are.</summary>
    /// <param name="first">The first shard.</param>
    /// <param name="end">Behind the last one.</param>
    /// <returns>The first shard and the number of shards of each block, in order.</returns>
    public static IReadOnlyList<(int First, int Count)> BlocksOf(int first, int end)
    {
        List<(int First, int Count)> blocks = [];
        for (int shard = first; shard < end; shard++)
        {
            (int First, int Count) block = (shard, 1);
            while (blocks.Count > 0 && AreHalves(blocks[^1], block))
            {
                block = (blocks[^1].First, 2 * block.Count);
                blocks.RemoveAt(blocks.Count - 1);
            }
            blocks.Add(block);
        }
        return blocks;
    }

    /// <summary>Begins anew.</summary>
    public void Clear()
    {
        _levels = 0;
        foreach (GradientBlock block in _blocks) _spare.Push(block);
        _blocks.Clear();
    }

    /// <summary>Adds the gradients that the parameters hold.</summary>
    /// <param name="shard">The shard that they are of, after all that were added.</param>
    /// <exception cref="ArgumentException">The shard is not the next one.</exception>
    public void AddFromParameters(int shard)
    {
        Begin(shard, 1);
        for (int i = 0; i < _parameters.Length; i++) AddFromParameter(i);
        End();
    }

    /// <summary>Begins to add the gradient of shards: each parameter once, in any order, and then <see cref="End"/>.</summary>
    internal void Begin(int first, int count)
    {
        ThrowIfOutOfOrder(first, count);
        (int First, int Count) sum = (first, count);
        int joins = 0;
        while (joins < _blocks.Count && AreHalves((_blocks[^(joins + 1)].First, _blocks[^(joins + 1)].Count), sum))
            sum = (_blocks[^++joins].First, 2 * sum.Count);
        if (joins == 0) _blocks.Add(Rent(first, count));
        (_levels, _count, _missing) = (Math.Max(joins, 1), sum.Count, _parameters.Length);
    }

    /// <summary>Adds the gradient that a parameter holds.</summary>
    internal void AddFromParameter(int i)
    {
        if (_parameters[i].Grad is { } gradient) Add(i, gradient.Span, true);
        else Add(i, default, false);
    }

    /// <summary>Joins the blocks to which a gradient was added.</summary>
    internal void End()
    {
        if (_missing != 0) throw new InvalidOperationException($"GradientSums: {_missing} parameters were not added.");
        for (; _levels > 1; _levels--)
        {
            _spare.Push(_blocks[^1]);
            _blocks.RemoveAt(_blocks.Count - 1);
        }
        if (_blocks[^1].Count != _count) _blocks[^1] = _blocks[^1] with { Count = _count };
        _levels = 0;
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
        if (block.Values.Length != _starts[^1] || block.Present.Length != _parameters.Length)
            throw new ArgumentException(
                $"GradientSums: {block.Values.Length} values of {block.Present.Length} parameters; expected {_starts[^1]} of "
                    + $"{_parameters.Length}.", nameof(block));
        Begin(block.First, block.Count);
        for (int i = 0; i < _parameters.Length; i++) Add(i, Values(block, i), block.Present[i]);
        End();
    }

    /// <summary>Adds up what is left, leaves the sum with the parameters as their gradients, and begins anew.</summary>
    /// <exception cref="InvalidOperationException">Nothing was added, or a shard before the last one is missing.</exception>
    public void MoveToParameters()
    {
        if (_blocks.Count == 0 || _blocks.Sum(block => block.Count) != Next)
            throw new InvalidOperationException($"GradientSums: shards 0 to {Next - 1} are not all there.");
        while (_blocks.Count > 1) Join();
        GradientBlock sum = _blocks[0];
        for (int i = 0; i < _parameters.Length; i++)
        {
            _parameters[i].ZeroGrad();
            if (sum.Present[i]) Values(sum, i).CopyTo(_parameters[i].OpenGrad().Span);
        }
        Clear();
    }

    /// <summary>Whether two blocks are the halves of a block of the tree.</summary>
    private static bool AreHalves((int First, int Count) left, (int First, int Count) right) =>
        left.Count == right.Count && left.First + left.Count == right.First && right.First % (2 * right.Count) == right.Count;

    /// <summary>
    /// Adds a parameter's gradient to the last block, that sum to the block before, and so on. So its values stay in the cache, and are
    /// final before those of other parameters.
    /// </summary>
    private void Add(int i, ReadOnlySpan<float> values, bool present)
    {
        _missing--;
        for (int level = 1; level <= _levels; level++)
        {
            GradientBlock left = _blocks[^level];
            Span<float> sum = Values(left, i);
            if (present) Take(values, sum, ref left.Present[i]);
            values = sum;
            present = left.Present[i];
        }
    }

    /// <summary>Adds the last block to the one before.</summary>
    private void Join()
    {
        GradientBlock right = _blocks[^1], left = _blocks[^2];
        for (int i = 0; i < _parameters.Length; i++)
            if (right.Present[i]) Take(Values(right, i), Values(left, i), ref left.Present[i]);
        _spare.Push(right);
        _blocks.RemoveAt(_blocks.Count - 1);
        _blocks[^1] = left with { Count = left.Count + right.Count };
    }

    private Span<float> Values(GradientBlock block, int i) => block.Values.AsSpan(_starts[i].._starts[i + 1]);

    private static void Take(ReadOnlySpan<float> from, Span<float> to, ref bool present)
    {
        if (present) TensorPrimitives.Add(to, from, to);
        else from.CopyTo(to);
        present = true;
    }

    private GradientBlock Rent(int first, int count)
    {
        GradientBlock block = _spare.TryPop(out GradientBlock? spare)
            ? spare with { First = first, Count = count }
            : new GradientBlock(first, count, new float[_starts[^1]], new bool[_parameters.Length]);
        Array.Clear(block.Present);
        return block;
    }

    private void ThrowIfOutOfOrder(int first, int count)
    {
        if (_levels > 0) throw new InvalidOperationException("GradientSums: the gradient before was not added to its end.");
        if (first < Next || count < 1 || !BitOperations.IsPow2(count) || first % count != 0)
            throw new ArgumentException(
                $"GradientSums: {count} shards from {first}; expected a power of two that divides it, and at least {Next}.");
    }
}
