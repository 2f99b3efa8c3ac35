using Orleans.Runtime;

namespace Mamba.Cli.Cluster.Silos;

/// <summary>
/// What happens when a silo finds out that the others have declared it dead, as after a pause or a partition. Orleans would end the
/// process; here the coordinator stops its run before anything more is written, and a node leaves the cluster and joins it again.
/// </summary>
internal sealed class FatalErrors : IFatalErrorHandler
{
    private readonly TaskCompletionSource<string> _happened = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when it has happened, with the reason.</summary>
    public Task<string> Happened => _happened.Task;

    /// <inheritdoc/>
    public bool IsUnexpected(Exception exception) => true;

    /// <inheritdoc/>
    public void OnFatalException(object? sender = null, string? context = null, Exception? exception = null) =>
        _happened.TrySetResult(context ?? exception?.Message ?? "a fatal error");
}
