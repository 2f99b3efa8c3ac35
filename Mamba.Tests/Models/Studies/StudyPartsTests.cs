using Mamba.Models.Data.Splits;
using Mamba.Models.Studies;

namespace Mamba.Tests.Models;

/// <summary>Which runs of a study are whose.</summary>
internal sealed class StudyPartsTests
{
    [Test]
    public void Each_run_is_of_one_part([Values(1, 2, 3, 5, 20)] int count)
    {
        Study study = Of(new StudyModel("unet"), new StudyModel("ul-vm-unet"), new StudyModel("vit")) with { Seeds = [0, 1, 2] };
        IReadOnlyList<StudyRun> runs = study.Plan();
        long[] costs = [.. runs.Select(run => run.Model.Model == "unet" ? 100L : 1)];
        int[] all = [.. Enumerable.Range(0, runs.Count)];
        int[][] parts = [.. Enumerable.Range(1, count).Select(number => StudyParts.Of(new JobPart(number, count), runs, all, costs))];
        Assert.That(parts.SelectMany(part => part).Order(), Is.EqualTo(all));
        Assert.That(parts, Is.All.Ordered);
        if (count == 3) Assert.That(parts.Select(part => part.Sum(i => costs[i])), Is.All.EqualTo(102), "the expensive ones are spread");
        Assert.That(parts.Count(part => part.Length == 0), Is.EqualTo(Math.Max(0, count - runs.Count)));
    }

    [Test]
    public void Runs_that_need_one_anothers_weights_stay_together()
    {
        Study study = Of(
            new StudyModel("unet"), new StudyModel("ul-vm-unet") { Teacher = "unet" }, new StudyModel("unet") { Id = "alone" },
            new StudyModel("unet") { Id = "copy", Of = "ul-vm-unet" },
            new StudyModel("unet") { Id = "reads", Then = [["see", "--with={run:alone}"]] }) with
        { Seeds = [0, 1] };
        IReadOnlyList<StudyRun> runs = study.Plan();
        int[] all = [.. Enumerable.Range(0, runs.Count)];
        long[] costs = new long[runs.Count];
        int[][] parts = [.. Enumerable.Range(1, 4).Select(number => StudyParts.Of(new JobPart(number, 4), runs, all, costs))];
        Assert.That(parts.Select(part => string.Join(' ', part.Select(i => runs[i].Id))), Is.EquivalentTo(new[]
        {
            "unet-slice-0 ul-vm-unet-slice-0 copy-slice-0", "alone-slice-0 reads-slice-0",
            "unet-slice-1 ul-vm-unet-slice-1 copy-slice-1", "alone-slice-1 reads-slice-1",
        }));
        int[] some = [1, 3, 4]; // what they need has ended before; two of them open one run folder
        int[][] rest = [.. Enumerable.Range(1, 2).Select(number => StudyParts.Of(new JobPart(number, 2), runs, some, costs))];
        Assert.That(rest, Is.EquivalentTo(new[] { new[] { 1, 3 }, new[] { 4 } }));
    }

    private static Study Of(params StudyModel[] models) =>
        new("s", "d", new StudyBudget { Epochs = 1 }, [SplitProtocol.Image], models);
}
