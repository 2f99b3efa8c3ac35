namespace Mamba.Core.Nn;

/// <summary>
/// Observes what layers compute on its thread, to explain a model. Layers query <see cref="Current"/>, usually null, and pass tensors that
/// they compute anyway. Without an observer nothing extra is computed, kept or changed. The tensors live until the layer returns, so an
/// observer copies what it keeps.
/// </summary>
/// <remarks>Under a <see cref="Tape"/> a model runs on the caller's thread, layer by layer, and no layer is folded into another.</remarks>
public abstract class LayerObserver
{
    [ThreadStatic]
    private static LayerObserver? s_current;

    /// <summary>The observer of this thread; null if there is none.</summary>
    public static LayerObserver? Current => s_current;

    /// <summary>Runs an action with this observer; the previous observer is restored afterwards.</summary>
    /// <param name="action">The action to observe, on this thread only.</param>
    public void Watch(Action action)
    {
        ArgumentNullException.ThrowIfNull(action);
        LayerObserver? outer = s_current;
        s_current = this;
        try
        {
            action();
        }
        finally
        {
            s_current = outer;
        }
    }

    /// <summary>The following layers read an image as tokens, in reading order.</summary>
    /// <param name="height">Rows of tokens.</param>
    /// <param name="width">Columns of tokens.</param>
    /// <param name="classToken">The number of image tokens before the class token; null where there is none.</param>
    public virtual void Grid(int height, int width, int? classToken)
    {
    }

    /// <summary>The following layers get the tokens in reverse order, or in reading order again.</summary>
    /// <param name="flipped">Whether the last token comes first.</param>
    public virtual void Flip(bool flipped)
    {
    }

    /// <summary>Called before a layer scans a sequence in one direction.</summary>
    /// <param name="scan">The layer's path and the inputs of its scan.</param>
    public virtual void Scan(ObservedScan scan)
    {
    }

    /// <summary>Called before a layer attends.</summary>
    /// <param name="layer">Its path in the model.</param>
    /// <param name="q">(B, Lq, Heads Dh), the queries.</param>
    /// <param name="k">(B, Lk, Heads Dh), the keys.</param>
    /// <param name="heads">Number of heads; scores are divided by sqrt(Dh).</param>
    public virtual void Attention(string layer, Tensor q, Tensor k, int heads)
    {
    }

    /// <summary>Called after a block of a convolutional model has computed its result.</summary>
    /// <param name="layer">Its path in the model.</param>
    /// <param name="output">(B, H, W, C).</param>
    public virtual void FeatureMap(string layer, Tensor output)
    {
    }
}
