using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Optim;

namespace Mamba.Models.Verification;

/// <summary>A model that is held against the reference values of its file.</summary>
/// <param name="parameters">Its parameters.</param>
internal abstract class GoldenModel(ParameterStore parameters) : IDisposable
{
    public ParameterStore Parameters => parameters;

    /// <summary>Whether the model is in training mode for a case.</summary>
    public virtual bool Trains(ModelGoldenCase golden) => golden.Mode != "eval";

    /// <summary>Computes what a case has values of, and compares.</summary>
    /// <exception cref="UnsupportedCaseException">The case wants something that is not built.</exception>
    /// <exception cref="FailedCaseException">The case cannot be computed.</exception>
    public abstract void Compare(ModelGoldenCase golden, GoldenErrors errors, CancellationToken cancellation);

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }

    protected static UnsupportedCaseException UnknownMode(ModelGoldenCase golden) => new($"unknown mode '{golden.Mode}'");

    /// <summary>The classes that a target stands for.</summary>
    protected static int[] Classes(FilledTensor target) => Array.ConvertAll(target.Make().Span.ToArray(), x => (int)x);

    /// <summary>Differentiates sum(output * cotangent) / numel(output), and compares the gradients of parameters.</summary>
    protected void CompareGradients(Tape tape, Tensor output, FilledTensor cotangent, ModelGoldenCase golden, GoldenErrors errors)
    {
        Tensor weights = cotangent.Make();
        float[] scaled = Array.ConvertAll(weights.Span.ToArray(), w => w / weights.Count);
        tape.Backward(output, Tensor.From(scaled, weights.Shape.ToArray()));
        CompareGradients(golden, errors);
    }

    /// <summary>Compares the gradients that parameters have.</summary>
    protected void CompareGradients(ModelGoldenCase golden, GoldenErrors errors) =>
        errors.CompareAll("grads", golden.Gradients, name => GoldenParameters.Find(parameters, name).Grad);

    /// <summary>Trains, and compares the loss of each step.</summary>
    protected void Optimize(Func<Tensor> loss, GoldenTraining golden, GoldenErrors errors, CancellationToken cancellation)
    {
        Optimizer optimizer = GoldenParameters.Optimizer(golden.Optimizer, parameters);
        foreach (double expected in golden.Losses)
        {
            cancellation.ThrowIfCancellationRequested();
            parameters.ZeroGrad();
            using Tape tape = new();
            Tensor value = loss();
            errors.Add("losses", "loss", Math.Abs(value.Item() - expected) / Math.Abs(expected));
            tape.Backward(value);
            optimizer.Step();
        }
    }
}
