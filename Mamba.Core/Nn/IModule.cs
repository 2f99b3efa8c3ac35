namespace Mamba.Core.Nn;

/// <summary>
/// A layer, or a model made of layers: a function of one tensor. Its parameters are in the <see cref="ParameterStore"/> in which it was
/// declared.
/// </summary>
public interface IModule
{
    /// <summary>Applies the module.</summary>
    /// <param name="x">The input; its shape depends on the module.</param>
    /// <returns>The result.</returns>
    Tensor Forward(Tensor x);
}
