namespace Mamba.Models.Blocks;

/// <summary>
/// A row of the table by which MobileNetV2 and EfficientNet describe themselves: inverted residuals of the same channels.
/// </summary>
/// <param name="expansion">How many times as many channels a block has inside.</param>
/// <param name="channels">Channels at the models' own width.</param>
/// <param name="blocks">The number of blocks.</param>
/// <param name="stride">The stride of the first block.</param>
internal sealed class InvertedResidualStage(int expansion, int channels, int blocks, int stride)
{
    /// <summary>Channels of the stem in torchvision, to which the tables belong.</summary>
    public const int DefaultWidth = 32;

    public int Expansion => expansion;

    public int Channels => channels;

    public int Blocks => blocks;

    public int Stride => stride;

    /// <summary>The extent of the depthwise convolutions.</summary>
    public int Kernel { get; init; } = 3;

    /// <summary>Channels of a model whose stem has another width: all grow with it.</summary>
    /// <param name="channels">Channels by the table.</param>
    /// <param name="width">Channels of the stem.</param>
    public static int Scaled(int channels, int width) => Math.Max(1, channels * width / DefaultWidth);
}
