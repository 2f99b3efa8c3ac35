using System.Runtime.InteropServices;
using Mamba.Core.Memory;

namespace Mamba.Core;

/// <summary>The steps of an open <see cref="Tape"/>. Closed recordings are reused, so that opening a tape allocates nothing.</summary>
internal sealed class Recording
{
    /// <summary>The active recording of this thread, if any.</summary>
    [field: ThreadStatic]
    public static Recording? Current { get; set; }

    /// <summary>The recording to resume when the innermost <see cref="RecordingPause"/> of this thread ends.</summary>
    [field: ThreadStatic]
    public static Recording? Paused { get; set; }

    /// <summary>The number of the innermost pause of this thread; 0 for none.</summary>
    [field: ThreadStatic]
    public static long Pause { get; set; }

    [ThreadStatic]
    private static Stack<Recording>? s_spare;

    [ThreadStatic]
    private static long s_opened;

    private readonly List<Step> _steps = [];

    // For each step, its outputs followed by its saved tensors.
    private readonly List<Tensor> _tensors = [];

    // Closed recordings are reused only on their own thread.
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private Recording? _outer;
    private MemoryScope _scope;
    private bool _walking;

    /// <summary>The progress of a step.</summary>
    private enum State
    {
        /// <summary>Waits for a gradient.</summary>
        Recorded,

        /// <summary>Its backward pass has run, but waiting steps may need its result recomputed.</summary>
        Walked,

        /// <summary>Everything was returned.</summary>
        Released,
    }

    public NumericsCheck? Numerics { get; set; }

    public GradientWatch? Watch { get; set; }

    /// <summary>The number of this use; it increases when the tape is closed.</summary>
    public long Serial { get; private set; }

    /// <summary>Increases with each tape opened on a thread.</summary>
    public long Number { get; private set; }

    /// <summary>The values held by steps not yet released, in order. For tests.</summary>
    public IEnumerable<object?> Contexts => _steps.Select(step => step.Backward.Context);

    public static Recording Open(Recording? outer)
    {
        if (s_spare is null || !s_spare.TryPop(out Recording? recording)) recording = new Recording();
        (recording._outer, recording._scope, recording.Number) = (outer, new MemoryScope(), ++s_opened);
        TensorBody.Defer();
        return recording;
    }

    /// <summary>Closes the innermost recording of this thread; the enclosing one resumes, after its pause if there is one.</summary>
    public static void CloseCurrent(Recording recording)
    {
        Recording? outer = recording.Close();
        if (Paused == recording) Paused = outer;
        else Current = outer;
    }

    /// <summary>Closes the recordings of this thread that were opened after another one, or after none; their scopes are closed.</summary>
    public static void CloseInside(Recording? outer)
    {
        while (Current is { } open && open != outer) CloseCurrent(open);
    }

    /// <summary>Hands a tensor of this tape to the enclosing scope.</summary>
    public Tensor Return(Tensor tensor) => _scope.Return(tensor);

    /// <summary>Returns everything.</summary>
    /// <returns>The enclosing tape.</returns>
    private Recording? Close()
    {
        _scope.Dispose();
        Serial++;
        while (_steps.Count > 0) Release(_steps.Count - 1);
        Recording? outer = _outer;
        Watch?.Close(this);
        (_outer, Numerics, Watch) = (null, null, null);
        TensorBody.Resume();
        (s_spare ??= []).Push(this);
        return outer;
    }

    /// <summary>Names an input of the next step to the watch.</summary>
    public void Name(Tensor input) => Watch!.Name(input, this, _steps.Count);

