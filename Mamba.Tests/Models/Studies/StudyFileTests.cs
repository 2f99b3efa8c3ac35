using System.Text;
using Mamba.Models.Data.Splits;
using Mamba.Models.Studies;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>What a study's file says, and what is refused in it.</summary>
internal sealed class StudyFileTests
{
    private const string Small =
        """{ "name": "s", "data": "d", "budget": { "epochs": 3 }, "protocols": ["slice"], "models": ["unet"] }""";

    [Test]
    public void A_study_is_its_models_times_its_seeds_folds_and_protocols()
    {
        Study study = Parse(
            """
            {
              "name": "mine", "title": "Mine", "data": "my images", "budget": { "minutes": 2.5 }, "seeds": [0, 7], "folds": ["1/3", "3/3"],
              "protocols": ["slice", "patient"], "options": { "recipe": "{model}", "batch": 4, "balance": true },
              "models": ["unet", { "model": "unet", "id": "wide", "label": "Wide", "options": { "batch": 2, "width": 64 } }]
            }
            """);
        IReadOnlyList<StudyRun> runs = study.Plan();
        Assert.That(runs, Has.Count.EqualTo(2 * 2 * 2 * 2));
        Assert.That(runs.Select(run => run.Id), Is.Unique);
        Assert.That(runs.Take(5).Select(run => run.Id), Is.EqualTo(new[]
        {
            "unet-slice-0-fold1", "wide-slice-0-fold1", "unet-slice-7-fold1", "wide-slice-7-fold1", "unet-slice-0-fold3",
        }));
        Assert.That(runs[^1].Id, Is.EqualTo("wide-patient-7-fold3"));
        Assert.That(runs[3].Words, Is.EqualTo(new[]
        {
            "--model=unet", "--data=my images", "--recipe=unet", "--batch=2", "--balance=true", "--width=64", "--protocol=slice",
            "--fold=1/3", "--seed=7", "--minutes=2.5",
        }));
        Assert.That(runs[3].Command, Does.StartWith("mamba train --model=unet \"--data=my images\" --recipe=unet"));
        Assert.That((runs[1].Model.Label, runs[0].Model.Label), Is.EqualTo(("Wide", "unet")));
    }

    [Test]
    public void The_command_of_a_run_names_its_teacher()
    {
        StudyRun taught = Parse(
            """
            {
              "name": "mine", "data": "d", "budget": { "epochs": 2 }, "protocols": ["slice"],
              "models": ["unet", { "model": "ul-vm-unet", "id": "taught", "teacher": "unet" }]
            }
            """).Plan()[1];
        Assert.That(taught.Command, Is.EqualTo(
            "mamba train --model=ul-vm-unet --data=d --protocol=slice --seed=0 --epochs=2 --teacher=runs/unet-slice-0"));
    }

    [Test]
    public void A_number_of_folds_is_all_of_them() => Assert.That(
        Parse(Small.Replace("\"models\"", "\"folds\": 4, \"models\"")).Folds,
        Is.EqualTo(new[] { new Fold(1, 4), new Fold(2, 4), new Fold(3, 4), new Fold(4, 4) }));

