using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mamba.Core.Memory;

/// <summary>
/// Where <see cref="Tape.Gradients"/> collects gradients while it walks back. Those of leaves, and of results of tapes around this one,
/// come here instead of to the tensors. So nothing but the tape changes, and several threads may differentiate by the same parameters.
/// </summary>
internal sealed class SeparateGradients
{
    [ThreadStatic]
    private static Stack<SeparateGradients>? s_spare;

    [ThreadStatic]
    private static SeparateGradients? s_current;

    // Null: a gradient that is wanted and has not come.
    private readonly Dictionary<GradientCell, Tensor?> _gradients = [];
    private Recording _recording = null!;
    private SeparateGradients? _outer;

    /// <summary>The one that is in use on this thread, if any.</summary>
    public static SeparateGradients? Current => s_current;

    /// <summary>Begins to collect the gradients of these inputs, until <see cref="Close"/>.</summary>
    public static SeparateGradients Open(Recording recording, ReadOnlySpan<Tensor> inputs)
    {
        if (s_spare is null || !s_spare.TryPop(out SeparateGradients? separate)) separate = new SeparateGradients();
        (separate._recording, separate._outer) = (recording, s_current);
        foreach (Tensor input in inputs) separate._gradients[input.GradientCell!] = null;
        return s_current = separate;
    }

    /// <summary>Whether gradients of this tensor come here: it is a leaf, or the result of a tape that was opened earlier.</summary>
    public bool Takes(GradientCell cell) => cell.IsLeaf || cell.Recording!.Number < _recording.Number;

    /// <summary>The place of the next contribution.</summary>
    public GradSlot Open(GradientCell cell)
    {
        ref Tensor? gradient = ref CollectionsMarshal.GetValueRefOrAddDefault(_gradients, cell, out _);
        bool accumulate = gradient is not null;
        gradient ??= GradientCell.Allocate(cell.Shape);
        return new GradSlot(gradient.Value, accumulate);
    }

    /// <summary>
    /// Copies the gradient of a result if it is wanted. The step that comes next may pass its memory on to an input, which adds to it.
    /// </summary>
    public void Keep(GradientCell cell)
    {
        if (!cell.HasValue) return;
        ref Tensor? wanted = ref CollectionsMarshal.GetValueRefOrNullRef(_gradients, cell);
        if (Unsafe.IsNullRef(ref wanted)) return;
        using MemoryScope _ = MemoryScope.Suspend();
        wanted = cell.Value!.Value.Clone();
    }

    /// <summary>The gradients of the inputs, in their shapes. They belong to the caller's scope.</summary>
    /// <exception cref="InvalidOperationException">One has not come.</exception>
    public TensorList Take(ReadOnlySpan<Tensor> inputs)
    {
        TensorList gradients = default;
        for (int i = 0; i < inputs.Length; i++)
        {
            Tensor gradient = _gradients[inputs[i].GradientCell!]
                ?? throw new InvalidOperationException(
                    $"Tape.Gradients: the loss does not depend on input {i}, of shape {inputs[i].Shape}.");
            gradients = gradients.Append(gradient.Reshape(inputs[i].Shape));
        }
        return gradients;
    }

    /// <summary>Gives everything back.</summary>
    public void Close()
    {
        foreach ((_, Tensor? gradient) in _gradients) gradient?.Release();
        _gradients.Clear();
        s_current = _outer;
        (_recording, _outer) = (null!, null);
        (s_spare ??= []).Push(this);
    }
}
