using Mamba.Core.Memory;

namespace Mamba.Core.Optim;

/// <summary>Updates parameters by their gradients.</summary>
/// <remarks>
/// A custom optimizer derives from this class. It creates its state with <see cref="NewState"/>, exposes it in <see cref="State"/> and
/// applies one gradient in <see cref="Update"/>. <see cref="Step"/> checks all gradients first, so an update never runs on a NaN or on a
/// frozen parameter.
/// </remarks>
/// <example><code>
/// sealed class SignSgd(IEnumerable&lt;(string Name, Tensor Tensor)&gt; parameters, double rate) : Optimizer(parameters, rate)
/// {
///     public override IEnumerable&lt;(string Name, Tensor Tensor)&gt; State => [];
///
///     protected override void Update(in ParameterUpdate u)
///     {
///         Span&lt;float&gt; w = u.Parameter.Span, g = u.Gradient.Span;
///         for (int i = 0; i &lt; w.Length; i++) w[i] -= (float)u.LearningRate * Math.Sign(g[i]);
///     }
/// }
/// </code></example>
public abstract class Optimizer
{
    private readonly (string Name, Tensor Tensor)[] _parameters;
    private readonly ParameterGroup[] _groups;

    /// <summary>Creates an optimizer of these parameters, all in the default group.</summary>
    /// <param name="parameters">The parameters, each with <see cref="Tensor.RequiresGrad"/>.</param>
    /// <param name="learningRate">The learning rate of the first steps.</param>
    /// <param name="weightDecay">The decay of groups that do not set their own.</param>
    /// <exception cref="ArgumentException">
    /// A parameter or a name occurs twice, or a parameter is the result of a recorded operator, which keeps no gradient.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The learning rate or the decay is negative, infinite or NaN.</exception>
    protected Optimizer(IEnumerable<(string Name, Tensor Tensor)> parameters, double learningRate, double weightDecay = 0)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        _parameters = [.. parameters];
        CheckParameters();
        _groups = new ParameterGroup[_parameters.Length];
        Array.Fill(_groups, ParameterGroup.Default);
        (LearningRate, WeightDecay) = (learningRate, Check.NotNegative(weightDecay, nameof(weightDecay)));
    }

    /// <summary>The learning rate of the next step; a <see cref="Schedule"/> changes it, and groups scale it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, infinite or NaN.</exception>
    public double LearningRate
    {
        get;
        set => field = Check.NotNegative(value, nameof(LearningRate));
    }

    /// <summary>The decay of groups that do not set their own.</summary>
    public double WeightDecay { get; }

    /// <summary>
    /// Assigns each parameter to a group by its name, for instance <see cref="GroupRules.MambaWeightDecay"/>. The rule is applied once,
    /// when it is set.
    /// </summary>
    /// <exception cref="ArgumentException">The rule returns no group for a parameter.</exception>
    public GroupRule Groups
    {
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            for (int i = 0; i < _groups.Length; i++)
            {
                (string name, Tensor tensor) = _parameters[i];
                _groups[i] = value(name, tensor)
                    ?? throw new ArgumentException($"Optimizer: the rule has no group for the parameter '{name}'.");
            }
        }
    }

    /// <summary>The maximum global norm of the gradients, by which they are clipped; null disables clipping.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative or NaN.</exception>
    public double? MaxGradientNorm
    {
        get;
        init => field = value is null or >= 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(MaxGradientNorm), value, "MaxGradientNorm: expected at least 0.");
    }

    /// <summary>
    /// Steps taken; set when a run resumes from a checkpoint. There is one count for all parameters. PyTorch counts for each parameter the
    /// steps in which it had a gradient: results differ for a parameter whose first gradient comes late.
    /// </summary>
    public long Steps { get; set; }

    /// <summary>The optimizer's state by name. With <see cref="Steps"/> and the parameters, it is all that a checkpoint needs.</summary>
    public abstract IEnumerable<(string Name, Tensor Tensor)> State { get; }

    /// <summary>Applies the gradients; a parameter without one is unchanged. Everything is checked before anything changes.</summary>
    /// <exception cref="InvalidOperationException">A parameter is frozen. Nothing was changed.</exception>
    /// <exception cref="NonFiniteException">
    /// A gradient is NaN or infinite; the message names the first parameter. Nothing was changed.
    /// </exception>
    public void Step()
    {
        foreach ((string name, Tensor parameter) in _parameters)
            if (parameter.Grad is not null && parameter.Forms is not null)
                throw new InvalidOperationException($"Optimizer.Step: the parameter '{name}' is frozen; thaw the model to train it.");
        float scale = ClippingFactor();
        Steps++;
        for (int i = 0; i < _parameters.Length; i++)
        {
            Tensor parameter = _parameters[i].Tensor;
            if (parameter.Grad is not { } gradient) continue;
            ParameterGroup group = _groups[i];
            Update(new ParameterUpdate(i, parameter, gradient, scale, LearningRate * group.LearningRateScale,
                group.WeightDecay ?? WeightDecay));
        }
    }

    /// <summary>Applies one gradient: updates the parameter, and the state at its index, in place.</summary>
    /// <param name="update">The parameter, its gradient and its group's settings.</param>
    protected abstract void Update(in ParameterUpdate update);

    /// <summary>One tensor per parameter, in its shape and outside any <see cref="MemoryScope"/>.</summary>
    /// <param name="value">The initial value of every element.</param>
    /// <returns>The tensors, in the order of <see cref="ParameterUpdate.Index"/>.</returns>
    protected Tensor[] NewState(float value = 0f)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        return Array.ConvertAll(_parameters, p => Tensor.Full(value, p.Tensor.Shape));
    }

    /// <summary>The tensors of a state named after their parameters, for <see cref="State"/>.</summary>
    /// <param name="prefix">The name of the state, for instance "mean".</param>
    /// <param name="state">The tensors created by <see cref="NewState"/>.</param>
    /// <returns>Each with the name "prefix.parameter".</returns>
    protected IEnumerable<(string Name, Tensor Tensor)> Named(string prefix, Tensor[] state) =>
        _parameters.Zip(state, (p, s) => ($"{prefix}.{p.Name}", s));

    /// <summary>A parameter listed twice would be updated twice per step; a duplicate name would lose a state in a checkpoint.</summary>
    private void CheckParameters()
    {
        HashSet<string> names = [];
        HashSet<object> parameters = [];
        foreach ((string name, Tensor parameter) in _parameters)
        {
            if (parameter is { NeedsGrad: true, RequiresGrad: false })
                throw new ArgumentException($"Optimizer: '{name}' is the result of a recorded operator; expected a leaf.");
            // A reshape of a leaf shares the leaf's gradient.
            if (!names.Add(name) || !parameters.Add(parameter.GradientCell ?? (object)parameter))
                throw new ArgumentException($"Optimizer: the parameter '{name}' comes twice.");
        }
    }

    /// <summary>The clipping factor. The norm also shows whether all gradients are finite, so a single pass does both.</summary>
    private float ClippingFactor()
    {
        double squares = 0;
        foreach ((string name, Tensor parameter) in _parameters)
        {
            if (parameter.Grad is not { } gradient) continue;
            double sum = GradientNorm.SumOfSquares(gradient);
            if (!double.IsFinite(sum)) throw new NonFiniteException($"the gradient of '{name}'", gradient);
            squares += sum;
        }
        return MaxGradientNorm is { } bound ? GradientNorm.Factor(Math.Sqrt(squares), bound) : 1f;
    }
}

/// <summary>The inputs of one update of an <see cref="Optimizer"/>.</summary>
/// <param name="Index">The parameter's index, for the state.</param>
/// <param name="Parameter">The parameter; changed in place.</param>
/// <param name="Gradient">Its gradient, finite, before clipping.</param>
/// <param name="GradientScale">The clipping factor of the gradient; 1 without clipping.</param>
/// <param name="LearningRate">The learning rate of the parameter's group.</param>
/// <param name="WeightDecay">The weight decay of the parameter's group.</param>
public readonly record struct ParameterUpdate(int Index, Tensor Parameter, Tensor Gradient, float GradientScale, double LearningRate,
    double WeightDecay);
