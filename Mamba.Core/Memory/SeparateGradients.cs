using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mamba.Core.Memory;

/// <summary>
/// Collects the gradients of <see cref="Tape.Gradients"/> during the backward pass. Gradients of leaves, and of results of enclosing tapes,
/// are stored here instead of in the tensors. So only the tape changes, and several threads may differentiate with respect to the same
/// parameters.
/// </summary>
internal sealed class SeparateGradients
{
    [ThreadStatic]
    private static Stack<SeparateGradients>? s_spare;

    [ThreadStatic]
    private static SeparateGradients? s_current;

    // Null: a requested gradient that has not been computed yet.
    private readonly Dictionary<GradientCell, Tensor?> _gradients = [];
    private Recording _recording = null!;
    private SeparateGradients? _outer;

    /// <summary>The active collection of this thread, if any.</summary>
    public static SeparateGradients? Current => s_current;

    /// <summary>Starts collecting the gradients of these inputs, until <see cref="Close"/>.</summary>
    public static SeparateGradients Open(Recording recording, ReadOnlySpan<Tensor> inputs)
    {
        if (s_spare is null || !s_spare.TryPop(out SeparateGradients? separate)) separate = new SeparateGradients();
        (separate._recording, separate._outer) = (recording, s_current);
        foreach (Tensor input in inputs) separate._gradients[input.GradientCell!] = null;
        return s_current = separate;
    }

    /// <summary>Whether gradients of this tensor are collected here: it is a leaf, or the result of a tape opened earlier.</summary>
    public bool Takes(GradientCell cell) => cell.IsLeaf || cell.Recording!.Number < _recording.Number;

    /// <summary>The destination of the next contribution.</summary>
    public GradSlot Open(GradientCell cell)
    {
        ref Tensor? gradient = ref CollectionsMarshal.GetValueRefOrAddDefault(_gradients, cell, out _);
        bool accumulate = gradient is not null;
        gradient ??= GradientCell.Allocate(cell.Shape);
        return new GradSlot(gradient.Value, accumulate);
    }

    /// <summary>
    /// Copies the gradient of a result if it was requested: the next step may pass its memory on to an input, which adds to it.
    /// </summary>
    public void Keep(GradientCell cell)
    {
        if (!cell.HasValue) return;
        ref Tensor? wanted = ref CollectionsMarshal.GetValueRefOrNullRef(_gradients, cell);
        if (Unsafe.IsNullRef(ref wanted)) return;
        using MemoryScope _ = MemoryScope.Suspend();
        wanted = cell.Value!.Value.Clone();
    }

    /// <summary>The gradients of the inputs, in their shapes, owned by the caller's scope.</summary>
    /// <exception cref="InvalidOperationException">One was not computed.</exception>
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

    /// <summary>Returns all memory.</summary>
    public void Close()
    {
        foreach ((_, Tensor? gradient) in _gradients) gradient?.Release();
        _gradients.Clear();
        s_current = _outer;
        (_recording, _outer) = (null!, null);
        (s_spare ??= []).Push(this);
    }
}
