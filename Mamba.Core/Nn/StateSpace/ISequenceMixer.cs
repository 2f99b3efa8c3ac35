namespace Mamba.Core.Nn;

/// <summary>
/// A layer that mixes each token of a sequence with those before it. It runs over the whole sequence, part by part, or token by token; all
/// three give the same results up to rounding.
/// </summary>
public interface ISequenceMixer : IModule
{
    /// <summary>Mixes a sequence, or the next part of one.</summary>
    /// <param name="x">(B, L, d_model).</param>
    /// <param name="residual">(B, L, d_model), added to the result; or null.</param>
    /// <param name="state">The state before x; updated. Null where x is the whole sequence. Gradients do not flow between parts.</param>
    /// <returns>(B, L, d_model).</returns>
    /// <exception cref="ShapeException">
    /// The tokens or the residual do not fit, or the state has another batch or configuration. The state is unchanged then.
    /// </exception>
    /// <remarks>
    /// Any other exception, such as a <see cref="TimeLimitException"/>, may come after the state has moved. To repeat the tokens, start
    /// from a copy of the state or reset it.
    /// </remarks>
    Tensor Forward(Tensor x, Tensor? residual, SequenceState? state = null);

    /// <summary>The state before the first token.</summary>
    /// <param name="batch">Batch size.</param>
    /// <returns>A state that fits this layer.</returns>
    SequenceState NewState(int batch);

    /// <summary>
    /// Mixes one token. Memory does not grow with the number of tokens (except for attention), and after warm-up a step allocates nothing.
    /// </summary>
    /// <param name="x">(B, d_model).</param>
    /// <param name="state">The state before the token; updated.</param>
    /// <returns>(B, d_model).</returns>
    /// <exception cref="ShapeException">The token does not fit, or the state has another batch or configuration.</exception>
    Tensor Step(Tensor x, SequenceState state);
}
