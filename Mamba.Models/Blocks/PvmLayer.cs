using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>Configuration of <see cref="PvmLayer"/>.</summary>
/// <param name="Inputs">Input channels, a multiple of the number of chunks.</param>
/// <param name="Outputs">Output channels.</param>
/// <param name="Chunks">Channel chunks that share one Mamba block.</param>
/// <param name="PyramidPooling">Whether pyramid pooling precedes the layer.</param>
public sealed record PvmConfig(int Inputs, int Outputs, int Chunks, bool PyramidPooling = false)
{
    /// <summary>The block that the chunks share.</summary>
    public MixerKind Mixer { get; init; }
}

/// <summary>
/// The parallel vision Mamba layer (Wu et al. 2024, UltraLight VM-UNet). The channels are split into chunks, which all run through the same
/// narrow Mamba block, or another mixer, with a scaled residual. The chunks are concatenated and projected. One layer norm is used before
/// and after.
/// </summary>
public sealed class PvmLayer : IModule
{
    private readonly PvmConfig _config;
    private readonly Tensor _skipScale;
    private readonly LayerNorm _norm;
    private readonly ISequenceMixer _mamba;
    private readonly Linear _proj;
    private readonly PyramidPooling? _ppm;

    /// <summary>Declares <c>skip_scale</c>, <c>norm</c>, <c>mamba</c>, <c>proj</c> and, if configured, <c>ppm</c>.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentException">The chunks do not divide the input channels.</exception>
    public PvmLayer(Scope scope, PvmConfig config)
    {
        if (config.Inputs % config.Chunks != 0)
            throw new ArgumentException(
                $"{scope.Path}: {config.Inputs} channels in {config.Chunks} chunks; expected chunks of equal size.");
        _config = config;
        _skipScale = scope.Parameter("skip_scale", Init.Ones, 1);
        _norm = new LayerNorm(scope / "norm", config.Inputs);
        _mamba = Mixers.Create(scope / "mamba", MixerConfig.OfImages(config.Mixer, config.Inputs / config.Chunks));
        _proj = new Linear(scope / "proj", config.Inputs, config.Outputs);
        if (config.PyramidPooling) _ppm = new PyramidPooling(scope / "ppm", config.Inputs);
    }

    /// <summary>Mixes the pixels of an image, row by row.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H, W, outputs).</returns>
    public Tensor Forward(Tensor x)
    {
        using MemoryScope scope = new();
        if (_ppm is not null) x = _ppm.Forward(x);
        int batch = x.Shape[0], height = x.Shape[1], width = x.Shape[2], tokens = height * width, chunk = _config.Inputs / _config.Chunks;
        Tensor h = _norm.Forward(x.Reshape(batch, tokens, _config.Inputs)); // (B, L, C)
        LayerObserver.Current?.Grid(height, width, null);
        // The chunks share their weights, so they are sequences of one batch.
        Tensor sequences = Ops.Permute(h.Reshape(batch, tokens, _config.Chunks, chunk), 0, 2, 1, 3)
            .Reshape(batch * _config.Chunks, tokens, chunk);
        Tensor mixed = _mamba.Forward(sequences, Ops.Multiply(sequences, _skipScale));
        Tensor joined = Ops.Permute(mixed.Reshape(batch, _config.Chunks, tokens, chunk), 0, 2, 1, 3).Reshape(batch, tokens, _config.Inputs);
        return scope.Return(_proj.Forward(_norm.Forward(joined)).Reshape(batch, height, width, _config.Outputs));
    }
}
