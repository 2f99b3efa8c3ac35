using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>Changes parameters by their gradients.</summary>
/// <param name="parameters">The parameters, each with <see cref="Tensor.RequiresGrad"/>.</param>
/// <param name="learningRate">The learning rate of the first steps.</param>
public abstract unsafe class Optimizer(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate)
{
    private readonly (string Name, Tensor Tensor)[] _parameters = [.. parameters];

    /// <summary>The learning rate of the next step; a <see cref="Schedule"/> changes it.</summary>
    public double LearningRate { get; set; } = learningRate;

    /// <summary>Gradients are scaled down together so that their Euclidean norm is at most this; null leaves them.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>Steps taken; set where a run goes on from a checkpoint.</summary>
    public long Steps { get; set; }

    /// <summary>What the optimizer remembers of earlier gradients, by name: with <see cref="Steps"/> and the parameters, all that a checkpoint needs.</summary>
    public abstract IEnumerable<(string Name, Tensor Tensor)> State { get; }

    /// <summary>Applies the gradients; a parameter without one stays as it is.</summary>
    /// <exception cref="InvalidOperationException">A parameter is frozen.</exception>
    /// <exception cref="NonFiniteException">A gradient is not finite: the message names the first parameter. Nothing was changed.</exception>
    public void Step()
    {
        float scale = ClippingFactor();
        Steps++;
        for (int i = 0; i < _parameters.Length; i++)
        {
            (_, Tensor parameter) = _parameters[i];
            if (parameter.Grad is not { } gradient) continue;
            if (parameter.Forms is not null) throw new InvalidOperationException($"Optimizer.Step: the parameter '{_parameters[i].Name}' is frozen; thaw the model to train it.");
            Update(i, parameter, gradient, scale);
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
        using MemoryScope _ = MemoryScope.Suspend();
        return Array.ConvertAll(_parameters, p => Tensor.Zeros(p.Tensor.Shape.ToArray()));
    }

    /// <summary>The tensors of a state under the names of their parameters.</summary>
    private protected IEnumerable<(string Name, Tensor Tensor)> Named(string prefix, Tensor[] state) => _parameters.Zip(state, (p, s) => ($"{prefix}.{p.Name}", s));

    /// <summary>The factor that clips; the norm also tells whether all gradients are finite, so one pass over them does both.</summary>
    private float ClippingFactor()
    {
        double squares = 0;
        foreach ((string name, Tensor parameter) in _parameters)
        {
            if (parameter.Grad is not { } gradient) continue;
            double sum = SumOfSquares(gradient);
            if (!double.IsFinite(sum)) throw new NonFiniteException($"the gradient of '{name}'", gradient);
            squares += sum;
        }
        if (MaxGradientNorm is not { } bound) return 1f;
        double norm = Math.Sqrt(squares);
        return norm > bound ? (float)(bound / (norm + 1e-6)) : 1f; // the small number is that of PyTorch's clip_grad_norm_
    }

    private static double SumOfSquares(Tensor gradient)
    {
        nint chunks = Launch.CeilDiv(gradient.Count, Launch.ElementGrain);
        using Scratch sums = new((int)chunks);
        Launch.Run(new SquareSums { Values = gradient.Pointer, Sums = sums.Pointer }, gradient.Count, Launch.ElementGrain);
        double total = 0;
        for (nint i = 0; i < chunks; i++) total += float.IsFinite(sums.Pointer[i]) ? sums.Pointer[i] : InDouble(gradient, (int)(i * Launch.ElementGrain));
        return total;
    }

    /// <summary>A chunk once more: the squares of large numbers overflow in float, those of infinities everywhere.</summary>
    private static double InDouble(Tensor gradient, int begin)
    {
        double sum = 0;
        foreach (float g in gradient.Span.Slice(begin, Math.Min((int)Launch.ElementGrain, gradient.Count - begin))) sum += (double)g * g;
        return sum;
    }
}
