using Mamba.Core.Memory;

namespace Mamba.Core.Optim;

/// <summary>Changes parameters by their gradients.</summary>
/// <remarks>
/// An optimizer of your own derives from this class. It makes its state by <see cref="NewState"/>, shows it in <see cref="State"/> and
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

    /// <summary>An optimizer of these parameters, all in the default group.</summary>
    /// <param name="parameters">The parameters, each with <see cref="Tensor.RequiresGrad"/>.</param>
    /// <param name="learningRate">The learning rate of the first steps.</param>
    /// <param name="weightDecay">The decay of groups that have none of their own.</param>
    /// <exception cref="ArgumentException">
    /// A parameter or a name comes twice, or a parameter is the result of a recorded operator, which no gradient stays with.
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

    /// <summary>The learning rate of the next step; a <see cref="Schedule"/> changes it. Groups scale it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, infinite or NaN.</exception>
    public double LearningRate
    {
        get;
        set => field = Check.NotNegative(value, nameof(LearningRate));
    }

    /// <summary>The decay of groups that have none of their own.</summary>
    public double WeightDecay { get; }

    /// <summary>
    /// Assigns each parameter to a group by its name, for instance <see cref="GroupRules.MambaWeightDecay"/>. Asked once, here.
    /// </summary>
    /// <exception cref="ArgumentException">The rule gives a parameter no group.</exception>
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

    /// <summary>Gradients are scaled down together so that their Euclidean norm is at most this; null leaves them.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative or NaN.</exception>
    public double? MaxGradientNorm
    {
        get;
        init => field = value is null or >= 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(MaxGradientNorm), value, "MaxGradientNorm: expected at least 0.");
    }

    /// <summary>Steps taken; set when a run resumes from a checkpoint.</summary>
    public long Steps { get; set; }

    /// <summary>
    /// What the optimizer remembers of earlier gradients, by name: with <see cref="Steps"/> and the parameters, all that a checkpoint
    /// needs.
    /// </summary>
    public abstract IEnumerable<(string Name, Tensor Tensor)> State { get; }

    /// <summary>Applies the gradients; a parameter without one stays as it is. Everything is checked before anything changes.</summary>
    /// <exception cref="InvalidOperationException">A parameter is frozen. Nothing was changed.</exception>
    /// <exception cref="NonFiniteException">
    /// A gradient is not finite: the message names the first parameter. Nothing was changed.
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

    /// <summary>Applies one gradient: changes the parameter, and the state of its index, in place.</summary>
    /// <param name="update">The parameter, its gradient and its group's settings.</param>
    protected abstract void Update(in ParameterUpdate update);

    /// <summary>A tensor for each parameter, in its shape and outside any <see cref="MemoryScope"/>.</summary>
    /// <param name="value">The first value of every element.</param>
    /// <returns>The tensors, in the order of <see cref="ParameterUpdate.Index"/>.</returns>
    protected Tensor[] NewState(float value = 0f)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        return Array.ConvertAll(_parameters, p => Tensor.Full(value, p.Tensor.Shape));
    }

    /// <summary>The tensors of a state under the names of their parameters, as <see cref="State"/> shows them.</summary>
    /// <param name="prefix">What the state is, for instance "mean".</param>
    /// <param name="state">The tensors that <see cref="NewState"/> made.</param>
    /// <returns>Each with the name "prefix.parameter".</returns>
    protected IEnumerable<(string Name, Tensor Tensor)> Named(string prefix, Tensor[] state) =>
        _parameters.Zip(state, (p, s) => ($"{prefix}.{p.Name}", s));

    /// <summary>A parameter that came twice would be changed twice a step, and a name that came twice would lose a state in a
    /// checkpoint.</summary>
    private void CheckParameters()
    {
        HashSet<string> names = [];
        HashSet<object> parameters = [];
        foreach ((string name, Tensor parameter) in _parameters)
        {
            if (parameter is { NeedsGrad: true, RequiresGrad: false })
                throw new ArgumentException($"Optimizer: '{name}' is the result of a recorded operator; expected a leaf.");
            // A reshape of a leaf has the leaf's gradient.
            if (!names.Add(name) || !parameters.Add(parameter.GradientCell ?? (object)parameter))
                throw new ArgumentException($"Optimizer: the parameter '{name}' comes twice.");
        }
    }

    /// <summary>The factor that clips; the norm also tells whether all gradients are finite, so one pass over them does both.</summary>
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

/// <summary>What an <see cref="Optimizer"/> needs to apply one gradient.</summary>
/// <param name="Index">The parameter's index, for the state.</param>
/// <param name="Parameter">The parameter; changed in place.</param>
/// <param name="Gradient">Its gradient, finite, before clipping.</param>
/// <param name="GradientScale">The factor on the gradient, from clipping; 1 without.</param>
/// <param name="LearningRate">The learning rate of the parameter's group.</param>
/// <param name="WeightDecay">The weight decay of the parameter's group.</param>
public readonly record struct ParameterUpdate(int Index, Tensor Parameter, Tensor Gradient, float GradientScale, double LearningRate,
    double WeightDecay);