    /// <summary>Marks the results of a step. Each must be new and without a gradient.</summary>
    /// <exception cref="ArgumentException">One is a tensor that takes a gradient, or a view of one.</exception>
    public void Expect(ReadOnlySpan<Tensor> outputs)
    {
        for (int i = 0; i < outputs.Length; i++)
        {
            if (outputs[i].GradientCell is null)
            {
                outputs[i].ExpectGrad(this);
                continue;
            }
            for (int j = 0; j < i; j++) outputs[j].ForgetGrad();
            throw new ArgumentException(
                $"Tape.Push: output {i}, of shape {outputs[i].Shape}, takes a gradient already: it is an input, a reshape of one, or the "
                + "result of another step. Give a tensor of its own; Tensor.Detach has the same memory and no gradient.",
                nameof(outputs));
        }
    }

    public void Add(BackwardStep backward, ReadOnlySpan<Tensor> outputs, ReadOnlySpan<Tensor?> saved, string place)
    {
        int first = _tensors.Count;
        backward.Recording = this;
        _tensors.AddRange(outputs);
        _steps.Add(new Step(backward, first, first + outputs.Length, first + outputs.Length, State.Recorded, place));
        foreach (Tensor? tensor in saved)
            if (tensor is { } present) Keep(present);
    }

    /// <summary>Adds a tensor to those saved by the last step; if its values can be recomputed, the memory is not kept.</summary>
    public void Keep(Tensor saved)
    {
        _tensors.Add(CanRecompute(saved) ? saved : saved.Retain());
        _steps[^1] = _steps[^1] with { End = _tensors.Count };
    }

    /// <summary>
    /// Whether a step of this tape can recompute the values when a later one needs them. A step of another tape cannot: that tape may be
    /// walked first. Such a step is kept until no later one waits, so the answer does not change while a step keeps the tensor.
    /// </summary>
    public bool CanRecompute(Tensor tensor) => tensor.Source?.Recording == this;

    /// <summary>The index of the first step among those that computed the inputs; -1 if one is not a result of this tape.</summary>
    public int FirstOf(ReadOnlySpan<Tensor> inputs)
    {
        int first = _steps.Count;
        foreach (Tensor input in inputs) first = Math.Min(first, IndexOf(input.GradientCell!));
        return first;
    }

    /// <summary>
    /// Walks back from outputs with these gradients, last step first. A step runs if one of its results has a gradient by then, that is, if
    /// it leads to the outputs. Steps that ran are released; the others wait for another call.
    /// </summary>
    /// <param name="outputs">Leaves or results of this tape.</param>
    /// <param name="cotangents">Their gradients, in the same shapes.</param>
    /// <param name="first">The step at which the walk ends, without running it; -1 to walk all steps.</param>
    public void WalkBack(ReadOnlySpan<Tensor> outputs, ReadOnlySpan<Tensor> cotangents, int first)
    {
        if (_walking) throw new InvalidOperationException("Tape.Backward: a backward step of this tape calls it again.");
        if (_thread != Environment.CurrentManagedThreadId)
            throw new InvalidOperationException(
                "Tape.Backward: the tape was opened on another thread. Record and differentiate on one thread, without an await between.");
        Recording? current = Current;
        (Current, _walking) = (null, true); // backward passes are not recorded
        GradientCell.BeginPass();
        try
        {
            for (int i = 0; i < outputs.Length; i++)
            {
                GradSlot seed = outputs[i].OpenGrad();
                if (seed.Accumulate) System.Numerics.Tensors.TensorPrimitives.Add(seed.Span, cotangents[i].Span, seed.Span);
                else cotangents[i].Span.CopyTo(seed.Span);
            }
            Watch?.Begin(this);
            WalkBack(first);
            Watch?.Pass(0);
        }
        finally
        {
            Watch?.Close(this);
            GradientCell.EndPass();
            (Current, _walking) = (current, false);
            Compact();
        }
    }

    /// <summary>Runs the backward pass of the last step, which is kept.</summary>
    public void RepeatLast()
    {
        Recording? current = Current;
        Current = null;
        Run(_steps[^1]);
        Current = current;
    }

