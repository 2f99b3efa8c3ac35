namespace Mamba.Core.Optim;

/// <summary>Settings of a group of parameters of an <see cref="Optimizer"/>.</summary>
public sealed record ParameterGroup
{
    /// <summary>The optimizer's settings.</summary>
    public static ParameterGroup Default { get; } = new();

    /// <summary>No weight decay.</summary>
    public static ParameterGroup NoDecay { get; } = new() { WeightDecay = 0 };

    /// <summary>The factor on <see cref="Optimizer.LearningRate"/>, so that a schedule changes all groups together.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, infinite or NaN.</exception>
    public double LearningRateScale
    {
        get;
        init => field = Check.NotNegative(value, nameof(LearningRateScale));
    } = 1;

    /// <summary>The weight decay; null for <see cref="Optimizer.WeightDecay"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, infinite or NaN.</exception>
    public double? WeightDecay
    {
        get;
        init => field = value is { } decay ? Check.NotNegative(decay, nameof(WeightDecay)) : null;
    }
}

/// <summary>Assigns a parameter to a group.</summary>
/// <param name="name">The parameter's name, for instance "layers.0.mixer.A_log".</param>
/// <param name="parameter">The parameter.</param>
/// <returns>Its group.</returns>
public delegate ParameterGroup GroupRule(string name, Tensor parameter);

/// <summary>The usual rules.</summary>
public static class GroupRules
{
    /// <summary>
    /// Mamba's rule (Gu and Dao 2023; the flag _no_weight_decay in state-spaces/mamba): no decay for A_log, D, dt_bias, biases and norm
    /// weights. Biases are identified by name, norm weights by having one dimension. A_b_log and D_b of a bidirectional mixer are included.
    /// </summary>
    public static GroupRule MambaWeightDecay { get; } = static (name, parameter) =>
        parameter.Shape.Rank <= 1 || Last(name) is "A_log" or "A_b_log" or "D" or "D_b" or "dt_bias" or "bias" ? ParameterGroup.NoDecay
            : ParameterGroup.Default;

    /// <summary>Assigns parameters by the end of their names to a group, all others to the default group.</summary>
    /// <param name="group">The group.</param>
    /// <param name="endings">The endings, for instance "A_log".</param>
    /// <returns>The rule.</returns>
    /// <exception cref="ArgumentException">No endings are given.</exception>
    public static GroupRule ByEnding(ParameterGroup group, params string[] endings)
    {
        ArgumentNullException.ThrowIfNull(group);
        if (endings.Length == 0) throw new ArgumentException("GroupRules.ByEnding: expected at least one ending.", nameof(endings));
        return (name, _) => Array.Exists(endings, e => name.EndsWith(e, StringComparison.Ordinal)) ? group : ParameterGroup.Default;
    }

    private static string Last(string name) => name[(name.LastIndexOf('.') + 1)..];
}
