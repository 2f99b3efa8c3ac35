namespace Mamba.Core;

/// <summary>A recorded backward step of a <see cref="Tape"/>.</summary>
internal abstract class BackwardStep
{
    /// <summary>The tape that holds this step; null once it is released.</summary>
    public Recording? Recording { get; set; }

    /// <summary>The values that the step reads, for tests.</summary>
    public abstract object? Context { get; }

    /// <summary>Whether it can recompute its result.</summary>
    public abstract bool IsRecomputable { get; }

    /// <summary>Runs the backward step.</summary>
    /// <param name="outputs">The results of the step; at least one has a gradient.</param>
    public abstract void Run(ReadOnlySpan<Tensor> outputs);

    /// <summary>Recomputes the values of its only result from the saved values.</summary>
    /// <param name="output">The result, whose elements are undefined.</param>
    public abstract void Recompute(Tensor output);

    /// <summary>Drops all references; the object may be reused.</summary>
    public abstract void Release();
}

/// <summary>
/// A backward pass and the values that it needs from its forward pass. Released steps are reused, so that recording allocates nothing.
/// </summary>
/// <remarks>Delegates take the step, not its values: AOT compilation keeps every method of a struct in a delegate's signature.</remarks>
internal sealed class BackwardStep<TContext> : BackwardStep
{
    [ThreadStatic]
    private static Stack<BackwardStep<TContext>>? s_spare;

    private TContext _context = default!;
    private Delegate? _backward;
    private Action<BackwardStep<TContext>, Tensor>? _recompute;

    public override object? Context => _context;

    /// <summary>The values that the step reads.</summary>
    public ref readonly TContext Values => ref _context;

    public override bool IsRecomputable => _recompute is not null;

    /// <param name="context">The values.</param>
    /// <param name="backward">An Action of this step and the gradient of the only result, or of this step and all results.</param>
    /// <param name="recompute">Recomputes the only result, or null.</param>
    public static BackwardStep<TContext> Of(TContext context, Delegate backward, Action<BackwardStep<TContext>, Tensor>? recompute)
    {
        if (s_spare is null || !s_spare.TryPop(out BackwardStep<TContext>? step)) step = new BackwardStep<TContext>();
        (step._context, step._backward, step._recompute) = (context, backward, recompute);
        return step;
    }

    public override void Run(ReadOnlySpan<Tensor> outputs)
    {
        if (_backward is Action<BackwardStep<TContext>, Tensor> ofOne) ofOne(this, outputs[0].Grad!.Value);
        else ((Action<BackwardStep<TContext>, ReadOnlySpan<Tensor>>)_backward!)(this, outputs);
    }

    public override void Recompute(Tensor output) => _recompute!(this, output);

    public override void Release()
    {
        (_context, _backward, _recompute, Recording) = (default!, null, null, null);
        (s_spare ??= []).Push(this);
    }
}