    [Test]
    public void What_is_written_is_read_again()
    {
        Study study = Parse(
            """
            {
              "name": "c", "title": "Compression", "data": "", "paper": true, "budget": { "steps": 9 }, "seeds": [3], "folds": 2,
              "protocols": ["patient"], "options": { "size": "32x32", "lr": 3e-4 },
              "models": [
                "unet",
                { "model": "ul-vm-unet", "id": "taught", "teacher": "unet", "options": { "temperature": 2 } },
                { "model": "unet", "id": "int8", "of": "unet", "then": [["quantize", "--weights", "{best}", "--out", "{out}"]] }
              ]
            }
            """);
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "study.json");
        StudyFile.Write(path, study);
        Study again = StudyFile.Read(path);
        Assert.That(StudyFile.Difference(study, again), Is.Null);
        Assert.That(again.Plan().SelectMany(run => run.Words), Is.EqualTo(study.Plan().SelectMany(run => run.Words)));
        Assert.That(again.IsPaper);
        Assert.That(
            (again.Models[1].Teacher, again.Models[2].Of, again.Models[2].Then[0][4]), Is.EqualTo(("unet", "unet", "{out}")));
    }

    [TestCase("\"epochs\": 3", "\"epochs\": 4", "$.budget.epochs: 3 there, 4 now")]
    [TestCase("\"epochs\": 3", "\"minutes\": 4", "$.budget.epochs: 3 there, none now")]
    [TestCase("[\"unet\"]", "[\"unet\", \"vit\"]", "$.models: 1 entries there, 2 now")]
    [TestCase("[\"unet\"]", "[\"vit\"]", "$.models[0].model: \"unet\" there, \"vit\" now")]
    [TestCase("\"models\"", "\"options\": { \"lr\": 1 }, \"models\"", "$.options.lr: none there, \"1\" now")]
    [TestCase("\"d\"", "\"elsewhere\"", null)]
    public void The_first_difference_of_two_studies_is_named_and_data_may_move(string from, string to, string? difference) =>
        Assert.That(StudyFile.Difference(Parse(Small), Parse(Small.Replace(from, to))), Is.EqualTo(difference));

    [TestCase("{", "no study: ")]
    [TestCase("[]", "$ is []; expected an object")]
    [TestCase("{}", "$: has no \"name\"; expected one")]
    [TestCase("\"name\": \"s\"|\"name\": \"../s\"", "$.name is '../s'; expected a name of at most 100 letters")]
    [TestCase("\"name\": \"s\"|\"name\": 3", "$.name is 3; expected a string")]
    [TestCase("\"protocols\"|\"protocol\"", "$.protocol: unknown key; did you mean protocols?")]
    [TestCase("\"data\"|\"colour\": 1, \"data\"", "$.colour: unknown key; expected name, title, data, paper")]
    [TestCase("\"data\"|\"name\": \"t\", \"data\"", "$.name: is there twice; expected it once")]
    [TestCase("\"epochs\": 3|\"epochs\": 0", "$.budget.epochs is 0; expected a whole number from 1 to 1000000")]
    [TestCase("\"epochs\": 3|\"epochs\": 3, \"minutes\": 1", "$.budget gives 2 bounds; expected one of epochs, steps and minutes")]
    [TestCase("\"epochs\": 3|\"minutes\": -1", "$.budget.minutes is -1; expected a number above 0")]
    [TestCase("\"epochs\": 3|", "$.budget gives 0 bounds")]
    [TestCase("\"slice\"|\"image\"", "$.protocols[0] is 'image'; expected slice, patient, official or holdout")]
    [TestCase("\"slice\"|\"slice\", \"slice\"", "$: the run 'unet-slice-0' is there twice")]
    [TestCase("[\"unet\"]|[]", "$.models has 0 entries; expected 1 to 1000")]
    [TestCase("[\"unet\"]|[\"unet\", \"unet\"]", "$.models: two are called 'unet'; expected an id of its own for each")]
    [TestCase("[\"unet\"]|[{ \"id\": \"a\" }]", "$.models[0]: has no \"model\"; expected one")]
    [TestCase("[\"unet\"]|[{ \"model\": \"unet\", \"lr\": 1 }]", "$.models[0].lr: unknown key; expected model, id, label")]
    [TestCase("[\"unet\"]|[{ \"model\": \"unet\", \"options\": { \"seed\": 1 } }]", "$.models[0].options.seed: the study says it beside")]
    [TestCase("[\"unet\"]|[{ \"model\": \"unet\", \"options\": { \"lr\": [1] } }]", "$.models[0].options.lr is [1]; expected a string")]
    [TestCase("[\"unet\"]|[{ \"model\": \"unet\", \"teacher\": \"vit\" }]", "the teacher of 'unet' is 'vit'; expected the id of")]
    [TestCase("[\"unet\"]|[{ \"model\": \"unet\", \"of\": \"vit\" }]", "'unet' is of 'vit'; expected the id of a model before it")]
    [TestCase("[\"unet\"]|[{ \"model\": \"unet\", \"then\": [\"prune\"] }]", "$.models[0].then[0] is \"prune\"; expected a list")]
    [TestCase("\"models\"|\"seeds\": [1.5], \"models\"", "$.seeds[0] is 1.5; expected a whole number from 0 to 2147483647")]
    [TestCase("\"models\"|\"folds\": [\"3/2\"], \"models\"", "$.folds[0] is '3/2'; expected k/K, as 1/5")]
    [TestCase("\"slice\"], |\"official\"], \"folds\": 2, ", "$.folds: split at random; expected the protocols slice or patient")]
    public void What_is_wrong_is_said_with_file_place_and_what_was_expected(string change, string message)
    {
        string[] parts = change.Split('|');
        string text = parts.Length == 2 ? Small.Replace(parts[0], parts[1]) : change;
        Assert.That(
            () => Parse(text), Throws.TypeOf<StudyException>().With.Message.StartsWith("mine.json: ").And.Message.Contains(message));
    }

    [Test]
    public void A_file_that_is_not_there_or_is_no_text_is_refused_by_name()
    {
        using TemporaryFolder folder = new();
        string missing = Path.Combine(folder.Root, "none.json"), binary = folder.Write("binary.json", [0xFF, 0xFE, 0, 1]);
        Assert.That(
            () => StudyFile.Read(missing),
            Throws.TypeOf<StudyException>().With.Message.EqualTo($"{missing}: no such file; expected a study"));
        Assert.That(() => StudyFile.Read(binary), Throws.TypeOf<StudyException>().With.Message.StartsWith($"{binary}: no study: "));
    }

    private static Study Parse(string text) => StudyFile.Parse("mine.json", Encoding.UTF8.GetBytes(text));
}
