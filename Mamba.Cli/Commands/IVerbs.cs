namespace Mamba.Cli.Commands;

/// <summary>The verbs of the command line, for a verb that runs others.</summary>
internal interface IVerbs
{
    /// <summary>What is wrong with a command line; null if it parses.</summary>
    /// <param name="words">The words after <c>mamba</c>.</param>
    string? Wrong(string[] words);

    /// <summary>Runs a command line.</summary>
    /// <param name="words">The words after <c>mamba</c>.</param>
    /// <param name="terminal">Where it writes.</param>
    /// <param name="stop">Stops it.</param>
    /// <returns>Its exit code.</returns>
    int Run(string[] words, Terminal terminal, CancellationToken stop);
}
