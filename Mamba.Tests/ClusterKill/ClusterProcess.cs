using System.Diagnostics;
using System.Globalization;

namespace Mamba.ClusterKill;

/// <summary>A <c>mamba-cluster</c> in a process of its own, whose lines are heard.</summary>
public sealed class ClusterProcess : IDisposable
{
    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly Lock _gate = new();

    /// <summary>Starts it.</summary>
    /// <param name="arguments">The words after the program.</param>
    /// <param name="environment">Environment variables that differ.</param>
    public ClusterProcess(IEnumerable<string> arguments, params (string Name, string Value)[] environment)
        : this("", arguments, environment)
    {
    }

    /// <summary>Starts it in a folder.</summary>
    /// <param name="folder">Where paths start from; empty for where this process has them start.</param>
    /// <param name="arguments">The words after the program.</param>
    /// <param name="environment">Environment variables that differ.</param>
    public ClusterProcess(string folder, IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        ProcessStartInfo start = new("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "mamba-cluster.dll"));
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        foreach ((string name, string value) in environment) start.Environment[name] = value;
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
