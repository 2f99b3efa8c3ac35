using Mamba.Models.Data.Loading;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary>What the gradients of a run follow from.</summary>
/// <param name="Arguments">The options.</param>
/// <param name="Model">The model, with its first weights.</param>
/// <param name="Teacher">The teacher; null for none.</param>
/// <param name="Train">The training images.</param>
/// <param name="Plan">How to train.</param>
/// <param name="Identity">The hash of the options and the images, see <see cref="RunArguments.Identity"/>.</param>
internal sealed record RunParts(
    RunArguments Arguments, VisionModel Model, VisionModel? Teacher, BatchLoader Train, TrainingPlan Plan, string Identity) : IDisposable
{
    public void Dispose()
    {
        Train.Dispose();
        Teacher?.Dispose();
    }
}
