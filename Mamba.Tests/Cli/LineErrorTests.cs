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

    [Test]
    public void A_recipe_with_a_misspelt_option_is_told_the_right_one()
    {
        File.WriteAllText(In("recipe.json"), """{"epoch": 3}""");
        Assert.That(
            Mamba("train", "--recipe", In("recipe.json")).Error,
            Does.EndWith($"unknown option 'epoch'; did you mean epochs?{Environment.NewLine}"));
    }
}
