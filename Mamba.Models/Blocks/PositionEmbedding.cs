using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>What a <see cref="PositionEmbedding"/> is made of.</summary>
/// <param name="Name">The name of its table.</param>
/// <param name="Grid">Patches a side.</param>
/// <param name="Width">Channels of a token.</param>
/// <param name="ClassToken">How many patches stand before the class token.</param>
public sealed record PositionConfig(string Name, int Grid, int Width, int ClassToken)
{
    /// <summary>Whether PyTorch's shapes start with a batch of 1.</summary>
    public bool BatchDimension { get; init; }

    /// <summary>Initial values of class token and table.</summary>
    public required Initializer Initial { get; init; }
}

/// <summary>A learned class token among the patches of an image, and a learned embedding of each token's position.</summary>
public sealed class PositionEmbedding
{
    private readonly PositionConfig _config;
    private readonly Tensor _token;
    private readonly Tensor _table;

    /// <summary>Declares <c>cls_token</c> and the table.</summary>
    /// <param name="scope">The embedding's place.</param>
    /// <param name="config">Its sizes.</param>
    public PositionEmbedding(Scope scope, PositionConfig config)
    {
        _config = config;
        int tokens = config.Grid * config.Grid + 1;
        _token = scope.Parameter("cls_token", config.Initial, config.BatchDimension ? [1, 1, config.Width] : [1, config.Width]);
        _table = scope.Parameter(config.Name, config.Initial, config.BatchDimension ? [1, tokens, config.Width] : [tokens, config.Width]);
    }

    /// <summary>Puts the class token in its place and adds the table.</summary>
    /// <param name="patches">(B, Grid Grid, Width).</param>
    /// <returns>(B, Grid Grid + 1, Width).</returns>
    public Tensor Forward(Tensor patches)
    {
        int before = _config.ClassToken, after = patches.Shape[1] - before;
        Tensor token = Ops.Add(Tensor.Zeros(patches.Shape[0], 1, _config.Width), _token); // one an image
        Tensor all = before == 0 ? Ops.ConcatAxis(1, token, patches)
            : Ops.ConcatAxis(1, Ops.Slice(patches, 1, 0, before), token, Ops.Slice(patches, 1, before, after));
        return Ops.Add(all, _table);
    }
}
