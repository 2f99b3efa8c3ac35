using Mamba.Models.Studies;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba study run --part</c>: each run is done by one part, and all of them together are the study.</summary>
[NonParallelizable]
internal sealed class StudyPartTests : PartTests
{
    private const string Four =
        """
        {
          "name": "four", "data": "synthetic", "budget": { "epochs": 2 }, "protocols": ["slice"], "seeds": [0, 1],
          "options": { "limit": 40, "size": "16x16", "batch": 8, "checkpoint-every": "1ms" },
          "models": [{ "model": "unet", "options": { "width": 4, "depth": 2 } }, "ul-vm-unet"]
        }
        """;

    private string[] Run => ["study", "run", In("four.json"), "--out"];

    [Test, Exercises("study run", "--part", "--list", "--out")]
    public void Parts_that_run_at_once_make_the_whole_study()
    {
        File.WriteAllText(In("four.json"), Four);
        Succeeds([.. Run, In("whole")]);
        string[] listed =
        [
            .. Enumerable.Range(1, 2).SelectMany(part => Succeeds([.. Run, In("parts"), "--list", "--part", $"{part}/2"]).Out
                .Split('\n').Where(line => line.Contains("mamba train")).Select(line => line.Split(' ')[0])),
        ];
        Assert.That(listed.Order(), Is.EqualTo(Study("whole").Runs.Select(run => run.Id).Order()), "each run is in one list");
        Result[] results = new Result[2];
        Thread[] threads = [.. Enumerable.Range(0, 2).Select(i => new Thread(() =>
            results[i] = Mamba([.. Run, In("parts"), "--part", $"{i + 1}/2"])))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.That(results.Select(result => result.Code), Is.All.Zero, results[0].Error + results[1].Error);
        Assert.That(results[0].Out, Does.Contain("run 2/2 ").And.Contain($"'mamba study report {In("parts")}' shows those of all parts"));
        Assert.That(
            Directory.GetFiles(In("parts", "results"), "*.json").Select(path => Path.GetFileNameWithoutExtension(path)).Order(),
            Is.EqualTo(listed.Order()));
        AssertSame("parts");
        Assert.That(Succeeds("study", "report", In("parts")).Out, Does.Contain("4 of 4 runs ended"));
        Result joined = Succeeds([.. Run, In("parts")]);
        Assert.That(joined.Out, Does.Contain("run 4/4 ").And.Not.Contain("epoch "), "nothing is trained again");
        Assert.That(StudyResults.Read(In("parts", "results.json")).Runs.Select(run => run.Test is not null), Is.All.True);
    }

    [Test]
    public void A_part_that_was_killed_resumes_its_run()
    {
        File.WriteAllText(In("four.json"), Four);
        Succeeds([.. Run, In("whole")]);
        using CancellationTokenSource stop = new();
        string[] first = [.. Run, In("parts"), "--part", "1/2"];
        Result killed = Mamba(first, stop.Token, line =>
        {
            if (line.StartsWith("epoch   1", StringComparison.Ordinal)) stop.Cancel();
        });
        Assert.That(killed.Code, Is.EqualTo(130), killed.Error);
        Assert.That(killed.Out, Does.Contain("--part 1/2'"), "the command that continues it");
        Succeeds([.. Run, In("parts"), "--part", "2/2"]);
        Assert.That(Succeeds("study", "report", In("parts")).Out, Does.Contain("2 of 4 runs ended"));
        Result again = Succeeds(first);
        Assert.That(again.Out, Does.Contain("resumes in epoch "));
        Assert.That(Succeeds(first).Out, Does.Contain("run 1/2 ").And.Contain("has ended before"));
        AssertSame("parts");
    }

    [Test]
    public void More_parts_than_runs_end_well_and_failures_are_those_of_the_part()
    {
        File.WriteAllText(In("four.json"), Four.Replace("\"depth\": 2", "\"depth\": 2, \"lr\": 1e30").Replace("[0, 1]", "[0]"));
        int[] codes = [.. Enumerable.Range(1, 3).Select(part => Mamba([.. Run, In("parts"), "--part", $"{part}/3"]).Code)];
        Assert.That(codes.Order(), Is.EqualTo(new[] { 0, 0, 1 }));
        Assert.That(
            Succeeds([.. Run, In("parts"), "--part", "3/3"]).Out.Trim(),
            Is.EqualTo("part 3/3 has no run: the runs went to the parts before it"));
        Assert.That(Study("parts").Runs.Select(run => run.Failure is null), Is.EqualTo(new[] { false, true }));
        File.WriteAllText(In("four.json"), Four.Replace("[0, 1]", "[0]"));
        Refuses("another study began in this folder", [.. Run, In("parts"), "--part", "1/3"]);
    }

    [Test]
    public void Parts_and_a_whole_study_keep_each_other_out()
    {
        File.WriteAllText(In("four.json"), Four);
        Result? whole = null, same = null;
        Result part = Mamba([.. Run, In("parts"), "--part", "1/4"], CancellationToken.None, line =>
        {
            if (!line.StartsWith("epoch   1", StringComparison.Ordinal) || whole is not null) return;
            whole = Mamba([.. Run, In("parts")]);
            same = Mamba([.. Run, In("parts"), "--part", "1/4"]);
        });
        Assert.That((part.Code, whole!.Code, same!.Code), Is.EqualTo((0, 2, 2)), part.Error);
        Assert.That(whole.Error, Does.Contain("another process runs this study"));
        Assert.That(same.Error, Does.Contain("another process has this run").And.Contain("expected each part once, and all of one N"));
        Assert.That(Study("parts").Runs.Count(run => run.Test is not null), Is.EqualTo(1));
    }

    [TestCase(false), TestCase(true)]
    public void Parts_on_other_images_are_refused_also_where_another_one_ends_meanwhile(bool meanwhile)
    {
        WriteLesions(In("a"), 12);
        WriteLesions(In("b"), 12, first: 3);
        File.WriteAllText(In("four.json"), Four.Replace("\"limit\": 40, ", ""));
        string[] first = [.. Run, In("parts"), "--data", In("a"), "--part", "1/4"];
        if (!meanwhile) Succeeds(first);
        Result other = Mamba([.. Run, In("parts"), "--data", In("b"), "--part", "2/4"], CancellationToken.None, line =>
        {
            if (meanwhile && line.StartsWith("epoch   1", StringComparison.Ordinal)) Succeeds(first);
        });
        Assert.That(other.Code, Is.EqualTo(2), other.Out);
        Assert.That(other.Error, Does.Contain("its images are not those of ").And.Contain("which has ended: they are other images"));
        Assert.That(Study("parts").Runs.Count(run => run.Test is not null), Is.EqualTo(1));
        Succeeds([.. Run, In("parts"), "--data", In("a"), "--part", "3/4"]);
    }

    [Test]
    public void A_part_that_is_none_is_refused()
    {
        Refuses("--part is '5/4'; expected I/N with I from 1 to N, as 3/8", "study", "run", "quick", "--part", "5/4");
        Refuses("--part is '2'; expected", "study", "run", "quick", "--part", "2");
    }

    private StudyResults Study(string folder) => StudyResults.ReadFolder(In(folder));

    /// <summary>All runs have the weights and the scores of the study in one process.</summary>
    private void AssertSame(string parts)
    {
        StudyResults expected = Study("whole"), actual = Study(parts);
        Assert.That(actual.Labels, Is.EqualTo(expected.Labels));
        Assert.That(actual.Runs.Select(run => run.Id), Is.EqualTo(expected.Runs.Select(run => run.Id)));
        foreach ((RunResult one, RunResult other) in expected.Runs.Zip(actual.Runs))
        {
            Assert.That(Last(Path.Combine(parts, "runs", one.Id)), Is.EqualTo(Last(Path.Combine("whole", "runs", one.Id))), one.Id);
            Assert.That(other.Test!.Measures, Is.EqualTo(one.Test!.Measures));
            Assert.That(other.Test.Images, Is.EqualTo(one.Test.Images));
            Assert.That(other.Split, Is.EqualTo(one.Split));
        }
    }
}
