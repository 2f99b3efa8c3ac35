using System.Text;

namespace Mamba.Tests.Cluster;

/// <summary>
/// What a coordinator and its nodes say. The training is held at the line of its first epoch until what a test waits for has happened,
/// so that a run of few epochs cannot end before it.
/// </summary>
/// <param name="go">Whether the training goes on, by what was said so far; null to hold nothing.</param>
internal sealed class HeldWriter(Func<string, bool>? go) : TextWriter
{
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(1);

    private readonly StringBuilder _said = new();
    private bool _held;

    /// <inheritdoc/>
    public override Encoding Encoding => Encoding.UTF8;

    /// <inheritdoc/>
    public override void Write(char value)
    {
        lock (_said) _said.Append(value);
    }

    /// <inheritdoc/>
    public override void Write(char[] buffer, int index, int count)
    {
        lock (_said) _said.Append(buffer, index, count);
    }

    /// <inheritdoc/>
    public override void Write(string? value)
    {
        lock (_said) _said.Append(value);
    }

    /// <inheritdoc/>
    public override void WriteLine(string? value)
    {
        Write(value + "\n");
        if (_held || go is null || value?.StartsWith("epoch ", StringComparison.Ordinal) != true) return;
        _held = true;
        SpinWait.SpinUntil(() => go(ToString()), s_longest);
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        lock (_said) return _said.ToString();
    }
}
