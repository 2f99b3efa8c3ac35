using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>Initial values of a whole model, in a store that may hold other models.</summary>
internal static class Reinitialization
{
    /// <summary>As <see cref="ParameterStore.Reinitialize"/>, but for the parameters of this scope only.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="rule">The initialization of a parameter by its name in the scope and its shape; null keeps its values.</param>
    public static void Reinitialize(this Scope scope, Func<string, Shape, Initializer?> rule)
    {
        string place = scope.Path.Length == 0 ? "" : scope.Path + ".";
        scope.Store.Reinitialize(
            (name, shape) => name.StartsWith(place, StringComparison.Ordinal) ? rule(name[place.Length..], shape) : null);
    }
}
