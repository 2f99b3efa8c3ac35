namespace Mamba.Core.Nn;

/// <summary>A linear layer with PyTorch's names and default initialization.</summary>
public sealed class Linear : IModule
{
    /// <summary>Declares <c>weight</c> (outputs, inputs) and, if configured, <c>bias</c> (outputs).</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="inputs">Input features.</param>
    /// <param name="outputs">Output features.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="weightInit">Initial weights; PyTorch's default if null.</param>
    /// <param name="biasInit">Initial bias; PyTorch's default if null.</param>
    public Linear(Scope scope, int inputs, int outputs, bool bias = true, Initializer? weightInit = null, Initializer? biasInit = null)
    {
        Weight = scope.Parameter("weight", weightInit ?? Init.KaimingUniform(inputs), outputs, inputs);
        Bias = bias ? scope.Parameter("bias", biasInit ?? Init.KaimingUniform(inputs), outputs) : null;
    }

    /// <summary>(outputs, inputs).</summary>
    public Tensor Weight { get; }

    /// <summary>(outputs), or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Applies the layer to the last dimension.</summary>
    /// <param name="x">(..., inputs).</param>
    /// <returns>(..., outputs).</returns>
    public Tensor Forward(Tensor x) => Forward(x, null);

    /// <summary>Applies the layer to the last dimension, and adds a residual.</summary>
    /// <param name="x">(..., inputs).</param>
    /// <param name="residual">(..., outputs), added to the result; or null.</param>
    /// <returns>(..., outputs).</returns>
    public Tensor Forward(Tensor x, Tensor? residual) => Ops.Linear(x, Weight, Bias, residual);
}
