using Mamba.Core.Memory;

namespace Mamba.Core;

/// <summary>
/// Records the operators that run on its thread while it is open, and runs their backward passes in reverse (reverse-mode differentiation).
/// Each step holds only what its backward pass needs, and is released once that has run. Without an open tape nothing is recorded. A tape
/// stays on its thread: <see cref="Backward(Tensor)"/> and <see cref="Dispose"/> throw on another one, for instance after an await.
/// </summary>
/// <example><code>
/// using Tape tape = new();
/// Tensor loss = Ops.CrossEntropy(model.Forward(x), labels);
/// tape.Backward(loss);
/// optimizer.Step();
/// </code></example>
public readonly struct Tape : IDisposable
{
    private readonly Recording _recording;
    private readonly long _serial;

    /// <summary>
    /// Starts recording on this thread. The tape is also a <see cref="MemoryScope"/>: it owns the tensors created while it is open.
    /// </summary>
    public Tape()
    {
        Recording.Current = _recording = Recording.Open(Recording.Current);
        _serial = _recording.Serial;
    }

    /// <summary>Checks every result and gradient for NaN and infinity. Null by default, for speed; set it to locate such a value.</summary>
    public NumericsCheck? Numerics
    {
        get => Live.Numerics;
        init => _recording.Numerics = value;
    }

    /// <summary>Is notified of complete gradients during the backward pass, which can then run only once; null for none.</summary>
    public GradientWatch? Watch
    {
        get => Live.Watch;
        init
        {
            _recording.Watch = value;
            value?.Open(_recording);
        }
    }

    /// <summary>Whether a tape is open on this thread and not paused.</summary>
    public static bool IsRecording => Recording.Current is not null;

    private bool IsOpen => _recording is not null && _recording.Serial == _serial;

    private Recording Live => IsOpen ? _recording : throw new ObjectDisposedException(nameof(Tape));

    /// <summary>
    /// Whether the operator that calls this must record a step: a tape is open and a gradient flows into one of its inputs.
    /// </summary>
    /// <remarks>
    /// Call it after the operator's kernels, with all inputs. That keeps the inputs reachable while the kernels hold only their addresses.
    /// </remarks>
    /// <param name="inputs">All tensors the operator reads; null for absent ones.</param>
    /// <returns>True if a step must be pushed.</returns>
    public static bool Needs(params ReadOnlySpan<Tensor?> inputs)
    {
        bool any = false;
        foreach (Tensor? input in inputs) any |= input is { NeedsGrad: true };
        if (!any || Recording.Current is not { } recording) return false;
        if (recording.Watch is null) return true;
        foreach (Tensor? input in inputs)
            if (input is { } present) recording.Name(present);
        return true;
    }

    /// <inheritdoc cref="Needs(ReadOnlySpan{Tensor?})"/>
    internal static bool Needs(ReadOnlySpan<Tensor> inputs)
    {
        bool any = false;
        foreach (Tensor input in inputs) any |= input.NeedsGrad;
        if (!any || Recording.Current is not { } recording) return false;
        if (recording.Watch is null) return true;
        foreach (Tensor input in inputs) recording.Name(input);
        return true;
    }

    /// <summary>
    /// Stops recording on this thread until the result is disposed. Operators record no step, and no gradient flows into their results.
    /// </summary>
    /// <remarks>Memory is not affected: the tape still owns new tensors. A tape that is opened inside the pause records as usual.</remarks>
    /// <returns>The pause; end it with <c>using</c>.</returns>
    /// <example><code>
    /// using (Tape.Pause()) target = teacher.Forward(x); // a constant for the loss
    /// </code></example>
    public static RecordingPause Pause() => new(Recording.Current);

    /// <summary>Records the step that made <paramref name="output"/>.</summary>
    /// <typeparam name="TContext">Usually a tuple.</typeparam>
    /// <param name="output">The operator's result: a new tensor, not an input or a reshape of one.</param>
    /// <param name="context">
    /// The values that the backward pass reads: tensors, sizes and options. It must not hold addresses: a tensor's memory may be returned,
    /// and its values recomputed elsewhere. With a static lambda nothing else is captured, so a step allocates nothing.
    /// </param>
    /// <param name="backward">
    /// Receives the context and the gradient of the output, and adds to the gradients of those inputs that need one
    /// (<see cref="Tensor.OpenGrad"/>).
    /// </param>
    /// <param name="saved">The tensors whose values the backward pass reads; they stay alive until it has run.</param>
    /// <exception cref="InvalidOperationException">No tape is open on this thread, or it is paused.</exception>
    /// <exception cref="ArgumentException">
    /// The output takes a gradient already: it is an input, a reshape of one, or the result of another step.
    /// </exception>
    public static void Push<TContext>(
        Tensor output, TContext context, Action<TContext, Tensor> backward, params ReadOnlySpan<Tensor?> saved)
    {
        ArgumentNullException.ThrowIfNull(backward);
        Action<BackwardStep<(TContext Context, Action<TContext, Tensor> Backward)>, Tensor> run =
            static (step, dy) => step.Values.Backward(step.Values.Context, dy);
        Add([output], (context, backward), run, null, backward, saved);
    }

    /// <summary>As <see cref="Push{TContext}(Tensor, TContext, Action{TContext, Tensor}, ReadOnlySpan{Tensor?})"/>, for the operators of
    /// this library.</summary>
    internal static void Record<TContext>(
        Tensor output, TContext context, Action<BackwardStep<TContext>, Tensor> backward, params ReadOnlySpan<Tensor?> saved) =>
        Add([output], context, backward, null, backward, saved);

    /// <summary>
    /// Records a step whose result can be recomputed from its saved tensors. Later steps that save the result do not keep its memory: it is
    /// recomputed for their backward pass. For a cheap function of tensors that are kept anyway.
    /// </summary>
    /// <typeparam name="TContext">Usually a tuple.</typeparam>
    /// <param name="output">The operator's result.</param>
    /// <param name="context">The values that the backward pass and <paramref name="recompute"/> read.</param>
    /// <param name="backward">Receives the step and the gradient of the output.</param>
    /// <param name="recompute">Receives the step and the output, and writes the same values to it as before.</param>
    /// <param name="saved">The tensors whose values both read.</param>
    internal static void RecordRecomputable<TContext>(
        Tensor output, TContext context, Action<BackwardStep<TContext>, Tensor> backward, Action<BackwardStep<TContext>, Tensor> recompute,
        params ReadOnlySpan<Tensor?> saved) =>
        output.Source = Add([output], context, backward, recompute, backward, saved);

    /// <summary>Adds a tensor to those saved by the last recorded step.</summary>
    internal static void Keep(Tensor saved) => Recording.Current!.Keep(saved);

    /// <summary>Whether the open tape can recompute a tensor's values, so that a step need not save them.</summary>
    internal static bool CanRecompute(Tensor tensor) => Recording.Current is { } recording && recording.CanRecompute(tensor);

    /// <summary>
    /// Records a step with several results. Its backward pass runs when at least one of them has a gradient; the <see cref="Tensor.Grad"/>
    /// of the others is null.
    /// </summary>
    /// <typeparam name="TContext">Usually a tuple.</typeparam>
    /// <param name="outputs">The operator's results.</param>
    /// <param name="context">The values that the backward pass reads.</param>
    /// <param name="backward">Receives the context and the outputs, reads their gradients and adds to those of the inputs.</param>
    /// <param name="saved">The tensors whose values the backward pass reads.</param>
    /// <exception cref="InvalidOperationException">No tape is open on this thread, or it is paused.</exception>
    /// <exception cref="ArgumentException">
    /// There is no output, or one takes a gradient already: it is an input, a reshape of one, or the result of another step.
    /// </exception>
    public static void Push<TContext>(
        ReadOnlySpan<Tensor> outputs, TContext context, Action<TContext, ReadOnlySpan<Tensor>> backward,
        params ReadOnlySpan<Tensor?> saved)
    {
        ArgumentNullException.ThrowIfNull(backward);
        Action<BackwardStep<(TContext Context, Action<TContext, ReadOnlySpan<Tensor>> Backward)>, ReadOnlySpan<Tensor>> run =
            static (step, outputs) => step.Values.Backward(step.Values.Context, outputs);
        Add(outputs, (context, backward), run, null, backward, saved);
    }

    /// <summary>As Push with several results, for the operators of this library.</summary>
    internal static void Record<TContext>(
        ReadOnlySpan<Tensor> outputs, TContext context, Action<BackwardStep<TContext>, ReadOnlySpan<Tensor>> backward,
        params ReadOnlySpan<Tensor?> saved) =>
        Add(outputs, context, backward, null, backward, saved);

    /// <param name="outputs">The results.</param>
    /// <param name="context">The values that the backward pass reads.</param>
    /// <param name="backward">An Action, as <see cref="BackwardStep{TContext}.Of"/> takes it.</param>
    /// <param name="recompute">Recomputes the only result, or null.</param>
    /// <param name="named">A method of the operator, which gives its name in messages.</param>
    /// <param name="saved">The tensors whose values are kept.</param>
    private static BackwardStep<TContext> Add<TContext>(
        ReadOnlySpan<Tensor> outputs, TContext context, Delegate backward, Action<BackwardStep<TContext>, Tensor>? recompute,
        Delegate named, ReadOnlySpan<Tensor?> saved)
    {
        Recording recording = Recording.Current
            ?? throw new InvalidOperationException("Tape.Push: no tape records on this thread; ask Tape.Needs first.");
        if (outputs.IsEmpty) throw new ArgumentException("Tape.Push: a step without an output would never run.", nameof(outputs));
        recording.Expect(outputs);
        string place = recording.Numerics?.Results(named, outputs, saved) ?? "";
        BackwardStep<TContext> step = BackwardStep<TContext>.Of(context, backward, recompute);
        recording.Add(step, outputs, saved, place);
        return step;
    }

    /// <summary>Differentiates a loss with respect to every leaf that it depends on; gradients are added to those in the leaves.</summary>
    /// <remarks>
    /// The steps that lead to the loss are released once they have run. Other steps wait, so that losses without common steps can be
    /// differentiated one after the other. For losses that share steps, use the overload with several outputs.
    /// </remarks>
    /// <param name="loss">A tensor with one element.</param>
    /// <exception cref="ShapeException">The loss has more than one element.</exception>
    /// <inheritdoc cref="Backward(Tensor, Tensor)" path="/exception[@cref='T:System.InvalidOperationException']"/>
    public void Backward(Tensor loss)
    {
        Check.That(loss.Count == 1, "Tape.Backward", $"loss is {loss.Shape}, expected one element; for others give a cotangent");
        Backward(loss, Tensor.Full(1f, loss.Shape));
    }

    /// <summary>Differentiates sum(output * cotangent) with respect to every leaf that it depends on.</summary>
    /// <param name="output">The result of recorded operators.</param>
    /// <param name="cotangent">The weights of its elements, in the same shape.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="InvalidOperationException">
    /// The output does not depend on any leaf that requires a gradient, or was recorded by another tape. Or it depends on a step that an
    /// earlier call has walked and released; then the leaves may hold a partial gradient.
    /// </exception>
    public void Backward(Tensor output, Tensor cotangent) => Backward([output], [cotangent]);

    /// <summary>Differentiates the sum over several outputs of sum(output * cotangent).</summary>
    /// <param name="outputs">Results of recorded operators.</param>
    /// <param name="cotangents">The weights of their elements, in the same shapes.</param>
    /// <exception cref="ArgumentException">There are no outputs, or the numbers of outputs and cotangents differ.</exception>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="InvalidOperationException">
    /// An output does not depend on any leaf that requires a gradient; or the tape was opened on another thread; or the backward pass of
    /// another thread is writing to a leaf of this one.
    /// Tapes of several threads must not share leaves that require gradients: give each thread leaves of its own.
    /// </exception>
    public void Backward(ReadOnlySpan<Tensor> outputs, ReadOnlySpan<Tensor> cotangents)
    {
        Recording recording = Live;
        if (outputs.IsEmpty || outputs.Length != cotangents.Length)
            throw new ArgumentException(
                $"Tape.Backward: {outputs.Length} outputs and {cotangents.Length} cotangents; expected at least one, and as many of both.",
                nameof(outputs));
        for (int i = 0; i < outputs.Length; i++)
        {
            Check.SameShape(outputs[i], cotangents[i], "Tape.Backward");
            CheckOutput(recording, outputs[i], "Tape.Backward");
        }
        recording.WalkBack(outputs, cotangents, -1);
    }

    /// <summary>
    /// The gradients of a loss with respect to chosen tensors. The <see cref="Tensor.Grad"/> of every leaf is unchanged. Steps are released
    /// as by <see cref="Backward(Tensor)"/>. If all inputs are results, steps up to the first of them are not walked.
    /// </summary>
    /// <param name="loss">A tensor with one element.</param>
    /// <param name="inputs">Leaves that require a gradient, and results of recorded operators.</param>
    /// <returns>
    /// One gradient per input, in its shape and in the order of the inputs. They are constants, owned by the innermost scope: the tape, or
    /// a <see cref="MemoryScope"/> inside it; <see cref="Return"/> hands one on.
    /// </returns>
    /// <exception cref="ShapeException">The loss has more than one element.</exception>
    /// <exception cref="ArgumentException">There are no inputs.</exception>
    /// <exception cref="InvalidOperationException">
    /// The loss does not depend on an input, or was recorded by another tape. Or it depends on a step that an earlier call has walked and
    /// released.
    /// </exception>
    public TensorList Gradients(Tensor loss, params ReadOnlySpan<Tensor> inputs)
    {
        Recording recording = Live;
        Check.That(loss.Count == 1, "Tape.Gradients", $"loss is {loss.Shape}, expected one element");
        if (inputs.IsEmpty) throw new ArgumentException("Tape.Gradients: no inputs are given.", nameof(inputs));
        CheckOutput(recording, loss, "Tape.Gradients");
        for (int i = 0; i < inputs.Length; i++)
            if (!inputs[i].NeedsGrad)
                throw new InvalidOperationException(
                    $"Tape.Gradients: no gradient flows into input {i}, of shape {inputs[i].Shape}; "
                    + "expected a leaf with RequiresGrad, or a recorded result.");
        SeparateGradients separate = SeparateGradients.Open(recording, inputs);
        try
        {
            recording.WalkBack([loss], [Tensor.Full(1f, loss.Shape)], recording.FirstOf(inputs));
            return separate.Take(inputs);
        }
        finally
        {
            separate.Close();
        }
    }

    private static void CheckOutput(Recording recording, Tensor output, string name)
    {
        GradientCell cell = output.GradientCell
            ?? throw new InvalidOperationException($"{name}: the output does not depend on any tensor that requires a gradient. "
                + "Set Tensor.RequiresGrad on a leaf before the operators run.");
        if (cell.Recording is { } other && other != recording)
            throw new InvalidOperationException($"{name}: the output was recorded by another tape; call it on that one.");
    }

    /// <summary>
    /// Hands a tensor, such as a loss to report, to the scope around the tape, or to the garbage collector if there is none. The steps that
    /// computed it end with the tape; use its <see cref="Tensor.Detach"/> as input of further operators.
    /// </summary>
    /// <param name="tensor">A tensor created under this tape; a tensor of another owner is returned unchanged.</param>
    /// <returns>The same tensor.</returns>
    /// <exception cref="InvalidOperationException">The tape was opened on another thread.</exception>
    public Tensor Return(Tensor tensor) => Live.Return(tensor);

    /// <summary>
    /// Runs the backward pass of the last step and keeps the step, so that one operator can be timed repeatedly. Its result must have a
    /// gradient.
    /// </summary>
    internal void RepeatLastStep() => Live.RepeatLast();

    /// <summary>Stops recording and releases everything that the tape still holds.</summary>
    /// <exception cref="InvalidOperationException">
    /// A <see cref="MemoryScope"/> or tape that was opened later, or on another thread, is still open.
    /// </exception>
    public void Dispose()
    {
        if (IsOpen) Recording.CloseCurrent(_recording);
    }
}
