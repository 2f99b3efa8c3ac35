using Npgsql;

namespace Mamba.Cli.Cluster.Silos;

/// <summary>
/// The tables that Orleans keeps its membership in. Orleans reads the text of its queries from a table as well; names of columns,
/// parameters and queries are its contract, the queries are ours.
/// </summary>
internal static class PostgresTables
{
    private const string Tables = """
        CREATE TABLE IF NOT EXISTS OrleansQuery (QueryKey varchar(64) PRIMARY KEY, QueryText varchar(8000) NOT NULL);
        CREATE TABLE IF NOT EXISTS OrleansMembershipVersionTable (
            DeploymentId varchar(150) PRIMARY KEY,
            Timestamp timestamptz(3) NOT NULL DEFAULT now(),
            Version integer NOT NULL DEFAULT 0);
        CREATE TABLE IF NOT EXISTS OrleansMembershipTable (
            DeploymentId varchar(150) NOT NULL REFERENCES OrleansMembershipVersionTable (DeploymentId),
            Address varchar(45) NOT NULL,
            Port integer NOT NULL,
            Generation integer NOT NULL,
            SiloName varchar(150) NOT NULL,
            HostName varchar(150) NOT NULL,
            Status integer NOT NULL,
            ProxyPort integer,
            SuspectTimes varchar(8000),
            StartTime timestamptz(3) NOT NULL,
            IAmAliveTime timestamptz(3) NOT NULL,
            PRIMARY KEY (DeploymentId, Address, Port, Generation));
        """;

    private const string Row = "DeploymentId = @DeploymentId AND Address = @Address AND Port = @Port AND Generation = @Generation";

    // A row changes only together with the version of the whole table, and only if nobody has changed the table meanwhile.
    private const string Advance = """
        WITH advanced AS (
            UPDATE OrleansMembershipVersionTable SET Version = Version + 1, Timestamp = now()
            WHERE DeploymentId = @DeploymentId AND Version = @Version RETURNING DeploymentId),
        """;

    private const string Read = """
        SELECT v.DeploymentId, m.Address, m.Port, m.Generation, m.SiloName, m.HostName, m.Status, m.ProxyPort, m.SuspectTimes,
            m.StartTime, m.IAmAliveTime, v.Version
        FROM OrleansMembershipVersionTable v LEFT JOIN OrleansMembershipTable m ON m.DeploymentId = v.DeploymentId
        """;

    private static readonly (string Key, string Text)[] s_queries =
    [
        ("UpdateIAmAlivetimeKey", $"UPDATE OrleansMembershipTable SET IAmAliveTime = @IAmAliveTime WHERE {Row}"),
        ("InsertMembershipVersionKey", """
            WITH made AS (
                INSERT INTO OrleansMembershipVersionTable (DeploymentId) VALUES (@DeploymentId) ON CONFLICT DO NOTHING RETURNING 1)
            SELECT count(*)::int FROM made
            """),
        ("InsertMembershipKey", $"""
            {Advance}
            made AS (
                INSERT INTO OrleansMembershipTable (
                    DeploymentId, Address, Port, Generation, SiloName, HostName, Status, ProxyPort, StartTime, IAmAliveTime)
                SELECT DeploymentId, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime
                FROM advanced ON CONFLICT DO NOTHING RETURNING 1)
            SELECT count(*)::int FROM made
            """),
        ("UpdateMembershipKey", $"""
            {Advance}
            changed AS (
                UPDATE OrleansMembershipTable SET Status = @Status, SuspectTimes = @SuspectTimes, IAmAliveTime = @IAmAliveTime
                WHERE {Row} AND DeploymentId IN (SELECT DeploymentId FROM advanced) RETURNING 1)
            SELECT count(*)::int FROM changed
            """),
        ("MembershipReadRowKey", $"""
            {Read} AND m.Address = @Address AND m.Port = @Port AND m.Generation = @Generation
            WHERE v.DeploymentId = @DeploymentId
            """),
        ("MembershipReadAllKey", $"{Read} WHERE v.DeploymentId = @DeploymentId"),
        ("DeleteMembershipTableEntriesKey", """
            DELETE FROM OrleansMembershipTable WHERE DeploymentId = @DeploymentId;
            DELETE FROM OrleansMembershipVersionTable WHERE DeploymentId = @DeploymentId
            """),
        ("GatewaysQueryKey", """
            SELECT Address, ProxyPort, Generation FROM OrleansMembershipTable
            WHERE DeploymentId = @DeploymentId AND Status = @Status AND ProxyPort > 0
            """),
        ("CleanupDefunctSiloEntriesKey", """
            DELETE FROM OrleansMembershipTable
            WHERE DeploymentId = @DeploymentId AND IAmAliveTime < @IAmAliveTime AND Status <> 3
            """),
    ];

    /// <summary>Creates what is missing. Tables that are there, those of Orleans's own script included, stay as they are.</summary>
    /// <param name="connection">The connection string.</param>
    /// <param name="stop">Gives up.</param>
    /// <exception cref="ClusterException">The database cannot be reached, or does not let itself be changed.</exception>
    public static async Task Create(string connection, CancellationToken stop)
    {
        try
        {
            await using NpgsqlDataSource source = NpgsqlDataSource.Create(connection);
            await using NpgsqlConnection open = await source.OpenConnectionAsync(stop);
            await using NpgsqlTransaction all = await open.BeginTransactionAsync(stop);
            // Silos that start together take turns: two CREATE TABLE IF NOT EXISTS at once may both fail.
            await Execute("SELECT pg_advisory_xact_lock(hashtext('mamba-cluster'))");
            await Execute(Tables);
            foreach ((string key, string text) in s_queries)
                await Execute("INSERT INTO OrleansQuery VALUES ($1, $2) ON CONFLICT DO NOTHING", key, text);
            await all.CommitAsync(stop);

            async Task Execute(string text, params string[] values)
            {
                await using NpgsqlCommand command = new(text, open, all);
                foreach (string value in values) command.Parameters.Add(new NpgsqlParameter { Value = value });
                await command.ExecuteNonQueryAsync(stop);
            }
        }
        catch (Exception e) when (e is NpgsqlException or ArgumentException)
        {
            throw new ClusterException($"{Membership.PostgresVariable}: the tables of the cluster cannot be made: {e.Message}", e);
        }
    }
}
