using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>The position of pyramid pooling in an <see cref="UltraLightVmUnet"/>.</summary>
public enum PyramidPlacement
{
    /// <summary>No pyramid pooling.</summary>
    None,

    /// <summary>Before the bottleneck layer.</summary>
    Bottleneck,

    /// <summary>Before every parallel vision Mamba layer.</summary>
    EveryLayer,
}

/// <summary>A variant of <see cref="UltraLightVmUnet"/>.</summary>
/// <param name="Channels">Channels of the levels, outermost first: five or six levels.</param>
/// <param name="MambaChunks">Channel chunks that share one Mamba block.</param>
/// <param name="Pyramid">The position of pyramid pooling.</param>
public sealed record UltraLightVmUnetVariant(
    IReadOnlyList<int> Channels, int MambaChunks, PyramidPlacement Pyramid = PyramidPlacement.None);

/// <summary>
/// UltraLight VM-UNet (Wu et al. 2024) and the six variants of Crews and Whalen: a U-shaped network. The outer levels are 3x3 convolutions.
/// The last three levels of the encoder and the first three of the decoder are parallel vision Mamba layers. Skip connections pass through
/// an attention bridge and are added.
/// </summary>
public sealed class UltraLightVmUnet : VisionModel
{
    private const int MambaLevels = 3;
    private const int NormGroups = 4;

    private readonly Func<Tensor, Tensor>[] _encoders;
    private readonly Func<Tensor, Tensor>[] _decoders;
    private readonly GroupNorm[] _encoderNorms;
    private readonly GroupNorm[] _decoderNorms;
    private readonly AttentionBridge _bridge;
    private readonly Conv2d _final;

    /// <summary>Declares the parameters and gives them the authors' initial values.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels and classes.</param>
    /// <param name="variant">The variant.</param>
    /// <exception cref="ArgumentException">
    /// The channels of a pruned level are not divisible by its norm's groups or by its chunks.
    /// </exception>
    public UltraLightVmUnet(Scope scope, ModelConfig config, UltraLightVmUnetVariant variant)
        : base(scope.Store, config)
    {
        int[] c = [.. variant.Channels.Select((channels, i) => (scope / $"encoder{i + 1}").Width(channels))];
        if (c[..^1].FirstOrDefault(channels => channels % NormGroups != 0) is var odd and not 0)
            throw new ArgumentException($"a level has {odd} channels; expected a multiple of {NormGroups}, the groups of its norm");
        int levels = c.Length, last = levels - 1;
        SizeMultiple = 1 << last;
        _encoders =
        [
            .. Enumerable.Range(0, levels).Select(i =>
                Layer(scope / $"encoder{i + 1}" / 0, i == 0 ? config.InputChannels : c[i - 1], c[i], i >= levels - MambaLevels, i == last)),
        ];
        _bridge = new AttentionBridge(scope / "scab", c[..last]);
        _decoders =
        [
            .. Enumerable.Range(0, last).Select(i =>
                Layer(scope / $"decoder{i + 1}" / 0, c[last - i], c[last - i - 1], i < MambaLevels, false)),
        ];
        _encoderNorms = [.. Enumerable.Range(0, last).Select(i => new GroupNorm(scope / $"ebn{i + 1}", NormGroups, c[i]))];
        _decoderNorms = [.. Enumerable.Range(0, last).Select(i => new GroupNorm(scope / $"dbn{i + 1}", NormGroups, c[last - i - 1]))];
        _final = new Conv2d(scope / "final", new ConvConfig(c[0], config.Classes, Kernel: 1));
        scope.Reinitialize(InitialValues);

        Func<Tensor, Tensor> Layer(Scope place, int inputs, int outputs, bool mamba, bool bottom)
        {
            if (!mamba) return new Conv2d(place, new ConvConfig(inputs, outputs, Kernel: 3) { Padding = 1 }).Forward;
            bool pyramid = variant.Pyramid == PyramidPlacement.EveryLayer || (bottom && variant.Pyramid == PyramidPlacement.Bottleneck);
            PvmConfig layer = new(inputs, outputs, variant.MambaChunks, pyramid) { Mixer = config.Mixer ?? MixerKind.Mamba };
            return new PvmLayer(place, layer).Forward;
        }
    }

