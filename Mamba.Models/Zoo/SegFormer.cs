using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// SegFormer (Xie et al. 2021) as the paper's authors built it: four stages of overlapping patches and transformer blocks. Each level is
/// brought to 256 channels and to a quarter of the image's size. The levels are joined and fused. The result has a quarter of the input's
/// size.
/// </summary>
public sealed class SegFormer : VisionModel
{
    private const int DecoderChannels = 256;

    /// <summary>Channels of the first stage in the paper; the others have 2, 4 and 8 times as many.</summary>
    public const int DefaultWidth = 64;

    private readonly Stage[] _encoder;
    private readonly Conv2d[] _decoder;
    private readonly Conv2d _fuse;
    private readonly BatchNorm2d _fuseNorm;
    private readonly Conv2d _predict;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's place.</param>
    /// <param name="config">Channels in and out, and those of the first stage (Width).</param>
    public SegFormer(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        int width = config.Width ?? DefaultWidth;
        StageConfig[] stages =
        [
            new(Depth: 3, Patch: 7, Stride: 4, new SegFormerBlockConfig(Channels: width, Heads: 1, Reduction: 8)),
            new(Depth: 4, Patch: 3, Stride: 2, new SegFormerBlockConfig(Channels: 2 * width, Heads: 2, Reduction: 4)),
            new(Depth: 6, Patch: 3, Stride: 2, new SegFormerBlockConfig(Channels: 4 * width, Heads: 4, Reduction: 2)),
            new(Depth: 3, Patch: 3, Stride: 2, new SegFormerBlockConfig(Channels: 8 * width, Heads: 8, Reduction: 1)),
        ];
        _encoder =
        [
            .. stages.Select((stage, i) =>
                new Stage(scope / "encoder" / "stages" / i, i == 0 ? config.InputChannels : stages[i - 1].Block.Channels, stage)),
        ];
        // Deepest first, as they are joined.
        _decoder =
        [
            .. stages.Reverse().Select((stage, i) =>
                new Conv2d(scope / "decoder" / "stages" / i / 1, new ConvConfig(stage.Block.Channels, DecoderChannels, Kernel: 1))),
        ];
        Scope head = scope / "head";
        _fuse = new Conv2d(head / "fuse" / 0, new ConvConfig(stages.Length * DecoderChannels, DecoderChannels, Kernel: 1) { Bias = false });
        _fuseNorm = new BatchNorm2d(head / "fuse" / 2, DecoderChannels);
        _predict = new Conv2d(head / "predict", new ConvConfig(DecoderChannels, config.Classes, Kernel: 1));
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 32;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope scope = new();
        Tensor x = images;
        int last = _encoder.Length - 1, height = images.Shape[1] / 4, width = images.Shape[2] / 4;
        // The authors resize the levels, join them deepest first and fuse them. Fusing is a sum over the levels, and a resize commutes with
        // a pointwise convolution. A small image is up to 64 times cheaper to convolve, and nothing needs joining.
        TensorList parts = Ops.Split(
            _fuse.Weight.Reshape(DecoderChannels, -1), DecoderChannels, DecoderChannels, DecoderChannels, DecoderChannels);
        Tensor? sum = null;
        for (int i = 0; i <= last; i++)
        {
            x = _encoder[i].Forward(x); // (B, H / 2^(i + 2), W / 2^(i + 2), channels)
            Tensor level = Ops.Linear(_decoder[last - i].Forward(x), parts[last - i]);
            sum = sum is { } larger ? Ops.Add(larger, Ops.ResizeBilinear(level, (height, width), alignCorners: true)) : level;
        }
        Tensor fused = _fuseNorm.Forward(Ops.Relu(sum!.Value)); // (B, H / 4, W / 4, 256)
        return scope.Return(_predict.Forward(fused));
    }

    /// <summary>A stage: windows of this size and step become tokens, and so many blocks follow.</summary>
    private sealed record StageConfig(int Depth, int Patch, int Stride, SegFormerBlockConfig Block);

    private sealed class Stage(Scope scope, int inputs, StageConfig config)
    {
        private readonly string _layer = scope.Path;

        private readonly Conv2d _merge = new(
            scope / "overlap_patch_merge" / 0,
            new ConvConfig(inputs, config.Block.Channels, config.Patch)
            {
                Stride = config.Stride,
                Padding = config.Patch / 2,
                Bias = false
            });

        private readonly LayerNorm _mergeNorm = new(scope / "overlap_patch_merge" / 1, config.Block.Channels);
        private readonly SegFormerBlock[] _blocks =
        [
            .. Enumerable.Range(0, config.Depth).Select(i => new SegFormerBlock(scope / "blocks" / i, config.Block)),
        ];
        private readonly LayerNorm _norm = new(scope / "norm", config.Block.Channels);

        public Tensor Forward(Tensor x)
        {
            using MemoryScope memory = new();
            Tensor h = _mergeNorm.Forward(_merge.Forward(x));
            foreach (SegFormerBlock block in _blocks) h = block.Forward(h);
            h = memory.Return(_norm.Forward(h));
            LayerObserver.Current?.FeatureMap(_layer, h);
            return h;
        }
    }
}
