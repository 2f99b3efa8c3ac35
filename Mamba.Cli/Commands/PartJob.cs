using System.CommandLine;
using System.Text;
using Mamba.Core.Checkpoints;

namespace Mamba.Cli.Commands;

/// <summary>What tells a job that several processes share from others: the weights, the images and what was typed.</summary>
internal static class PartJob
{
    /// <summary>A number that is the same for all parts of a job, and another for another job.</summary>
    /// <param name="parsed">What was typed.</param>
    /// <param name="apart">Options that may differ: they change no result, or are in the other arguments.</param>
    /// <param name="weights">The weight file.</param>
    /// <param name="images">The images, in order.</param>
    /// <param name="stop">Stops while the weights are read.</param>
    /// <returns>SHA-256, in hexadecimal digits.</returns>
    public static string Digest(ParseResult parsed, Option[] apart, string weights, IEnumerable<string> images, CancellationToken stop)
    {
        using FileStream file = new(weights, FileMode.Open, FileAccess.Read, FileShare.Read);
        List<string> words = [Convert.ToHexStringLower(Sha256.HashData(file, stop))];
        foreach (Option option in parsed.CommandResult.Command.Options)
            if (!apart.Contains(option) && parsed.GetResult(option) is { Implicit: false } given)
                words.AddRange([option.Name, .. given.Tokens.Select(token => token.Value)]);
        string all = string.Join('\0', [.. words, "", .. images]);
        return Convert.ToHexStringLower(Sha256.HashData(Encoding.UTF8.GetBytes(all)));
    }
}
