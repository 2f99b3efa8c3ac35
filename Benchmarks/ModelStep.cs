using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Optim;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Benchmarks;

/// <summary>A model with a batch of made-up images: one inference, or one training step of its recipe.</summary>
internal sealed class ModelStep
{
    private readonly VisionModel _model;
    private readonly Objective _objective;
    private readonly Optimizer _optimizer;
    private readonly Tensor _images;
    private readonly Tensor _targets;

    public ModelStep(string name, int size, int batch)
    {
        ModelEntry entry = Registry.Find(name);
        (_model, _objective) = (entry.Create(), Objective.Of(entry, entry.Recipe.Loss));
        _optimizer = entry.Recipe.CreateOptimizer(_model.Parameters, entry.Recipe.LearningRate);
        _images = Tensor.Empty(batch, size, size, 3);
        bool classes = entry.Task == ModelTask.Classification;
        _targets = classes ? Tensor.Zeros(batch, entry.Config.Classes) : Tensor.Empty(batch, size, size, 1);
        Random random = new(1);
        foreach (ref float x in _images.Span) x = random.NextSingle() - 0.5f;
        if (classes) for (int i = 0; i < batch; i++) _targets.Span[i * entry.Config.Classes + random.Next(entry.Config.Classes)] = 1f;
        else foreach (ref float x in _targets.Span) x = random.Next(2);
        using MultiplyAdds counter = new();
        Infer();
        ForwardFlops = 2.0 * counter.Count;
    }

    /// <summary>Operations of one forward pass of the batch, a multiply-add as two.</summary>
    public double ForwardFlops { get; }

    public void Infer()
    {
        _model.Parameters.Freeze();
        using MemoryScope scope = new();
        _objective.Predict(_model, _images);
    }

    /// <summary>Forward, loss, backward, optimizer.</summary>
    public void Train()
    {
        _model.Parameters.Training = true;
        _model.Parameters.ZeroGrad();
        using Tape tape = new();
        tape.Backward(_objective.Loss(_objective.Predict(_model, _images), _model.Output, _targets, training: true));
        _optimizer.Step();
    }
}
