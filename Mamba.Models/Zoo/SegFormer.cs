using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// SegFormer (Xie et al. 2021) as built by the paper's authors: four stages of overlapping patches and transformer blocks. Each level is
/// projected to 256 channels and resized to a quarter of the image; the levels are fused. The result has a quarter of the input size.
/// </summary>
public sealed class SegFormer : VisionModel
{
    private const int DecoderChannels = 256;

    /// <summary>Channels of the first stage in the paper; the others have 2, 4 and 8 times as many.</summary>
    public const int DefaultWidth = 64;

    private readonly Stage[] _encoder;
    private readonly Level[] _levels;
    private readonly BatchNorm2d _fuseNorm;
    private readonly Conv2d _predict;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, and the width of the first stage.</param>
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
        // The authors concatenate the levels deepest first.
        Conv2d[] decoder =
        [
            .. stages.Reverse().Select((stage, i) =>
                new Conv2d(scope / "decoder" / "stages" / i / 1, new ConvConfig(stage.Block.Channels, DecoderChannels, Kernel: 1))),
        ];
        Scope head = scope / "head";
        Conv2d fuse = new(head / "fuse" / 0, new ConvConfig(stages.Length * DecoderChannels, DecoderChannels, Kernel: 1) { Bias = false });
        _levels = [.. decoder.Select((conv, place) => new Level(conv, fuse, place)).Reverse()];
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
        int height = images.Shape[1] / 4, width = images.Shape[2] / 4;
        // The authors resize, concatenate and fuse the levels. Fusing is a sum over the levels, and a resize commutes with a pointwise
        // convolution. Convolving before the resize is up to 64 times cheaper, and needs no concatenation.
        Tensor? sum = null;
        for (int i = 0; i < _encoder.Length; i++)
        {
            x = _encoder[i].Forward(x); // (B, H / 2^(i + 2), W / 2^(i + 2), channels)
            Tensor level = _levels[i].Forward(x);
            sum = sum is { } larger ? Ops.Add(larger, Ops.ResizeBilinear(level, (height, width), alignCorners: true)) : level;
        }
        Tensor fused = _fuseNorm.Forward(Ops.Relu(sum!.Value)); // (B, H / 4, W / 4, 256)
        return scope.Return(_predict.Forward(fused));
    }

    /// <summary>A stage: overlapping patches of the given size and stride become tokens, followed by Depth blocks.</summary>
    private sealed record StageConfig(int Depth, int Patch, int Stride, SegFormerBlockConfig Block);

    /// <summary>
    /// A level's part of the fused image: the decoder's pointwise convolution, then the bias-free fusing convolution. Both are linear, so
    /// one convolution with the product of their weights is equivalent. The product of weights is cheaper than the second convolution if a
    /// level has more pixels than channels.
    /// </summary>
    /// <param name="decoder">The level's convolution.</param>
    /// <param name="fuse">The fusing convolution of all levels.</param>
    /// <param name="place">The level's index among the inputs of the fusing convolution.</param>
    private sealed class Level(Conv2d decoder, Conv2d fuse, int place)
    {
        /// <summary>(B, H, W, channels) to (B, H, W, decoder channels).</summary>
        public Tensor Forward(Tensor x)
        {
            Tensor part = Ops.Slice(fuse.Weight.Reshape(DecoderChannels, -1), 1, place * DecoderChannels, DecoderChannels);
            if (x.Shape[1] * x.Shape[2] <= x.Shape[3]) return Ops.Linear(decoder.Forward(x), part);
            Tensor bias = Ops.Linear(decoder.Bias!.Value.Reshape(1, -1), part).Reshape(-1);
            return Ops.Linear(x, Ops.MatMul(part, decoder.Weight.Reshape(DecoderChannels, -1)), bias);
        }
    }

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
