using Mamba.Core;

namespace Mamba.Tests.Support;

/// <summary>Another number of threads until it is disposed. It is everybody's, so a test that uses it runs alone.</summary>
internal readonly struct ThreadCount : IDisposable
{
    private readonly int _before = Workers.Count;

    public ThreadCount(int count) => Workers.Count = count;

    public void Dispose() => Workers.Count = _before;
}
