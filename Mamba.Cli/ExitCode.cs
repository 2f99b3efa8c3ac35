namespace Mamba.Cli;

/// <summary>What the program tells the shell.</summary>
internal static class ExitCode
{
    /// <summary>Everything went well.</summary>
    public const int Success = 0;

    /// <summary>The command ran, and its verdict is no.</summary>
    public const int Failure = 1;

    /// <summary>The command could not run: bad arguments, bad files.</summary>
    public const int BadInput = 2;

    /// <summary>Ended by Ctrl-C, as shells report it.</summary>
    public const int Interrupted = 130;
}
