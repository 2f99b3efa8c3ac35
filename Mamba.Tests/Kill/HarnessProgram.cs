using System.Globalization;

namespace Mamba.Kill;

/// <summary>The program around a harness.</summary>
public static class HarnessProgram
{
    /// <summary>Runs a harness in a new folder, which stays if a promise was broken. Options are --kills N and --seed N.</summary>
    /// <param name="args">The command line.</param>
    /// <param name="name">The beginning of the folder's name.</param>
    /// <param name="kills">How often to kill where the command line does not say.</param>
    /// <param name="harness">Gets the folder, the seed and how often to kill, and returns the report.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string[] args, string name, int kills, Func<string, ulong, int, object> harness)
    {
        ArgumentNullException.ThrowIfNull(args);
        ArgumentNullException.ThrowIfNull(harness);
        string folder = Directory.CreateTempSubdirectory(name).FullName;
        try
        {
            Console.WriteLine(harness(folder, (ulong)Number(args, "--seed", 1), Number(args, "--kills", kills)));
            Directory.Delete(folder, recursive: true);
            return 0;
        }
        catch (KillException e)
        {
            Console.Error.WriteLine($"{e.Message}; the runs are in {folder}");
            return 1;
        }
    }

    private static int Number(string[] args, string name, int otherwise) =>
        Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length
            ? int.Parse(args[at + 1], CultureInfo.InvariantCulture)
            : otherwise;
}
