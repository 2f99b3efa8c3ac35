using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// The vision transformer (Dosovitskiy et al. 2021) as built by vit-pytorch and trained by the paper's authors. Patches are normalized, and
/// the class token comes first. Transformer blocks have four heads. A linear head reads the class token. With random features
/// (<see cref="ModelConfig.Features"/>) it is a Performer (Choromanski et al. 2021), with attention linear in the tokens.
/// </summary>
public sealed class VisionTransformer : VisionModel
{
    /// <summary>Random features of a Performer's head in performer-pytorch: d ln d for a head of d = 64 channels.</summary>
    public const int DefaultFeatures = 266;

    private const int Heads = 4;
    private const int HeadWidth = 64;
    private const int Hidden = 128;

    private readonly PatchGrid _grid;
    private readonly PositionEmbedding _positions;
    private readonly LayerNorm _patchNorm;
    private readonly Linear _patches;
    private readonly LayerNorm _embeddingNorm;
    private readonly LayerNorm _norm;
    private readonly TransformerBlock[] _blocks;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Image size, patch, width, depth, classes and input channels.</param>
    /// <exception cref="ArgumentException">A size is missing, not positive, or patches do not fill the image.</exception>
    public VisionTransformer(Scope scope, ModelConfig config)
        : this(scope, config, FavorKernel.Softmax)
    {
    }

    /// <summary>Declares the parameters, with a choice of random features.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Image size, patch, width, depth, classes, input channels, random features.</param>
    /// <param name="kernel">The kind of random features, if any.</param>
    /// <exception cref="ArgumentException">A size is missing, not positive, or patches do not fill the image.</exception>
    public VisionTransformer(Scope scope, ModelConfig config, FavorKernel kernel)
        : base(scope.Store, config)
    {
        _grid = config.ToPatchGrid();
        int width = _grid.Width, patch = _grid.Patch * _grid.Patch * config.InputChannels;
        _positions = new PositionEmbedding(scope, new PositionConfig("pos_embedding", _grid.Side, width, Init.Normal(1)));
        Scope embedding = scope / "to_patch_embedding", transformer = scope / "transformer";
        _patchNorm = new LayerNorm(embedding / 1, patch);
        _patches = new Linear(embedding / 2, patch, width);
        _embeddingNorm = new LayerNorm(embedding / 3, width);
        _norm = new LayerNorm(transformer / "norm", width);
        _blocks = [.. Enumerable.Range(0, _grid.Depth).Select(i => new TransformerBlock(
            transformer / "layers" / i, new TransformerConfig(width, Heads, HeadWidth, Hidden)
            {
                DropPath = DropPath.Growing(config.DropPath ?? 0, i, _grid.Depth),
                Features = config.Features,
                Kernel = kernel,
            }))];
        _head = new Linear(scope / "mlp_head", width, config.Classes);
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => _grid.ImageSize;

    /// <inheritdoc/>
    public override int? InputSize => _grid.ImageSize;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope scope = new();
        Tensor x = _embeddingNorm.Forward(_patches.Forward(_patchNorm.Forward(_grid.Cut(images)))); // (B, patches, width)
        x = _positions.Forward(x);
        LayerObserver.Current?.Grid(_grid.Side, _grid.Side, _positions.ClassToken);
        foreach (TransformerBlock block in _blocks) x = block.Forward(x); // (B, patches + 1, width)
        Tensor token = Ops.Slice(x, 1, _positions.ClassToken, 1).Reshape(images.Shape[0], _grid.Width);
        return scope.Return(_head.Forward(_norm.Forward(token)));
    }
}
