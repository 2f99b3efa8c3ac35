using System.Net;
using Microsoft.Extensions.Hosting;
using Orleans.Configuration;

namespace Mamba.Cli.Cluster.Silos;

/// <summary>Where the table stands that says which silos are alive.</summary>
internal abstract record Membership
{
    /// <summary>The environment variables with connection strings: secrets do not belong into a command line.</summary>
    public const string RedisVariable = "MAMBA_CLUSTER_REDIS", PostgresVariable = "MAMBA_CLUSTER_POSTGRES";

    /// <summary>Whether the table is lost with the coordinator.</summary>
    public virtual bool DiesWithCoordinator => false;

    /// <summary>Makes the silo use the table.</summary>
    public abstract void Configure(ISiloBuilder silo);

    /// <summary>Makes the table ready, once, before a silo starts.</summary>
    public virtual Task Prepare(CancellationToken stop) => Task.CompletedTask;

    /// <summary>What the environment says.</summary>
    /// <param name="coordinator">Where the coordinator is, which keeps the table if the environment says nothing.</param>
    /// <exception cref="ArgumentException">It says two things.</exception>
    public static Membership FromEnvironment(IPEndPoint coordinator)
    {
        string? redis = Environment.GetEnvironmentVariable(RedisVariable);
        string? postgres = Environment.GetEnvironmentVariable(PostgresVariable);
        if (!string.IsNullOrEmpty(redis) && !string.IsNullOrEmpty(postgres))
            throw new ArgumentException($"{RedisVariable} and {PostgresVariable} are both set; expected one of them");
        return !string.IsNullOrEmpty(redis) ? new InRedis(redis)
            : !string.IsNullOrEmpty(postgres) ? new InPostgres(postgres)
            : new AtCoordinator(coordinator);
    }

    /// <summary>In the memory of the coordinator. Nothing has to be installed, and the cluster ends with the coordinator.</summary>
    /// <param name="Coordinator">Its address.</param>
    public sealed record AtCoordinator(IPEndPoint Coordinator) : Membership
    {
        public override bool DiesWithCoordinator => true;

        public override void Configure(ISiloBuilder silo) => silo.UseDevelopmentClustering(Coordinator);
    }

    /// <summary>In Redis.</summary>
    /// <param name="Connection">The connection string.</param>
    public sealed record InRedis(string Connection) : Membership
    {
        public override void Configure(ISiloBuilder silo) => silo.UseRedisClustering(Connection);
    }

    /// <summary>In PostgreSQL.</summary>
    /// <param name="Connection">The connection string.</param>
    public sealed record InPostgres(string Connection) : Membership
    {
        public override Task Prepare(CancellationToken stop) => PostgresTables.Create(Connection, stop);

        public override void Configure(ISiloBuilder silo) => silo.UseAdoNetClustering((AdoNetClusteringSiloOptions options) =>
            (options.Invariant, options.ConnectionString) = ("Npgsql", Connection));
    }
}
