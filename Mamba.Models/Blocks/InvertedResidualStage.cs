namespace Mamba.Models.Blocks;

/// <summary>A row of the architecture tables of MobileNetV2 and EfficientNet: inverted residuals with the same channels.</summary>
/// <param name="expansion">The expansion factor of the channels inside a block.</param>
/// <param name="channels">Channels at the default width.</param>
/// <param name="blocks">The number of blocks.</param>
/// <param name="stride">The stride of the first block.</param>
internal sealed class InvertedResidualStage(int expansion, int channels, int blocks, int stride)
{
    /// <summary>Channels of the stem in torchvision, for which the tables are given.</summary>
    public const int DefaultWidth = 32;

    public int Expansion => expansion;

    public int Channels => channels;

    public int Blocks => blocks;

    public int Stride => stride;

    /// <summary>The window of the depthwise convolutions.</summary>
    public int Kernel { get; init; } = 3;

    /// <summary>Channels scaled to the width of the stem.</summary>
    /// <param name="channels">Channels in the table.</param>
    /// <param name="width">Channels of the stem.</param>
    public static int Scaled(int channels, int width) => Math.Max(1, channels * width / DefaultWidth);
}
