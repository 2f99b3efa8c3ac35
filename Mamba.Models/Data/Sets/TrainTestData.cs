using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>A known set of classified pictures in files: numbered training pictures, followed by numbered test pictures.</summary>
public abstract class TrainTestData : IImageData
{
    private readonly string _number;

    /// <param name="digits">The digits of a picture's number in its name.</param>
    private protected TrainTestData(int digits = 5) => _number = "D" + digits;

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Classification;

    /// <inheritdoc/>
    public abstract IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public abstract int Count { get; }

    /// <summary>The number of training pictures.</summary>
    private protected abstract int Train { get; }

    /// <inheritdoc/>
    public string Name(int index) =>
        index < Train ? $"train/{(index + 1).ToString(_number)}" : $"test/{(index - Train + 1).ToString(_number)}";

    /// <inheritdoc/>
    public SplitPart? Part(int index) => index < Train ? SplitPart.Train : SplitPart.Test;

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public abstract ClassificationSample Load(int index);
}
