using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// Vision Mamba (Zhu et al. 2024) as trained by the paper's authors. A convolution embeds patches, with the class token in the middle.
/// Residual blocks consist of RMS norm and a bidirectional mixer, by default Mamba. A linear head reads the class token.
/// </summary>
public sealed class VisionMamba : VisionModel
{
    private readonly PatchGrid _grid;
    private readonly PositionEmbedding _positions;
    private readonly Conv2d _patches;
    private readonly Linear _head;
    private readonly Block[] _blocks;
    private readonly RmsNorm _norm;

    /// <summary>Declares the parameters and gives them the authors' initial values.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Image size, patch, width, depth, classes and input channels.</param>
    /// <exception cref="ArgumentException">A size is missing, not positive, or patches do not fill the image.</exception>
    public VisionMamba(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        _grid = config.ToPatchGrid();
        int width = _grid.Width;
        _positions = new PositionEmbedding(
            scope, new PositionConfig("pos_embed", _grid.Side, width, Init.TruncatedNormal(0.02))
            {
                MiddleClassToken = true,
                BatchDimension = true,
            });
        int fan = config.InputChannels * _grid.Patch * _grid.Patch;
        _patches = new Conv2d(
            scope / "patch_embed" / "proj",
            new ConvConfig(config.InputChannels, width, _grid.Patch)
            {
                Stride = _grid.Patch,
                WeightInit = Lecun(fan),
                BiasInit = Init.Zeros
            });
        _head = new Linear(scope / "head", width, config.Classes, weightInit: Init.TruncatedNormal(0.02), biasInit: Init.Zeros);
        _blocks =
        [
            .. Enumerable.Range(0, _grid.Depth).Select(i => new Block(
                scope / "layers" / i, config.Mixer ?? MixerKind.Mamba, width, DropPath.Growing(config.DropPath ?? 0, i, _grid.Depth))),
        ];
        _norm = new RmsNorm(scope / "norm_f", width);
        scope.Reinitialize(InitialValues);
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
        int batch = images.Shape[0];
        Tensor x = _positions.Forward(_patches.Forward(images).Reshape(batch, -1, _grid.Width)); // (B, patches + 1, width)
        LayerObserver.Current?.Grid(_grid.Side, _grid.Side, _positions.ClassToken);
        foreach (Block block in _blocks) x = block.Forward(x);
        Tensor token = Ops.Slice(x, 1, _positions.ClassToken, 1).Reshape(batch, _grid.Width);
        return scope.Return(_head.Forward(_norm.Forward(token)));
    }

    /// <summary>
    /// What the authors' model-wide initialization changes in the mixers. The output projections are divided by the square root of the
    /// depth, as in GPT-2. The step-size biases of the backward direction are reset, since they are not marked as exempt.
    /// </summary>
    private Initializer? InitialValues(string name, Shape shape) =>
        name.EndsWith("out_proj.weight", StringComparison.Ordinal) ? Init.Uniform(1 / Math.Sqrt((double)shape[1] * _grid.Depth))
        : name.EndsWith("dt_proj_b.bias", StringComparison.Ordinal) ? Init.Zeros
        : null;

    /// <summary>
    /// LeCun's normal initialization in timm 0.4.12: the deviation is corrected for truncation at two standard deviations, but the
    /// truncation is at 2.
    /// </summary>
    private static Initializer Lecun(int fan) => Init.TruncatedNormal(Math.Sqrt(1.0 / fan) / 0.87962566103423978);

    /// <summary>x + drop path(mixer(norm(x))). The authors add before the next norm instead, which is equivalent.</summary>
    private sealed class Block(Scope scope, MixerKind mixer, int width, double dropPath)
    {
        private readonly BidirectionalMixer _mixer = new(scope, "mixer", mixer, width);
        private readonly RmsNorm _norm = new(scope / "norm", width);
        private readonly DropPath _path = new(scope, dropPath);

        public Tensor Forward(Tensor x)
        {
            using MemoryScope memory = new();
            return memory.Return(_path.Join(_mixer.Forward(_norm.Forward(x), _path.Residual(x)), x));
        }
    }
}
