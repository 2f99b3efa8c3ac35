namespace Mamba.Core.Nn;

/// <summary>Modules applied in sequence, as PyTorch's Sequential. It declares no parameters: its modules have their own scopes.</summary>
/// <param name="modules">The modules, first to last; with none, the result is the input.</param>
/// <example><code>
/// Scope layers = root / "layers";
/// Sequential stem = new(
///     new Conv2d(layers / 0, new ConvConfig(3, 64, Kernel: 3) { Padding = 1, Bias = false }),
///     new BatchNorm2d(layers / 1, 64),
///     new Function(Ops.Relu));
/// </code></example>
public sealed class Sequential(params ReadOnlySpan<IModule> modules) : IModule
{
    private readonly IModule[] _modules = modules.ToArray();

    /// <summary>The modules, first to last.</summary>
    public IReadOnlyList<IModule> Modules => _modules;

    /// <inheritdoc/>
    public Tensor Forward(Tensor x)
    {
        foreach (IModule module in _modules) x = module.Forward(x);
        return x;
    }
}

/// <summary>An operator without parameters as a module, for a <see cref="Sequential"/>.</summary>
/// <param name="function">The operator, such as <see cref="Ops.Relu"/>.</param>
public sealed class Function(Func<Tensor, Tensor> function) : IModule
{
    /// <inheritdoc/>
    public Tensor Forward(Tensor x) => function(x);
}
