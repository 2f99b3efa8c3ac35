namespace Mamba.Core;

/// <summary>What a <see cref="Tape"/> runs on its way back.</summary>
internal abstract class BackwardStep
{
    /// <summary>Runs it.</summary>
    /// <param name="outputs">The results of the step, one of which at least has a gradient.</param>
    public abstract void Run(ReadOnlySpan<Tensor> outputs);

    /// <summary>Lets go of what it refers to; it may be used again.</summary>
    public abstract void Release();
}

/// <summary>A backward pass and the values that it needs of its forward pass. Released ones are used again, so that recording allocates nothing.</summary>
internal sealed class BackwardStep<TContext> : BackwardStep
{
    [ThreadStatic]
    private static Stack<BackwardStep<TContext>>? s_spare;

    private TContext _context = default!;
    private Delegate? _backward;

    /// <param name="context">The values.</param>
    /// <param name="backward">An Action of context and gradient of the only result, or of context and all results.</param>
    public static BackwardStep<TContext> Of(TContext context, Delegate backward)
    {
        if (s_spare is null || !s_spare.TryPop(out BackwardStep<TContext>? step)) step = new BackwardStep<TContext>();
        (step._context, step._backward) = (context, backward);
        return step;
    }

    public override void Run(ReadOnlySpan<Tensor> outputs)
    {
        if (_backward is Action<TContext, Tensor> ofOne) ofOne(_context, outputs[0].Grad!.Value);
        else ((Action<TContext, ReadOnlySpan<Tensor>>)_backward!)(_context, outputs);
    }

    public override void Release()
    {
        (_context, _backward) = (default!, null);
        (s_spare ??= []).Push(this);
    }
}
