using System.Net;
using System.Net.Sockets;
using Mamba.Cli.Cluster.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Runtime;
using Orleans.Runtime.Services;

namespace Mamba.Cli.Cluster.Silos;

/// <summary>A silo of Orleans in this process.</summary>
internal sealed class ClusterSilo : IAsyncDisposable
{
    /// <summary>Pieces of weights and gradients are a fraction of this; no message needs more.</summary>
    private const int MaxMessage = 256 << 20;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly IHost _host;
    private readonly FatalErrors _errors;
    private readonly NodeCalls _calls;

    private ClusterSilo(IHost host, FatalErrors errors)
    {
        (_host, _errors) = (host, errors);
        Membership = host.Services.GetRequiredService<IClusterMembershipService>();
        Address = host.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress;
        _calls = new NodeCalls(host.Services);
    }

    /// <summary>Who is in the cluster.</summary>
    public IClusterMembershipService Membership { get; }

    /// <summary>Who this is.</summary>
    public SiloAddress Address { get; }

    /// <summary>Ends, with a reason, when the silo can no longer be part of the cluster.</summary>
    public Task<string> Fatal => _errors.Happened;

    /// <summary>Starts a silo, and waits until it is part of the cluster.</summary>
    /// <param name="settings">How.</param>
    /// <param name="configure">Adds services; null for none.</param>
    /// <param name="stop">Gives up.</param>
    /// <exception cref="ClusterException">It cannot start, or cannot join.</exception>
    public static async Task<ClusterSilo> Start(SiloSettings settings, Action<ISiloBuilder>? configure, CancellationToken stop)
    {
        ThrowIfTaken(settings.Address);
        await settings.Membership.Prepare(stop);
        FatalErrors errors = new();
        IHost host = new HostBuilder()
            .ConfigureLogging(logging => logging.ClearProviders()) // what matters is said in words of our own
            .UseOrleans(silo =>
            {
                Configure(silo, settings, errors);
                configure?.Invoke(silo);
            })
            .Build();
        try
        {
            await host.StartAsync(stop);
            return new ClusterSilo(host, errors);
        }
        catch (Exception e) when (e is not OperationCanceledException || !stop.IsCancellationRequested)
        {
            await Discard(host);
            throw new ClusterException($"the silo at {settings.Address} cannot join cluster '{settings.Cluster}': {e.Message}", e);
        }
        catch
        {
            await Discard(host);
            throw;
        }
    }

    /// <summary>A port of this machine that is free now.</summary>
    public static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The service of a node.</summary>
    public INode Node(SiloAddress silo) => _calls.On(silo);

    /// <summary>
    /// Makes sure that this silo belongs to the cluster at this moment, by reading the table. A silo that is cut off from the table, or
    /// that the others have declared dead, does not.
    /// </summary>
    /// <exception cref="ClusterException">It does not belong to it.</exception>
    public void Confirm()
    {
        if (Fatal.IsCompleted) throw Lost(Fatal.Result);
        try
        {
            using CancellationTokenSource late = new(s_patience);
            Membership.Refresh(default, late.Token).AsTask().WaitAsync(late.Token).GetAwaiter().GetResult();
        }
        catch (Exception e)
        {
            throw Lost($"the membership table cannot be read: {FirstClause(e.Message)}");
        }
        SiloStatus status = Membership.CurrentSnapshot.GetSiloStatus(Address);
        if (status != SiloStatus.Active) throw Lost($"the membership table says that it is {status}");
    }

    /// <summary>Database clients append their whole state to a message.</summary>
    private static string FirstClause(string message) => message.Split(['(', '\n', ',', ';'], 2)[0].TrimEnd();

    private static ClusterException Lost(string reason) => new(
        $"this silo belongs to its cluster no more, and writes nothing; --resume continues from the last checkpoint ({reason})");

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await Discard(_host);

    private static async Task Discard(IHost host)
    {
        try
        {
            using CancellationTokenSource late = new(s_patience);
            await host.StopAsync(late.Token).WaitAsync(late.Token);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // A silo that does not stop in order is found dead by the others, as one that was killed.
        }
        host.Dispose();
    }

    private static void Configure(ISiloBuilder silo, SiloSettings settings, FatalErrors errors)
    {
        silo.ConfigureEndpoints(settings.Address.Address, settings.Address.Port, gatewayPort: 0,
            listenOnAnyHostAddress: !IPAddress.IsLoopback(settings.Address.Address));
        settings.Membership.Configure(silo);
        settings.Certificates?.Configure(silo);
        silo.Configure<ClusterOptions>(options => (options.ClusterId, options.ServiceId) = (settings.Cluster, "mamba"));
        silo.Configure<SiloOptions>(options => options.SiloName = settings.SiloName);
        silo.Configure<SiloMessagingOptions>(options => options.MaxMessageBodySize = MaxMessage);
        silo.Configure<ClusterMembershipOptions>(options =>
        {
            options.ProbeTimeout = settings.Probe;
            options.TableRefreshTimeout = TimeSpan.FromSeconds(5);
            options.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);
            options.MaxJoinAttemptTime = TimeSpan.FromSeconds(30);
        });
        silo.Services.AddSingleton<IFatalErrorHandler>(errors);
        silo.Services.AddSingleton<IHostLifetime, NoLifetime>();
    }

    /// <summary>Orleans only logs that it cannot listen on a port.</summary>
    private static void ThrowIfTaken(IPEndPoint address)
    {
        try
        {
            using TcpListener listener = new(address);
            listener.Start();
        }
        catch (SocketException e)
        {
            throw new ClusterException($"--port {address.Port}: {address} cannot be used: {e.Message}; expected a free port", e);
        }
    }

    /// <summary>Signals belong to the program: the host would take Ctrl-C for itself.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private sealed class NodeCalls(IServiceProvider services) : GrainServiceClient<INode>(services)
    {
        public INode On(SiloAddress silo) => GetGrainService(silo);
    }
}
