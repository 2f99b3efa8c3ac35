using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Optim;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Models.Measurement;

/// <summary>A model with a batch of random images, to be measured in inference or in a training step of its recipe.</summary>
public sealed class ModelStep
{
    private readonly VisionModel _model;
    private readonly Objective _objective;
    private readonly Optimizer? _optimizer;
    private readonly Tensor _images;
    private readonly Tensor _targets;

    /// <summary>Creates model and images, and counts the operations of one inference.</summary>
    /// <param name="config">The configuration of a step.</param>
    public ModelStep(StepConfig config)
    {
        ModelEntry entry = config.Entry;
        (_model, _objective) = (entry.Create(config.Config), Objective.Of(entry, entry.Recipe.Loss));
        if (config.Training) _optimizer = entry.Recipe.CreateOptimizer(_model.Parameters, entry.Recipe.LearningRate);
        int batch = config.Batch, classes = config.Config.Classes;
        bool classifies = entry.Task == ModelTask.Classification;
        _images = Tensor.Empty(batch, config.Height, config.Width, config.Config.InputChannels);
        _targets = classifies ? Tensor.Zeros(batch, classes) : Tensor.Empty(batch, config.Height, config.Width, classes);
        Random random = new(1);
        foreach (ref float x in _images.Span) x = random.NextSingle() - 0.5f;
        if (classifies) for (int i = 0; i < batch; i++) _targets.Span[i * classes + random.Next(classes)] = 1f;
        else foreach (ref float x in _targets.Span) x = random.Next(2);
        using MultiplyAdds counter = new();
        Infer();
        Operations = (config.Training ? 3 : 1) * 2.0 * counter.Count;
        Exponentials = counter.Exponentials;
    }

    /// <summary>
    /// Floating-point operations of a step. A multiply-add counts as two. Training counts as three forward passes: the gradients of inputs
    /// and of weights cost one each.
    /// </summary>
    public double Operations { get; }

    /// <summary>Exponentials of a forward pass, see <see cref="MultiplyAdds.Exponentials"/>. They are in no GFLOP/s.</summary>
    public long Exponentials { get; }

    /// <summary>Runs one step.</summary>
    public void Run()
    {
        if (_optimizer is null) Infer();
        else Train(_optimizer);
    }

    private void Infer()
    {
        _model.Parameters.Freeze();
        using MemoryScope scope = new();
        _objective.Predict(_model, _images);
    }

    private void Train(Optimizer optimizer)
    {
        _model.Parameters.Training = true;
        _model.Parameters.ZeroGrad();
        using Tape tape = new();
        tape.Backward(_objective.Loss(_objective.Predict(_model, _images), _model.Output, _targets, training: true));
        optimizer.Step();
    }
}
