using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Every model of the zoo, made small: two steps of its recipe on different numbers of threads.</summary>
[NonParallelizable]
internal sealed class DeterminismTests
{
    public static IEnumerable<ModelEntry> Models => Registry.Models;

    [TestCaseSource(nameof(Models))]
    public void The_number_of_threads_changes_no_bit_of_the_weights(ModelEntry entry)
    {
        float[][] alone = SmallTraining.Run(entry, threads: 1);
        Assert.That(alone.SelectMany(t => t), Is.All.Matches<float>(float.IsFinite));
        foreach (int threads in new[] { 3, 1 })
        {
            float[][] again = SmallTraining.Run(entry, threads);
            for (int i = 0; i < alone.Length; i++)
                Assert.That(again[i].AsSpan().SequenceEqual(alone[i]), $"tensor {i} of {alone.Length} on {threads} threads");
        }
    }
}
