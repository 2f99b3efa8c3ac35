using System.Runtime.InteropServices;
using Mamba.Core.Memory;

namespace Mamba.Core;

/// <summary>
/// Records the operators that run on its thread while it is open, and walks them backwards (reverse-mode differentiation). Each step holds only
/// what its backward pass needs, and is let go as soon as that has run. Without an open tape nothing is recorded.
/// </summary>
/// <example><code>
/// using Tape tape = new();
/// Tensor loss = Ops.CrossEntropy(model.Forward(x), labels);
/// tape.Backward(loss);
/// optimizer.Step();
/// </code></example>
public readonly struct Tape : IDisposable
{
    [ThreadStatic]
    private static Recording? s_current;

    private readonly Recording _recording;
    private readonly long _serial;

    /// <summary>Starts recording on this thread. The tape is a <see cref="MemoryScope"/> as well: it owns what is made while it is open.</summary>
    public Tape()
    {
        s_current = _recording = Recording.Open(s_current);
        _serial = _recording.Serial;
    }

    /// <summary>Looks at every result and gradient; null, for speed, unless the place of a number that is not finite is looked for.</summary>
    public NumericsCheck? Numerics
    {
        get => Live.Numerics;
        init => _recording.Numerics = value;
    }

    /// <summary>Whether a tape is open on this thread.</summary>
    public static bool IsRecording => s_current is not null;

    private bool IsOpen => _recording is not null && _recording.Serial == _serial;

    private Recording Live => IsOpen ? _recording : throw new ObjectDisposedException(nameof(Tape));

    /// <summary>
    /// Whether the operator that calls this must record a step: a tape is open and a gradient flows into one of its inputs.
    /// </summary>
    /// <remarks>
    /// To be called after the operator's kernels, with all inputs: that keeps the inputs reachable while the kernels hold nothing but their addresses.
    /// </remarks>
    /// <param name="inputs">All tensors the operator reads; null for absent ones.</param>
    /// <returns>True if a step must be pushed.</returns>
    public static bool Needs(params ReadOnlySpan<Tensor?> inputs)
    {
        bool any = false;
        foreach (Tensor? input in inputs) any |= input is { NeedsGrad: true };
        return any && s_current is not null;
    }

    /// <inheritdoc cref="Needs(ReadOnlySpan{Tensor?})"/>
    internal static bool Needs(ReadOnlySpan<Tensor> inputs)
    {
        bool any = false;
        foreach (Tensor input in inputs) any |= input.NeedsGrad;
        return any && s_current is not null;
    }

    /// <summary>Records the step that made <paramref name="output"/>.</summary>
    /// <typeparam name="TContext">A tuple, usually.</typeparam>
    /// <param name="output">The operator's result.</param>
    /// <param name="context">What the backward pass reads. With a static lambda there is nothing else, and so a step allocates nothing.</param>
    /// <param name="backward">
    /// Gets the context and the gradient of the output, and adds to the gradients of those inputs that need one (<see cref="Tensor.OpenGrad"/>).
    /// </param>
    /// <param name="saved">The tensors whose values the backward pass reads: they live until it has run.</param>
    /// <exception cref="InvalidOperationException">No tape is open on this thread.</exception>
    public static void Push<TContext>(Tensor output, TContext context, Action<TContext, Tensor> backward, params ReadOnlySpan<Tensor?> saved) =>
        Record([output], context, backward, null, saved);

    /// <summary>
    /// Records a step whose result can be computed again from what it has saved: later steps that save the result do not keep its memory, and have it
    /// computed again when their backward pass comes. For a cheap function of tensors that are kept in any case.
    /// </summary>
    /// <typeparam name="TContext">A tuple, usually.</typeparam>
    /// <param name="output">The operator's result.</param>
    /// <param name="context">What the backward pass and <paramref name="recompute"/> read.</param>
    /// <param name="backward">Gets the context and the gradient of the output.</param>
    /// <param name="recompute">Gets the context and the output, and writes the same values to it as before.</param>
    /// <param name="saved">The tensors whose values both read.</param>
    internal static void PushRecomputable<TContext>(
        Tensor output, TContext context, Action<TContext, Tensor> backward, Action<TContext, Tensor> recompute, params ReadOnlySpan<Tensor?> saved) =>
        output.Source = Record([output], context, backward, recompute, saved);

    /// <summary>Lets the step that was recorded last save one more tensor.</summary>
    internal static void Keep(Tensor saved) => s_current!.Keep(saved);

    /// <summary>
    /// Records a step with several results. Its backward pass runs when at least one of them has a gradient; the <see cref="Tensor.Grad"/> of the
    /// others is null.
    /// </summary>
    /// <typeparam name="TContext">A tuple, usually.</typeparam>
    /// <param name="outputs">The operator's results.</param>
    /// <param name="context">What the backward pass reads.</param>
    /// <param name="backward">Gets the context and the outputs, reads their gradients and adds to those of the inputs.</param>
    /// <param name="saved">The tensors whose values the backward pass reads.</param>
    /// <exception cref="InvalidOperationException">No tape is open on this thread.</exception>
    public static void Push<TContext>(
        ReadOnlySpan<Tensor> outputs, TContext context, Action<TContext, ReadOnlySpan<Tensor>> backward, params ReadOnlySpan<Tensor?> saved) =>
        Record(outputs, context, backward, null, saved);

    private static BackwardStep<TContext> Record<TContext>(
        ReadOnlySpan<Tensor> outputs, TContext context, Delegate backward, Action<TContext, Tensor>? recompute, ReadOnlySpan<Tensor?> saved)
    {
        Recording recording = s_current ?? throw new InvalidOperationException("No tape is open on this thread.");
        foreach (Tensor output in outputs) output.ExpectGrad();
        string place = recording.Numerics?.Results(backward, outputs, saved) ?? "";
        BackwardStep<TContext> step = BackwardStep<TContext>.Of(context, backward, recompute);
        recording.Add(step, outputs, saved, place);
        return step;
    }

    /// <summary>Differentiates a loss with respect to every leaf that it depends on; the gradients add to those that the leaves hold.</summary>
    /// <param name="loss">A tensor with one element.</param>
    /// <exception cref="ShapeException">The loss has more than one element.</exception>
    public void Backward(Tensor loss)
    {
        Check.That(loss.Count == 1, "Tape.Backward", $"loss is {loss.Shape}, expected one element; for others give a cotangent");
        Backward(loss, Tensor.Full(1f, loss.Shape));
    }

    /// <summary>Differentiates sum(output * cotangent) with respect to every leaf that it depends on.</summary>
    /// <param name="output">The result of recorded operators.</param>
    /// <param name="cotangent">The weight of each of its elements, in the same shape.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="InvalidOperationException">The output does not depend on any leaf that requires a gradient.</exception>
    public void Backward(Tensor output, Tensor cotangent) => Backward([output], [cotangent]);

    /// <summary>Differentiates the sum over several outputs of sum(output * cotangent).</summary>
    /// <param name="outputs">Results of recorded operators.</param>
    /// <param name="cotangents">The weights of their elements, in the same shapes.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="InvalidOperationException">
    /// An output does not depend on any leaf that requires a gradient; or the backward pass of another thread is writing to a leaf of this
    /// one. Tapes of
    /// several threads must not share leaves that require gradients: give each thread leaves of its own.
    /// </exception>
    public void Backward(ReadOnlySpan<Tensor> outputs, ReadOnlySpan<Tensor> cotangents)
    {
        Recording recording = Live;
        Check.That(outputs.Length == cotangents.Length, "Tape.Backward", $"{outputs.Length} outputs and {cotangents.Length} cotangents");
        for (int i = 0; i < outputs.Length; i++)
        {
            Check.SameShape(outputs[i], cotangents[i], "Tape.Backward");
            if (!outputs[i].NeedsGrad) throw new InvalidOperationException("Tape.Backward: the output does not depend on any tensor that requires a gradient.");
            GradSlot seed = outputs[i].OpenGrad();
            if (seed.Accumulate) System.Numerics.Tensors.TensorPrimitives.Add(seed.Span, cotangents[i].Span, seed.Span);
            else cotangents[i].Span.CopyTo(seed.Span);
        }

        s_current = null; // what backward passes compute is not recorded
        GradientCell.BeginPass();
        try
        {
            recording.WalkBack();
        }
        finally
        {
            GradientCell.EndPass();
            s_current = recording;
        }
    }

    /// <summary>
    /// Walks back through the last step alone and keeps it, so that the backward pass of one operator can be timed again and again. The gradient of
    /// its result must be there.
    /// </summary>
    internal void RepeatLastStep()
    {
        Recording recording = Live;
        s_current = null;
        recording.RunLast();
        s_current = recording;
    }

    /// <summary>Stops recording and gives back everything the tape still holds.</summary>
    /// <exception cref="InvalidOperationException">A <see cref="MemoryScope"/> or tape that was opened later, or on another thread, is still open.</exception>
    public void Dispose()
    {
        if (IsOpen) s_current = _recording.Close();
    }

    /// <summary>Until disposed, the operators of this thread are not recorded.</summary>
    internal readonly struct Paused : IDisposable
    {
        private readonly Recording? _recording;

        public Paused() => (_recording, s_current) = (s_current, null);

        public void Dispose() => s_current = _recording;
    }

    /// <summary>The steps of an open tape. Closed ones are used again, so that opening a tape allocates nothing.</summary>
    private sealed class Recording
    {
        [ThreadStatic]
        private static Stack<Recording>? s_spare;

        private readonly List<Step> _steps = [];

        // Step by step, its outputs and then what it saved.
        private readonly List<Tensor> _tensors = [];
        private Recording? _outer;
        private MemoryScope _scope;

        public NumericsCheck? Numerics { get; set; }

        /// <summary>The number of this use; it grows when the tape is closed.</summary>
        public long Serial { get; private set; }

        public static Recording Open(Recording? outer)
        {
            if (s_spare is null || !s_spare.TryPop(out Recording? recording)) recording = new Recording();
            (recording._outer, recording._scope) = (outer, new MemoryScope());
            TensorBody.Defer();
            return recording;
        }

        /// <summary>Gives everything back.</summary>
        /// <returns>The tape around it.</returns>
        public Recording? Close()
        {
            _scope.Dispose();
            Serial++;
            while (_steps.Count > 0) ReleaseLast();
            Recording? outer = _outer;
            (_outer, Numerics) = (null, null);
            TensorBody.Resume();
            (s_spare ??= []).Push(this);
            return outer;
        }

        public void Add(BackwardStep backward, ReadOnlySpan<Tensor> outputs, ReadOnlySpan<Tensor?> saved, string place)
        {
            int first = _tensors.Count;
            _tensors.AddRange(outputs);
            foreach (Tensor? tensor in saved)
                if (tensor is { } present) Keep(present);
            _steps.Add(new Step(backward, first, first + outputs.Length, place));
        }

        /// <summary>Puts a tensor at the end of what the last step saved; where the memory can be had again, it is not kept.</summary>
        public void Keep(Tensor saved) => _tensors.Add(saved.Source is null ? saved.Retain() : saved);

        public void WalkBack()
        {
            while (_steps.Count > 0)
            {
                if (Numerics is not null) NumericsCheck.Gradients(_steps[^1].Place, Outputs(_steps[^1]));
                RunLast();
                ReleaseLast();
            }
        }

        /// <summary>Runs the backward pass of the last step if one of its results has a gradient.</summary>
        public void RunLast()
        {
            Step step = _steps[^1];
            bool any = false;
            foreach (Tensor output in Outputs(step)) any |= output.Grad is not null;
            if (!any) return;
            using MemoryScope scratch = new();
            foreach (Tensor tensor in Saved(step))
                if (tensor.Source is not null) tensor.Recompute();
            step.Backward.Run(Outputs(step));
            foreach (Tensor tensor in Saved(step))
                if (tensor.Source is not null) tensor.Release();
        }

        private void ReleaseLast()
        {
            Step step = _steps[^1];
            foreach (Tensor tensor in Saved(step))
                if (tensor.Source is null) tensor.Release();
            foreach (Tensor output in Outputs(step))
            {
                output.GradientCell?.Drop();
                output.Source = null;
            }
            step.Backward.Release();
            _tensors.RemoveRange(step.First, _tensors.Count - step.First);
            _steps.RemoveAt(_steps.Count - 1);
        }

        /// <summary>What the last step saved.</summary>
        private ReadOnlySpan<Tensor> Saved(in Step last) => CollectionsMarshal.AsSpan(_tensors)[last.Saved..];

        private ReadOnlySpan<Tensor> Outputs(in Step step) => CollectionsMarshal.AsSpan(_tensors)[step.First..step.Saved];

        /// <summary>A backward pass; its outputs are the tensors [First, Saved), and what it saved follows them.</summary>
        private readonly record struct Step(BackwardStep Backward, int First, int Saved, string Place);
    }
}
