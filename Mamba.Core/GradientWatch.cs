using Mamba.Core.Memory;

namespace Mamba.Core;

/// <summary>
/// Reports during a backward pass which gradients are complete: no remaining step adds to them. They can be used while the pass computes
/// the others.
/// </summary>
/// <remarks>
/// Operators name all their inputs (<see cref="Tape.Needs(ReadOnlySpan{Tensor?})"/>) before they record a step. So no step recorded before
/// a leaf was first named writes to its gradient. The gradient is complete when the walk reaches that point, or at once if no operator
/// named the leaf. If a step writes to it nevertheless, <see cref="Tensor.OpenGrad"/> throws.
/// </remarks>
public sealed class GradientWatch
{
    private readonly Tensor[] _leaves;
    private readonly Action<int> _complete;
    private readonly GradientCell?[] _cells;

    // Leaves that no operator has named yet.
    private readonly Dictionary<GradientCell, int> _unnamed = [];

    // Leaves in the order in which they were first named, and the number of steps recorded before.
    private readonly List<int> _named = [], _stepsBefore = [];
    private Recording? _recording;
    private bool _walked;

    /// <summary>A watch for consecutive tapes of one thread.</summary>
    /// <param name="leaves">The leaves to watch, such as the parameters of a model. None is a view of another one.</param>
    /// <param name="complete">
    /// Receives the index of a leaf when its gradient is complete, once for each leaf in each backward pass. It must not run operators.
    /// </param>
    public GradientWatch(IEnumerable<Tensor> leaves, Action<int> complete)
    {
        ArgumentNullException.ThrowIfNull(leaves);
        ArgumentNullException.ThrowIfNull(complete);
        (_leaves, _complete) = ([.. leaves], complete);
        _cells = new GradientCell?[_leaves.Length];
    }

    /// <summary>Starts with an opened tape.</summary>
    internal void Open(Recording recording)
    {
        Clear();
        (_recording, _walked) = (recording, false);
        for (int i = 0; i < _leaves.Length; i++)
        {
            _cells[i] = _leaves[i].GradientCell is { IsLeaf: true } cell ? cell : null;
            if (_cells[i] is { } leaf) _unnamed[leaf] = i;
        }
    }

    /// <summary>Called when an operator of the tape names an input.</summary>
    internal void Name(Tensor input, Recording recording, int steps)
    {
        if (recording != _recording || input.GradientCell is not { IsLeaf: true } cell || !_unnamed.Remove(cell, out int leaf)) return;
        _named.Add(leaf);
        _stepsBefore.Add(steps);
    }

    /// <summary>Called before the tape is walked.</summary>
    /// <exception cref="InvalidOperationException">It was already walked, or another tape uses the watch.</exception>
    internal void Begin(Recording recording)
    {
        if (recording != _recording || _walked)
            throw new InvalidOperationException(
                "GradientWatch: it watches one backward pass of one tape; open a tape for each, one after the other.");
        _walked = true;
        for (int i = _leaves.Length - 1; i >= 0; i--)
            if (_cells[i] is not { } cell || _unnamed.ContainsKey(cell)) Tell(i);
    }

    /// <summary>Called when the steps from this one on have been walked.</summary>
    internal void Pass(int step)
    {
        while (_stepsBefore.Count > 0 && _stepsBefore[^1] >= step)
        {
            int leaf = _named[^1];
            _named.RemoveAt(_named.Count - 1);
            _stepsBefore.RemoveAt(_stepsBefore.Count - 1);
            Tell(leaf);
        }
    }

    /// <summary>Called when the tape was walked or closed; leaves accept gradients again.</summary>
    internal void Close(Recording recording)
    {
        if (recording == _recording) Clear();
    }

    private void Clear()
    {
        foreach (GradientCell? cell in _cells) cell?.IsComplete = false;
        _unnamed.Clear();
        _named.Clear();
        _stepsBefore.Clear();
    }

    private void Tell(int leaf)
    {
        _cells[leaf]?.IsComplete = true;
        _complete(leaf);
    }
}
