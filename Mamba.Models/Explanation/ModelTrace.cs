using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Explanation;

/// <summary>How tokens lie on an image.</summary>
/// <param name="height">Rows.</param>
/// <param name="width">Columns.</param>
/// <param name="classToken">How many tokens of the image stand before a class token; null without one.</param>
internal sealed class TokenGrid(int height, int width, int? classToken)
{
    public int Height => height;

    public int Width => width;

    public int? ClassToken => classToken;

    /// <summary>Tokens, the class token included.</summary>
    public int Tokens => height * width + (classToken is null ? 0 : 1);

    /// <summary>The token of a cell of the grid.</summary>
    public int TokenOf(int cell) => cell < classToken || classToken is null ? cell : cell + 1;

    /// <summary>Whether another grid has the same sizes.</summary>
    public bool IsLike(TokenGrid other) => height == other.Height && width == other.Width && classToken == other.ClassToken;

    /// <summary>What there is of each cell, row by row: values of tokens without that of the class token.</summary>
    public float[] Cells(double[] tokens)
    {
        float[] cells = new float[height * width];
        for (int i = 0; i < cells.Length; i++) cells[i] = (float)tokens[TokenOf(i)];
        return cells;
    }
}

/// <summary>An attention of one image.</summary>
internal sealed class AttentionTrace
{
    public required string Layer { get; init; }

    public required TokenGrid Grid { get; init; }

    public required int Heads { get; init; }

    public required int Keys { get; init; }

    /// <summary>Channels of a query or key: heads times their width.</summary>
    public required int Width { get; init; }

    /// <summary>(Grid.Tokens, Width).</summary>
    public required float[] Q { get; init; }

    /// <summary>(Keys, Width).</summary>
    public required float[] K { get; init; }
}

/// <summary>A feature map of one image: its values, and the tensor, of which a tape gives the gradient.</summary>
internal sealed class FeatureTrace
{
    public required string Layer { get; init; }

    public required Tensor Tensor { get; init; }

    public required int Height { get; init; }

    public required int Width { get; init; }

    public required int Channels { get; init; }

    /// <summary>(Height, Width, Channels).</summary>
    public required float[] Values { get; init; }
}

/// <summary>Everything that explanations read of one pass, copied, since the pass gives its memory back.</summary>
internal sealed class ModelTrace : LayerObserver
{
    private TokenGrid? _grid;
    private bool _flipped;

    public List<ScanTrace> Scans { get; } = [];

    public List<AttentionTrace> Attentions { get; } = [];

    public List<FeatureTrace> Features { get; } = [];

    /// <inheritdoc/>
    public override void Grid(int height, int width, int? classToken) => _grid = new TokenGrid(height, width, classToken);

    /// <inheritdoc/>
    public override void Flip(bool flipped) => _flipped = flipped;

    /// <inheritdoc/>
    public override void Scan(ObservedScan scan) => Scans.Add(ScanTrace.Of(scan, _grid, _flipped));

    /// <inheritdoc/>
    public override void Attention(string layer, Tensor q, Tensor k, int heads) => Attentions.Add(new AttentionTrace
    {
        Layer = layer,
        Grid = _grid ?? new TokenGrid(1, q.Shape[1], null),
        Heads = heads,
        Keys = k.Shape[1],
        Width = k.Shape[2],
        Q = q.Span.ToArray(),
        K = k.Span.ToArray(),
    });

    /// <inheritdoc/>
    public override void FeatureMap(string layer, Tensor output) => Features.Add(new FeatureTrace
    {
        Layer = layer,
        Tensor = output,
        Height = output.Shape[1],
        Width = output.Shape[2],
        Channels = output.Shape[3],
        Values = output.Span.ToArray(),
    });
}