    /// <inheritdoc/>
    /// <remarks>The authors' sigmoid is for one class. With several classes the output is logits, for a softmax.</remarks>
    public override ModelOutput Output => Config.Classes > 1 ? ModelOutput.Logits : ModelOutput.Probabilities;

    /// <inheritdoc/>
    public override int SizeMultiple { get; }

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope scope = new();
        (Tensor x, TensorList skips) = Down(images);
        for (int i = 0; i < _decoders.Length; i++) x = Decode(i, x, skips[skips.Count - 1 - i]);
        x = Double(_final.Forward(x));
        return scope.Return(Output == ModelOutput.Logits ? x : Ops.Sigmoid(x));
    }

    /// <summary>The bottleneck, and the skip connections after the bridge.</summary>
    private (Tensor Bottom, TensorList Skips) Down(Tensor x)
    {
        using MemoryScope scope = new();
        TensorList levels = default;
        for (int i = 0; i < _encoderNorms.Length; i++)
        {
            x = Encode(i, x); // (B, H / 2^(i+1), W / 2^(i+1), channels[i])
            levels = levels.Append(x);
        }
        TensorList skips = _bridge.Forward(levels);
        foreach (Tensor skip in skips.AsSpan()) scope.Return(skip);
        x = scope.Return(Ops.Gelu(_encoders[^1](x)));
        LayerObserver.Current?.FeatureMap($"encoder{_encoders.Length}", x);
        return (x, skips);
    }

    // A level releases its temporaries, so a pass holds the skips and the largest tensors of one level.
    private Tensor Encode(int level, Tensor x)
    {
        using MemoryScope scope = new();
        x = scope.Return(_encoderNorms[level].ForwardMaxPool(_encoders[level](x), kernel: 2, Activation.Gelu));
        LayerObserver.Current?.FeatureMap($"encoder{level + 1}", x);
        return x;
    }

    private Tensor Decode(int level, Tensor x, Tensor skip)
    {
        using MemoryScope scope = new();
        x = _decoderNorms[level].Forward(_decoders[level](x));
        if (level > 0) x = Double(x);
        x = scope.Return(Ops.Add(Ops.Gelu(x), skip));
        LayerObserver.Current?.FeatureMap($"decoder{level + 1}", x);
        return x;
    }

    private static Tensor Double(Tensor x) => Ops.ResizeBilinear(x, (2 * x.Shape[1], 2 * x.Shape[2]), alignCorners: true);

    /// <summary>
    /// The authors' initialization: linear layers, including Mamba's, truncated normal with bias 0; convolutions normal by fan out, with
    /// bias 0 for two-dimensional ones. Other parameters of a mixer keep its own initial values, whatever their rank.
    /// </summary>
    private static Initializer? InitialValues(string name, Shape shape)
    {
        string layer = name[..Math.Max(0, name.LastIndexOf('.'))];
        bool linear = layer.EndsWith("proj", StringComparison.Ordinal) || layer.Contains(".att", StringComparison.Ordinal);
        bool convolution1d = layer.EndsWith("conv1d", StringComparison.Ordinal);
        bool norm = layer.EndsWith("norm", StringComparison.Ordinal) || layer.Contains("bn", StringComparison.Ordinal);
        if (name.EndsWith(".bias", StringComparison.Ordinal)) return convolution1d || norm ? null : Init.Zeros;
        return shape.Rank switch
        {
            2 when linear => Init.TruncatedNormal(0.02),
            3 when convolution1d || layer.EndsWith("get_all_att", StringComparison.Ordinal) => Init.KaimingNormal(shape[2] * shape[0]),
            4 => Init.KaimingNormal(shape[2] * shape[3] * shape[0]),
            _ => null,
        };
    }
}