    private void WalkBack(int first)
    {
        bool waiting = false; // whether a later step waits
        for (int i = _steps.Count - 1; i > first; i--)
        {
            Step step = _steps[i];
            if (step.State == State.Recorded && HasGradient(step))
            {
                if (Numerics is not null) NumericsCheck.Gradients(step.Place, Outputs(step));
                KeepIfWanted(step);
                Run(step);
                foreach (Tensor output in Outputs(step)) output.GradientCell!.Finish();
                _steps[i] = step = step with { State = State.Walked };
            }
            if (step.State == State.Walked && !(waiting && step.Backward.IsRecomputable)) Release(i);
            else waiting = true;
            Watch?.Pass(i);
        }
    }

    private void Run(in Step step)
    {
        using MemoryScope scratch = new();
        foreach (Tensor tensor in Saved(step))
            if (CanRecompute(tensor)) tensor.Recompute();
        try
        {
            step.Backward.Run(Outputs(step));
        }
        finally
        {
            foreach (Tensor tensor in Saved(step))
                if (CanRecompute(tensor)) tensor.Release();
        }
    }

    private bool HasGradient(in Step step)
    {
        foreach (Tensor output in Outputs(step))
            if (output.Grad is not null) return true;
        return false;
    }

    /// <summary>Releases a step. The last step is removed from the list; others remain until <see cref="Compact"/>.</summary>
    private void Release(int index)
    {
        Step step = _steps[index];
        foreach (Tensor tensor in Saved(step))
            if (!CanRecompute(tensor)) tensor.Release();
        foreach (Tensor output in Outputs(step))
        {
            output.GradientCell?.Finish();
            output.Source = null;
        }
        step.Backward.Release();
        if (index < _steps.Count - 1)
        {
            _steps[index] = step with { State = State.Released };
            return;
        }
        _tensors.RemoveRange(step.First, _tensors.Count - step.First);
        _steps.RemoveAt(index);
    }

    private void KeepIfWanted(in Step step)
    {
        if (SeparateGradients.Current is not { } separate) return;
        foreach (Tensor output in Outputs(step)) separate.Keep(output.GradientCell!);
    }

    /// <summary>
    /// Removes released steps from the lists. Waiting steps lose their gradients, which are incomplete if a walk ended early.
    /// </summary>
    private void Compact()
    {
        Span<Step> steps = CollectionsMarshal.AsSpan(_steps);
        Span<Tensor> tensors = CollectionsMarshal.AsSpan(_tensors);
        int remaining = 0, kept = 0;
        foreach (Step step in steps)
        {
            if (step.State == State.Released) continue;
            KeepIfWanted(step);
            foreach (Tensor output in Outputs(step)) output.GradientCell!.Drop();
            int shift = step.First - kept;
            tensors[step.First..step.End].CopyTo(tensors[kept..]);
            steps[remaining++] = step with { First = kept, Saved = step.Saved - shift, End = step.End - shift };
            kept = step.End - shift;
        }
        _steps.RemoveRange(remaining, _steps.Count - remaining);
        _tensors.RemoveRange(kept, _tensors.Count - kept);
    }

    private int IndexOf(GradientCell cell)
    {
        if (cell.Recording != this) return -1;
        for (int i = _steps.Count - 1; i >= 0; i--)
            foreach (Tensor output in Outputs(_steps[i]))
                if (output.GradientCell == cell) return i;
        return -1;
    }

    private ReadOnlySpan<Tensor> Outputs(in Step step) => CollectionsMarshal.AsSpan(_tensors)[step.First..step.Saved];

    private ReadOnlySpan<Tensor> Saved(in Step step) => CollectionsMarshal.AsSpan(_tensors)[step.Saved..step.End];

    /// <summary>A backward step; its outputs are the tensors [First, Saved), its saved tensors [Saved, End).</summary>
    private readonly record struct Step(BackwardStep Backward, int First, int Saved, int End, State State, string Place);
}
