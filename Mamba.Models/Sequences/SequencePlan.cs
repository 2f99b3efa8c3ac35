using Mamba.Core.Optim;

namespace Mamba.Models.Sequences;

/// <summary>How a model learns a task.</summary>
/// <param name="LearningRate">The base learning rate.</param>
/// <param name="Batch">Sequences of a step.</param>
/// <param name="Epochs">The most epochs; each ends with an evaluation.</param>
/// <param name="StepsPerEpoch">Steps of an epoch.</param>
public sealed record SequencePlan(double LearningRate, int Batch, int Epochs, int StepsPerEpoch)
{
    /// <summary>Steps in all, where the last epoch is shorter; null for <see cref="StepsPerEpoch"/> in each.</summary>
    public int? Steps { get; init; }

    /// <summary>The learning rate over the steps.</summary>
    public Schedule Schedule { get; init; } = Schedules.Constant;

    /// <summary>
    /// AdamW's weight decay. Step sizes and eigenvalues of the state spaces, their skips, biases and norms have none. S4D's kernel.C and
    /// Mamba-3's B_bias and C_bias decay, as in the published code.
    /// </summary>
    public double WeightDecay { get; init; }

    /// <summary>Bound of the gradients' norm; null for none.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>Stop after this number of epochs without a better accuracy; null for never.</summary>
    public int? Patience { get; init; }

    /// <summary>Sequences of an evaluation.</summary>
    public int Evaluated { get; init; } = 256;

    /// <summary>The steps after which an epoch ends, counted from the start of training.</summary>
    internal long EndOf(int epoch) => Math.Min((long)epoch * StepsPerEpoch, Steps ?? long.MaxValue);

    /// <summary>
    /// The groups of parameters: Mamba's rule (<see cref="GroupRules.MambaWeightDecay"/>), and S4's, by which steps and eigenvalues of a
    /// system learn at 1e-3 at most and do not decay (S4's example.py).
    /// </summary>
    internal GroupRule Groups
    {
        get
        {
            const double MostForSystems = 1e-3;
            double share = LearningRate > MostForSystems ? MostForSystems / LearningRate : 1;
            ParameterGroup system = new() { LearningRateScale = share, WeightDecay = 0 };
            GroupRule ofS4 = GroupRules.ByEnding(system, "log_dt", "log_A_real", "A_imag", "A_real", "inv_dt");
            return (name, parameter) => ofS4(name, parameter) is var group && group == system ? group
                : GroupRules.MambaWeightDecay(name, parameter);
        }
    }
}
