namespace Mamba.Core.Nn;

/// <summary>
/// Sees what layers compute on its own thread, to explain a model. Layers ask for <see cref="Current"/>, which is null as a rule, and hand
/// over tensors that they have in any case: nothing is computed, kept or changed where nobody watches. What they hand over lives until the
/// layer returns, so an observer copies what it keeps.
/// </summary>
/// <remarks>Under a <see cref="Tape"/> a model runs on the caller's thread, layer by layer, and no layer is folded into another.</remarks>
public abstract class LayerObserver
{
    [ThreadStatic]
    private static LayerObserver? s_current;

    /// <summary>The observer of this thread; null where nobody watches.</summary>
    public static LayerObserver? Current => s_current;

    /// <summary>Runs an action under the eyes of this observer. One that watched before watches again afterwards.</summary>
    /// <param name="action">What is watched; on this thread alone.</param>
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

    /// <summary>The layers that follow read an image as tokens, in reading order.</summary>
    /// <param name="height">Rows of tokens.</param>
    /// <param name="width">Columns of tokens.</param>
    /// <param name="classToken">How many tokens of the image stand before a class token; null where there is none.</param>
    public virtual void Grid(int height, int width, int? classToken)
    {
    }

    /// <summary>The layers that follow get the tokens from the last to the first, or in reading order again.</summary>
    /// <param name="flipped">Whether the last token comes first.</param>
    public virtual void Flip(bool flipped)
    {
    }

    /// <summary>A layer is about to scan a sequence in one direction.</summary>
    /// <param name="scan">Its name and what it scans with.</param>
    public virtual void Scan(ObservedScan scan)
    {
    }

    /// <summary>A layer is about to attend.</summary>
    /// <param name="layer">Its place in the model.</param>
    /// <param name="q">(B, Lq, Heads Dh), the queries.</param>
    /// <param name="k">(B, Lk, Heads Dh), the keys.</param>
    /// <param name="heads">How many heads; scores are divided by the root of Dh.</param>
    public virtual void Attention(string layer, Tensor q, Tensor k, int heads)
    {
    }

    /// <summary>A block of a convolutional model has computed its result.</summary>
    /// <param name="layer">Its place in the model.</param>
    /// <param name="output">(B, H, W, C).</param>
    public virtual void FeatureMap(string layer, Tensor output)
    {
    }
}
