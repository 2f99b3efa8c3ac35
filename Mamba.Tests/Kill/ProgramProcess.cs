using System.Diagnostics;
using System.Globalization;

namespace Mamba.Kill;

/// <summary>A program of this solution in a process of its own, whose lines are heard.</summary>
public sealed class ProgramProcess : IDisposable
{
    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly Lock _gate = new();

    /// <summary>Starts it.</summary>
    /// <param name="program">mamba or mamba-cluster.</param>
    /// <param name="arguments">The words after the program.</param>
    /// <param name="folder">Where paths start from; null for where those of this process do.</param>
    public ProgramProcess(string program, IEnumerable<string> arguments, string? folder = null)
    {
        ProcessStartInfo start = new("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? "",
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, program + ".dll"));
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += Hear;
        _process.ErrorDataReceived += Hear;
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>What it has said so far.</summary>
    public string[] Lines
    {
        get
        {
            lock (_gate) return [.. _lines];
        }
    }

    /// <summary>Its number.</summary>
    public int Id => _process.Id;

    /// <summary>Whether it has ended.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>Its exit code.</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>Whether it has said something.</summary>
    /// <param name="text">A part of a line.</param>
    /// <returns>True if it has.</returns>
    public bool HasSaid(string text) => Lines.Any(line => line.Contains(text, StringComparison.Ordinal));

    /// <summary>Waits until it has said something, or has ended.</summary>
    /// <param name="text">A part of a line.</param>
    /// <param name="seconds">The most seconds to wait.</param>
    /// <returns>Whether it was said.</returns>
    public bool WaitFor(string text, double seconds = 60)
    {
        for (Stopwatch watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < seconds && !HasSaid(text) && !HasExited;) Thread.Sleep(5);
        if (_process.HasExited) _process.WaitForExit(); // its last lines
        return HasSaid(text);
    }

    /// <summary>Waits until something has happened, or it has ended.</summary>
    /// <param name="happened">Whether it has.</param>
    public void WaitUntil(Func<bool> happened)
    {
        while (!_process.HasExited && !happened()) Thread.Sleep(2);
    }

    /// <summary>Waits for the end.</summary>
    /// <param name="seconds">The most seconds to wait.</param>
    /// <returns>Whether it has ended.</returns>
    public bool WaitForExit(double seconds)
    {
        if (!_process.WaitForExit(TimeSpan.FromSeconds(seconds))) return false;
        _process.WaitForExit(); // its last lines
        return true;
    }

    /// <summary>Ends it with SIGKILL.</summary>
    public void Kill()
    {
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>
    /// Whether it ignores a signal because its parent does. A program in the background of a shell, or under nohup, ignores SIGINT.
    /// </summary>
    /// <param name="number">The signal's number.</param>
    /// <returns>True if it does.</returns>
    public bool Ignores(int number)
    {
        const string Field = "SigIgn:";
        string status = $"/proc/{Id}/status";
        string? line = File.Exists(status)
            ? File.ReadLines(status).FirstOrDefault(l => l.StartsWith(Field, StringComparison.Ordinal))
            : null;
        return line is not null
            && (ulong.Parse(line[Field.Length..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) >> (number - 1) & 1) != 0;
    }

    /// <summary>Sends a signal.</summary>
    /// <param name="signal">Its name, such as STOP.</param>
    public void Signal(string signal)
    {
        using Process kill = Process.Start("/bin/kill", [$"-{signal}", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>Kills it if it runs.</summary>
    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    private void Hear(object sender, DataReceivedEventArgs e)
    {
        if (e.Data is not { } line) return;
        lock (_gate) _lines.Add(line);
    }
}
