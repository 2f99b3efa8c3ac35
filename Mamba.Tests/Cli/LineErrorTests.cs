using System.CommandLine;
using Mamba.Cli;

namespace Mamba.Tests.Cli;

/// <summary>Words that mean nothing: one line says what is wrong and what to type instead.</summary>
internal sealed class LineErrorTests : CliTest
{
    [TestCase("--epoch: unknown option of 'train'; did you mean --epochs? See mamba train --help", "train", "--epoch", "5")]
    [TestCase("--epoch: unknown option of 'train'; did you mean --epochs? See mamba train --help", "train", "--epochs", "5", "--epoch=3")]
    [TestCase("--modle: unknown option of 'train'; did you mean --model? See mamba train --help", "train", "--modle", "unet")]
    [TestCase("--dat: unknown option of 'eval'; did you mean --data? See mamba eval --help", "eval", "--weights", "w", "--dat",
        "synthetic")]
    [TestCase("--tpo: unknown option of 'infer'; did you mean --top? See mamba infer --help", "infer", "--weights", "w", "--tpo", "3",
        "x.png")]
    [TestCase("--jsno: unknown option of 'models'; did you mean --json? See mamba models --help", "models", "--jsno")]
    [TestCase("--thread: unknown option of 'bench'; did you mean --threads? See mamba bench --help", "bench", "--thread", "2")]
    [TestCase("--jsn: unknown option of 'verify'; did you mean --json? See mamba verify --help", "verify", "--jsn", "goldens")]
    [TestCase("--jsn: unknown option of 'inspect'; did you mean --json? See mamba inspect --help", "inspect", "--jsn", "x.pth")]
    [TestCase("--force: unknown option of 'convert'; see mamba convert --help", "convert", "a.pth", "--force", "b.safetensors")]
    [TestCase("--jsn: unknown option of 'train'; see mamba train --help", "train", "--out", "--jsn")]
    [TestCase("-e: unknown option of 'train'; see mamba train --help", "train", "-e", "5")]
    [TestCase("--hepl: unknown option of 'mamba'; did you mean --help? See mamba --help", "--hepl")]
    [TestCase("'trian': unknown command; did you mean train? See mamba --help", "trian")]
    [TestCase("'dance': unknown command; see mamba --help", "dance")]
    [TestCase("'extra': unexpected argument of 'bench'; see mamba bench --help", "bench", "extra")]
    public void The_word_is_named_with_the_one_that_was_probably_meant(string message, params string[] arguments) =>
        Assert.That(Mamba(arguments), Is.EqualTo(new Result(2, "", $"mamba: {message}{Environment.NewLine}")));

    [Test]
    public void What_follows_two_dashes_is_a_value() =>
        Assert.That(
            Mamba("inspect", "--", "--no-such-file").Error, Does.StartWith("mamba: --no-such-file:").And.Not.Contain("unknown option"));

    [TestCase("--- Title"), TestCase("--epoch 5 began"), TestCase("@alice said"), TestCase("@")]
    public void A_text_may_begin_as_an_option_or_the_name_of_a_file_does(string prompt)
    {
        string[] generate = ["generate", "--weights", In("nowhere"), "--prompt"];
        Assert.That(Mamba([.. generate, prompt]).Error, Does.StartWith($"mamba: {In("nowhere")}: no such folder"));
        File.WriteAllText(In("words"), "--json");
        Assert.That(Mamba([.. generate, "@" + In("words")]).Error, Does.StartWith($"mamba: {In("nowhere")}: no such folder"));
    }

    [Test]
    public void A_text_with_dashes_that_no_option_takes_is_refused() =>
        Assert.That(Mamba("train", "--epochs", "--- Title").Error, Does.StartWith("mamba: --- Title: unknown option of 'train'"));

    [Test]
    public void Errors_name_the_program_that_was_called()
    {
        RootCommand tree = new() { new Command("node") };
        Assert.That(
            Run("mamba-cluster", tree, "node", "--hepl"),
            Is.EqualTo("mamba-cluster: --hepl: unknown option of 'node'; did you mean --help? See mamba-cluster node --help"));
        Assert.That(Run("mamba-cluster", tree, "nod"), Does.EndWith("'nod': unknown command; did you mean node? See mamba-cluster --help"));
    }

    [TestCase("out of memory"), TestCase("out of memory; a smaller --batch needs less", "--batch", "--json")]
    [TestCase("out of memory; a smaller --batch or --size needs less", "--size", "--batch")]
    public void Want_of_memory_names_the_options_that_the_command_has(string message, params string[] options)
    {
        Command fill = new("fill");
        foreach (string option in options) fill.Add(new Option<string>(option));
        fill.SetAction(int (_) => throw new OutOfMemoryException());
        Assert.That(Run("mamba", new RootCommand { fill }, "fill"), Is.EqualTo($"mamba: {message}"));
    }

    /// <summary>The line that a program of some commands ends with.</summary>
    private static string Run(string program, RootCommand tree, params string[] words)
    {
        using StringWriter error = new();
        Assert.That(CommandLine.Run(words, tree, program, new Terminal(TextWriter.Null, error)), Is.EqualTo(2));
        return error.ToString().TrimEnd();
    }

    [Test]
    public void A_recipe_with_a_misspelt_option_is_told_the_right_one()
    {
        File.WriteAllText(In("recipe.json"), """{"epoch": 3}""");
        Assert.That(
            Mamba("train", "--recipe", In("recipe.json")).Error,
            Does.EndWith($"unknown option 'epoch'; did you mean epochs?{Environment.NewLine}"));
    }
}
