namespace Mamba.Cli.Cluster.Training;

/// <summary>Messages on their way to a node, some at a time.</summary>
internal static class Window
{
    /// <summary>
    /// Pieces on their way at a time, 4 MiB: enough to hide the way there and back on 10 Gbit/s, few enough that a probe does not wait
    /// long.
    /// </summary>
    private const int Size = 64;

    /// <summary>
    /// Sends things, some at a time, in order of their start, until it is over. What has begun is waited for, also when one fails.
    /// </summary>
    /// <param name="things">What to send; the next one is taken when there is room for it.</param>
    /// <param name="send">Sends one.</param>
    /// <param name="isOver">Whether to begin no further one.</param>
    public static async Task Run<T>(IEnumerable<T> things, Func<T, Task> send, Func<bool> isOver)
    {
        Queue<Task> open = new();
        try
        {
            foreach (T thing in things)
            {
                if (open.Count == Size)
                {
                    await open.Peek().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    if (!open.Peek().IsCompletedSuccessfully) break;
                    _ = open.Dequeue();
                }
                if (isOver()) break;
                open.Enqueue(send(thing));
            }
        }
        catch // there is no next thing
        {
            await Task.WhenAll(open).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }
        await Task.WhenAll(open);
    }

    /// <summary>As the other, until it is stopped.</summary>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static async Task Run<T>(IEnumerable<T> things, Func<T, Task> send, CancellationToken stop)
    {
        await Run(things, send, () => stop.IsCancellationRequested);
        stop.ThrowIfCancellationRequested();
    }
}
