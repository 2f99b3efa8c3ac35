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
    private readonly TrainingRecipe _recipe;
    private readonly Optimizer _optimizer;
    private readonly Tensor _images;
    private readonly Func<Tensor, Tensor> _loss;

    public ModelStep(string name, int size, int batch)
    {
        ModelEntry entry = Registry.Find(name);
        (_model, _recipe) = (entry.Create(), entry.Recipe);
        _optimizer = _recipe.CreateOptimizer(_model.Parameters, _recipe.LearningRate);
        _images = Tensor.Empty(batch, size, size, 3);
        Random random = new(1);
        foreach (ref float x in _images.Span) x = random.NextSingle() - 0.5f;
        if (entry.Task == ModelTask.Classification)
        {
            int[] classes = [.. Enumerable.Range(0, batch).Select(_ => random.Next(_model.Config.Classes))];
            _loss = y => Ops.CrossEntropy(y, classes);
        }
        else
        {
            Tensor masks = Tensor.Empty(batch, size, size, 1);
            foreach (ref float x in masks.Span) x = random.Next(2);
            _loss = y => TrainingRecipe.LossOf(_recipe.Loss, y, _model.Output, masks);
        }
        using MultiplyAdds counter = new();
        Infer();
        ForwardFlops = 2.0 * counter.Count;
    }

    /// <summary>Operations of one forward pass of the batch, a multiply-add as two.</summary>
    public double ForwardFlops { get; }

    public void Infer()
    {
        _model.Parameters.Training = false;
        using MemoryScope scope = new();
        _model.Forward(_images);
    }

    /// <summary>Forward, loss, backward, optimizer.</summary>
    public void Train()
    {
        _model.Parameters.Training = true;
        _model.Parameters.ZeroGrad();
        using Tape tape = new();
        tape.Backward(_loss(_model.Forward(_images)));
        _optimizer.Step();
    }
}
