using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Studies;

/// <summary>The model of a planned run, as its options build it.</summary>
/// <param name="Entry">The model.</param>
/// <param name="Config">Its configuration, as far as the data does not decide it.</param>
/// <param name="Height">Rows of its input.</param>
/// <param name="Width">Columns of its input.</param>
public sealed record PlannedModel(ModelEntry Entry, ModelConfig Config, int Height, int Width)
{
    /// <summary>Builds the model and counts.</summary>
    /// <returns>Its parameters, and the multiply-adds of an image.</returns>
    public ModelSize Size()
    {
        using VisionModel model = Entry.Create(Config);
        long parameters = model.Parameters.ParameterCount;
        model.Parameters.Freeze();
        using MemoryScope scope = new();
        using MultiplyAdds counter = new();
        Tensor image = Tensor.Zeros(1, Height, Width, Config.InputChannels);
        if (Entry.Task == ModelTask.Segmentation) model.Segment(image);
        else model.Forward(image);
        return new ModelSize(parameters, counter.Count);
    }
}

/// <summary>The size of a model.</summary>
/// <param name="Parameters">Trained parameters.</param>
/// <param name="MultiplyAdds">Multiply-adds of an image.</param>
public sealed record ModelSize(long Parameters, long MultiplyAdds);
