namespace Mamba.Tests.Cli;

/// <summary>
/// Says which options of a verb a test types and asserts the effect of. <see cref="CliTest"/> fails a test that did not type them;
/// <see cref="OptionCoverageTests"/> fails when an option of the command line is in no test's list.
/// </summary>
/// <param name="verb">The verb.</param>
/// <param name="options">Its options, with their dashes.</param>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class ExercisesAttribute(string verb, params string[] options) : Attribute
{
    public string Verb => verb;

    public IReadOnlyList<string> Options => options;
}
