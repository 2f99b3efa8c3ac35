namespace Mamba.Models.Recipes;

/// <summary>The optimizers of the paper's recipes.</summary>
public enum OptimizerKind
{
    /// <summary>Adam.</summary>
    Adam,

    /// <summary>Adam with decoupled weight decay.</summary>
    AdamW,

    /// <summary>Stochastic gradient descent with momentum 0.9.</summary>
    Sgd,
}
