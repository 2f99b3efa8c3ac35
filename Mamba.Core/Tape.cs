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
public sealed class Tape : IDisposable
{
    [ThreadStatic]
    private static Tape? s_current;

    private readonly Tape? _outer = s_current;
    private readonly MemoryScope _scope = new();
    private readonly List<Step> _steps = [];
    private bool _disposed;

    /// <summary>Starts recording on this thread. The tape is a <see cref="MemoryScope"/> as well: it owns what is made while it is open.</summary>
    public Tape() => s_current = this;

    /// <summary>Looks at every result and gradient; null, for speed, unless the place of a number that is not finite is looked for.</summary>
    public NumericsCheck? Numerics { get; init; }

    /// <summary>Whether a tape is open on this thread.</summary>
    public static bool IsRecording => s_current is not null;

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

    /// <summary>Records the step that made <paramref name="output"/>.</summary>
    /// <param name="output">The operator's result.</param>
    /// <param name="backward">Gets the gradient of the output and adds to those of the inputs that need one (<see cref="Tensor.OpenGrad"/>).</param>
    /// <param name="saved">The tensors whose values the backward pass reads: they live until it has run.</param>
    public static void Push(Tensor output, Action<Tensor> backward, params ReadOnlySpan<Tensor?> saved) =>
        Record([output], () => backward(output.Grad!), backward, saved);

    /// <summary>
    /// Records a step with several results. Its backward pass runs when at least one of them has a gradient; the <see cref="Tensor.Grad"/> of the
    /// others is null.
    /// </summary>
    /// <param name="outputs">The operator's results.</param>
    /// <param name="backward">Reads the gradients of the outputs and adds to those of the inputs.</param>
    /// <param name="saved">The tensors whose values the backward pass reads.</param>
    /// <exception cref="InvalidOperationException">No tape is open on this thread.</exception>
    public static void Push(ReadOnlySpan<Tensor> outputs, Action backward, params ReadOnlySpan<Tensor?> saved) => Record(outputs, backward, backward, saved);

    private static void Record(ReadOnlySpan<Tensor> outputs, Action backward, Delegate origin, ReadOnlySpan<Tensor?> saved)
    {
        Tape tape = s_current ?? throw new InvalidOperationException("No tape is open on this thread.");
        foreach (Tensor output in outputs) output.ExpectGrad();
        string place = tape.Numerics?.Results(origin, outputs, saved) ?? "";
        Tensor[] kept = new Tensor[Count(saved)];
        int n = 0;
        foreach (Tensor? tensor in saved)
            if (tensor is not null) kept[n++] = tensor.Retain();
        tape._steps.Add(new Step(outputs.ToArray(), backward, kept, place));
    }

    /// <summary>Differentiates a loss with respect to every leaf that it depends on; the gradients add to those that the leaves hold.</summary>
    /// <param name="loss">A tensor with one element.</param>
    /// <exception cref="ShapeException">The loss has more than one element.</exception>
    public void Backward(Tensor loss)
    {
        Check.That(loss.Count == 1, "Tape.Backward", $"loss is {loss.Shape}, expected one element; for others give a cotangent");
        Backward(loss, Tensor.Full(1f, loss.Shape.ToArray()));
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
    /// <exception cref="InvalidOperationException">An output does not depend on any leaf that requires a gradient.</exception>
    public void Backward(ReadOnlySpan<Tensor> outputs, ReadOnlySpan<Tensor> cotangents)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
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
        try
        {
            while (_steps.Count > 0)
            {
                Step step = _steps[^1];
                if (Numerics is not null) NumericsCheck.Gradients(step.Place, step.Outputs);
                step.Run();
                step.Release();
                _steps.RemoveAt(_steps.Count - 1);
            }
        }
        finally
        {
            s_current = this;
        }
    }

    /// <summary>
    /// Walks back through the last step alone and keeps it, so that the backward pass of one operator can be timed again and again. The gradient of
    /// its result must be there.
    /// </summary>
    internal void RepeatLastStep()
    {
        s_current = null;
        _steps[^1].Run();
        s_current = this;
    }

    /// <summary>Stops recording and gives back everything the tape still holds.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        s_current = _outer;
        foreach (Step step in _steps) step.Release();
        _steps.Clear();
        _scope.Dispose();
    }

    private static int Count(ReadOnlySpan<Tensor?> tensors)
    {
        int n = 0;
        foreach (Tensor? tensor in tensors)
            if (tensor is not null) n++;
        return n;
    }

    private readonly record struct Step(Tensor[] Outputs, Action Backward, Tensor[] Saved, string Place)
    {
        /// <summary>Runs the backward pass if one of the results has a gradient.</summary>
        public void Run()
        {
            if (!Array.Exists(Outputs, output => output.Grad is not null)) return;
            using MemoryScope scratch = new();
            Backward();
        }

        public void Release()
        {
            foreach (Tensor output in Outputs) output.GradientCell?.Drop();
            foreach (Tensor tensor in Saved) tensor.Release();
        }
    }
}
