using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// U-Mamba with Mamba at the bottleneck only (Ma et al. 2024, "UMambaBot") as built by the paper's authors. Five stages of residual blocks
/// have 32 to 512 channels. At the bottleneck, a layer norm and a Mamba block run over the pixels as a sequence; in the second variant
/// pyramid pooling comes first. Transposed convolutions upsample, and skips are concatenated.
/// </summary>
public sealed class UMambaBot : VisionModel
{
    /// <summary>Channels of the first stage in the paper.</summary>
    public const int DefaultWidth = 32;

    private const int Stages = 5;
    private readonly ConvInstanceNorm _stem;
    private readonly ResidualConvBlock[] _encoder;
    private readonly PyramidPooling? _ppm;
    private readonly LayerNorm _norm;
    private readonly MambaMixer _mamba;
    private readonly ResidualConvBlock[] _decoder;
    private readonly ConvTranspose2d[] _upconvs;
    private readonly Conv2d _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, and the width of the first stage.</param>
    /// <param name="pyramidPooling">Whether pyramid pooling precedes the Mamba block.</param>
    public UMambaBot(Scope scope, ModelConfig config, bool pyramidPooling)
        : base(scope.Store, config)
    {
        int width = config.Width ?? DefaultWidth, bottom = width << (Stages - 1);
        Scope encoder = scope / "encoder", decoder = scope / "decoder";
        _stem = new ConvInstanceNorm(
            encoder / "stem" / "convs" / 0, new ConvConfig(config.InputChannels, width,
                Kernel: 3)
            { Padding = 1, Activation = Activation.LeakyRelu });
        _encoder = [.. Enumerable.Range(0, Stages).Select(i => new ResidualConvBlock(
            encoder / "stages" / i / "blocks" / 0, i == 0 ? width : width << (i - 1), width << i, stride: i == 0 ? 1 : 2))];
        if (pyramidPooling) _ppm = new PyramidPooling(scope / "ppm", bottom);
        _norm = new LayerNorm(scope / "ln", bottom);
        _mamba = new MambaMixer(scope / "mamba", new MambaConfig(bottom));
        decoder.Alias("encoder", encoder); // the authors' decoder keeps the encoder as a child
        int[] channels = [.. Enumerable.Range(1, Stages - 1).Select(i => bottom >> i)];
        _decoder = [.. channels.Select((n, i) => new ResidualConvBlock(decoder / "stages" / i / "blocks" / 0, 2 * n, n, stride: 1))];
        _upconvs = [.. channels.Select((n, i) => new ConvTranspose2d(decoder / "transpconvs" / i, new ConvConfig(2 * n, n,
            Kernel: 2) { Stride = 2 }))];
        // Each level has a head, for deep supervision; the authors use only the last one.
        _head = channels.Select((n, i) => new Conv2d(decoder / "seg_layers" / i, new ConvConfig(n, config.Classes, Kernel: 1)))
            .ToArray()[^1];
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 1 << (Stages - 1);

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope scope = new();
        TensorList features = default;
        Tensor x = _stem.Forward(images);
        for (int i = 0; i < Stages; i++)
        {
            x = _encoder[i].Forward(x); // (B, H / 2^i, W / 2^i, width 2^i)
            features = features.Append(x);
        }
        x = Mix(x);
        for (int i = 0; i < _decoder.Length; i++) x = _decoder[i].Forward(Ops.Concat([_upconvs[i].Forward(x), features[Stages - 2 - i]]));
        return scope.Return(_head.Forward(x));
    }

    private Tensor Mix(Tensor x)
    {
        using MemoryScope scope = new();
        if (_ppm is not null) x = _ppm.Forward(x);
        Tensor tokens = x.Reshape(x.Shape[0], -1, x.Shape[3]); // (B, L, C)
        LayerObserver.Current?.Grid(x.Shape[1], x.Shape[2], null);
        return scope.Return(_mamba.Forward(_norm.Forward(tokens)).Reshape(x.Shape));
    }
}
