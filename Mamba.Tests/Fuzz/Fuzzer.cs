using System.Diagnostics;

namespace Mamba.Fuzz;

/// <summary>A file that did more than it may.</summary>
/// <param name="Reader">What read it.</param>
/// <param name="Problem">What happened, in a line.</param>
/// <param name="File">The file.</param>
public sealed record Finding(string Reader, string Problem, byte[] File);

/// <summary>
/// Gives corrupted files to one reader, one after another. Each must be read, or refused with the reader's own exception, within time and
/// memory. Files with a new outcome are corrupted further.
/// </summary>
/// <remarks>The same reader, seed and number of inputs give the same files.</remarks>
public sealed class Fuzzer
{
    private const int MostSeeds = 2000;

    private readonly Reader _reader;
    private readonly Random _random;
    private readonly Mutator _mutator;
    private readonly List<byte[]> _seeds;
    private readonly HashSet<string> _outcomes = [];
    private volatile byte[] _current = [];
    private long _since, _watched;
    private TimeSpan _watchedFrom;

    /// <summary>Prepares a reader.</summary>
    /// <param name="reader">Its name, one of <see cref="Readers"/>.</param>
    /// <param name="seed">Where chance begins.</param>
    public Fuzzer(string reader, int seed)
    {
        _reader = Reader.Find(reader);
        (_random, _seeds) = (new Random(seed), [.. _reader.Seeds]);
        _mutator = new Mutator(_random, _reader.Format);
    }

    /// <summary>The names of all readers.</summary>
    public static IReadOnlyList<string> Readers => Reader.Names;

    /// <summary>The name of the reader.</summary>
    public string Name => _reader.Name;

    /// <summary>Files read so far.</summary>
    public long Inputs { get; private set; }

    /// <summary>Files among them that were not refused.</summary>
    public long Read { get; private set; }

    /// <summary>Different things that the reader said, numbers aside.</summary>
    public int Outcomes => _outcomes.Count;

    /// <summary>
    /// The file that is being read, if it has been since this was asked before and this process has worked longer than so on it; null
    /// otherwise. Asked again and again from one other thread. Time that other programs take does not count.
    /// </summary>
    /// <param name="seconds">The longest time of the processor.</param>
    /// <returns>A finding.</returns>
    public Finding? Hanging(double seconds)
    {
        long since = Interlocked.Read(ref _since);
        TimeSpan now = Environment.CpuUsage.TotalTime;
        if (since != _watched) (_watched, _watchedFrom) = (since, now);
        return since != 0 && (now - _watchedFrom).TotalSeconds > seconds
            ? new Finding(Name, $"takes longer than {seconds} s", _current)
            : null;
    }

    /// <summary>Reads the valid files, which must all be accepted.</summary>
    /// <returns>Those that are not.</returns>
    public IEnumerable<Finding> CheckSeeds()
    {
        foreach (byte[] file in _reader.Seeds)
        {
            string? problem = Try(file, out bool accepted);
            if (problem is not null || !accepted) yield return new Finding(Name, problem ?? "a valid file is refused", file);
        }
    }

    /// <summary>Reads a number of corrupted files.</summary>
    /// <param name="inputs">How many.</param>
    /// <returns>What went wrong, as it is found.</returns>
    public IEnumerable<Finding> Run(long inputs)
    {
        for (long end = Inputs + inputs; Inputs < end; Inputs++)
        {
            // One half comes from valid files, the other from what was found on the way.
            byte[] from = _random.Next(2) == 0 ? _reader.Seeds[_random.Next(_reader.Seeds.Count)] : _seeds[_random.Next(_seeds.Count)];
            byte[] file = _mutator.Corrupt(from, _seeds[_random.Next(_seeds.Count)]);
            int known = _outcomes.Count;
            string? problem = Try(file, out bool accepted);
            if (accepted) Read++;
            if (problem is not null) yield return new Finding(Name, problem, file);
            else if (_outcomes.Count > known && file.Length > 0)
            {
                if (_seeds.Count < MostSeeds) _seeds.Add(file);
                else _seeds[_random.Next(MostSeeds)] = file;
            }
        }
    }

    /// <summary>Reads one file.</summary>
    /// <returns>What went wrong; null if nothing.</returns>
    private string? Try(byte[] file, out bool accepted)
    {
        _current = file;
        Interlocked.Exchange(ref _since, Stopwatch.GetTimestamp());
        long before = GC.GetAllocatedBytesForCurrentThread();
        string outcome;
        string? problem = null;
        try
        {
            outcome = _reader.Read(file);
            accepted = true;
        }
        catch (Exception e) when (_reader.Expects(e))
        {
            outcome = e.Message;
            accepted = false;
        }
        catch (Exception e)
        {
            outcome = problem = $"{e.GetType().FullName}: {e.Message} {e.StackTrace?.Split('\n').FirstOrDefault()?.Trim()}";
            accepted = false;
        }
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Interlocked.Exchange(ref _since, 0);
        if (problem is null && allocated > _reader.Factor * file.Length + Reader.Constant)
            problem = $"{allocated} bytes allocated for a file of {file.Length}; "
                + $"expected at most {_reader.Factor} times as many and {Reader.Constant}. {outcome}";
        _outcomes.Add(Shape(outcome));
        return problem;
    }

    /// <summary>
    /// The kind of an outcome: the start of its message. What comes from the file is left out: the text between the first and the last
    /// quote, and the path of malformed JSON. Only small letters count, so that no number and no name makes an outcome new.
    /// </summary>
    private static string Shape(string outcome)
    {
        int open = outcome.IndexOf('\''), close = outcome.LastIndexOf('\'');
        string said = open < 0 ? outcome : outcome[..open] + outcome[close..];
        int path = said.IndexOf(" Path: ", StringComparison.Ordinal);
        return string.Concat((path < 0 ? said : said[..path]).Where(char.IsAsciiLetterLower).Take(100));
    }
}
