using System.Diagnostics;
using System.Globalization;

namespace Mamba.Kill;

/// <summary>A <c>mamba train</c> in a process of its own, whose lines are heard.</summary>
internal sealed class TrainProcess : IDisposable
{
    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly Lock _gate = new();
    private bool _training;

    public TrainProcess(IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in new[] { Path.Combine(AppContext.BaseDirectory, "mamba.dll"), "train" }.Concat(arguments))
            start.ArgumentList.Add(argument);
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

    public int ExitCode => _process.ExitCode;

    /// <summary>Whether training has begun.</summary>
    public bool IsTraining => Volatile.Read(ref _training);

    /// <summary>Waits until something has happened, or the process has ended.</summary>
    public void WaitUntil(Func<bool> happened)
    {
        while (!_process.HasExited && !happened()) Thread.Sleep(2);
    }

    /// <summary>Waits for the end.</summary>
    public void WaitForExit() => _process.WaitForExit();

    /// <summary>Kills the process after a while, with SIGKILL.</summary>
    /// <returns>False if it ended by itself before.</returns>
    public bool KillAfter(TimeSpan delay)
    {
        if (_process.WaitForExit(delay))
        {
            _process.WaitForExit();
            return false;
        }
        _process.Kill();
        _process.WaitForExit();
        return _process.ExitCode != 0;
    }

    /// <summary>
    /// Whether the process ignores a signal because its parent does. A program in the background of a shell, or under nohup, ignores
    /// SIGINT.
    /// </summary>
    /// <param name="number">The signal's number.</param>
    public bool Ignores(int number)
    {
        const string Field = "SigIgn:";
        string status = $"/proc/{_process.Id}/status";
        string? line = File.Exists(status)
            ? File.ReadLines(status).FirstOrDefault(l => l.StartsWith(Field, StringComparison.Ordinal))
            : null;
        return line is not null
            && (ulong.Parse(line[Field.Length..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) >> (number - 1) & 1) != 0;
    }

    /// <summary>Sends a signal, as a terminal does for Ctrl-C, and waits for the end.</summary>
    /// <param name="signal">Its name: INT, TERM.</param>
    public void Signal(string signal)
    {
        using (Process kill = Process.Start("/bin/kill", [$"-{signal}", _process.Id.ToString(CultureInfo.InvariantCulture)]))
            kill.WaitForExit();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }

    private void Hear(object sender, DataReceivedEventArgs e)
    {
        if (e.Data is not { } line) return;
        lock (_gate) _lines.Add(line);
        if (line.StartsWith("run folder", StringComparison.Ordinal)) Volatile.Write(ref _training, true);
    }
}
