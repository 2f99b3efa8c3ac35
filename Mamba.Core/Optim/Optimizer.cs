using Mamba.Core.Memory;

namespace Mamba.Core.Optim;

/// <summary>Changes parameters by their gradients.</summary>
/// <param name="parameters">The parameters, each with <see cref="Tensor.RequiresGrad"/>.</param>
/// <param name="learningRate">The learning rate of the first steps.</param>
public abstract class Optimizer(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate)
{
    private readonly Tensor[] _parameters = [.. parameters.Select(p => p.Tensor)];

    /// <summary>The learning rate of the next step; a <see cref="Schedule"/> changes it.</summary>
    public double LearningRate { get; set; } = learningRate;

    /// <summary>Gradients are scaled down together so that their Euclidean norm is at most this; null leaves them.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>Steps taken.</summary>
    public long Steps { get; private set; }

    /// <summary>Applies the gradients; a parameter without one stays as it is.</summary>
    /// <exception cref="InvalidOperationException">A parameter is frozen.</exception>
    public void Step()
    {
        Steps++;
        float scale = ClippingFactor();
        for (int i = 0; i < _parameters.Length; i++)
        {
            if (_parameters[i].Grad is not { } gradient) continue;
            if (_parameters[i].Forms is not null) throw new InvalidOperationException($"Optimizer.Step: a parameter {_parameters[i].Shape} is frozen; thaw the model to train it.");
            Update(i, _parameters[i], gradient, scale);
        }
    }

    /// <summary>Applies one gradient.</summary>
    /// <param name="index">The parameter's index, for the state.</param>
    /// <param name="parameter">The parameter; changed in place.</param>
    /// <param name="gradient">Its gradient.</param>
    /// <param name="gradientScale">Factor on the gradient, from clipping.</param>
    private protected abstract void Update(int index, Tensor parameter, Tensor gradient, float gradientScale);

    /// <summary>Zeros in the shape of each parameter.</summary>
    private protected Tensor[] NewState()
    {
        using MemoryScope.Suspension _ = MemoryScope.Suspend();
        return Array.ConvertAll(_parameters, p => Tensor.Zeros(p.Shape.ToArray()));
    }

    private float ClippingFactor()
    {
        if (MaxGradientNorm is not { } bound) return 1f;
        double squares = 0;
        foreach (Tensor parameter in _parameters)
            if (parameter.Grad is { } gradient)
                foreach (float g in gradient.Span) squares += (double)g * g;
        double norm = Math.Sqrt(squares);
        return norm > bound ? (float)(bound / (norm + 1e-6)) : 1f; // the small number is that of PyTorch's clip_grad_norm_
    }
}
