using System.Net;
using System.Text;

namespace Mamba.Cli.Cluster.Training;

/// <summary>A page of figures over HTTP, for Prometheus to read.</summary>
internal sealed class MetricsPage : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Func<string> _text;

    /// <summary>Begins to answer at <c>/metrics</c>.</summary>
    /// <param name="port">The port, on all addresses.</param>
    /// <param name="text">Writes the page.</param>
    /// <exception cref="ClusterException">The port is taken.</exception>
    public MetricsPage(int port, Func<string> text)
    {
        _text = text;
        _listener.Prefixes.Add($"http://*:{port}/metrics/");
        try
        {
            _listener.Start();
        }
        catch (HttpListenerException e)
        {
            throw new ClusterException($"--metrics {port}: {e.Message}; expected a free port", e);
        }
        Task.Run(Answer).Ignore();
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Close();

    private async Task Answer()
    {
        while (_listener.IsListening)
        {
            try
            {
                HttpListenerContext call = await _listener.GetContextAsync();
                using HttpListenerResponse response = call.Response;
                response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
                byte[] bytes = Encoding.UTF8.GetBytes(_text());
                response.ContentLength64 = bytes.Length;
                await response.OutputStream.WriteAsync(bytes);
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                // The caller has hung up, or the page is closed.
            }
        }
    }
}
