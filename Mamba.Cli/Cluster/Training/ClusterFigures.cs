using System.Globalization;
using System.Text;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mamba.Cli.Cluster.Training;

/// <summary>What a cluster has done for a run: for the terminal, for Prometheus, and in a line.</summary>
/// <param name="cluster">Its name.</param>
/// <param name="gradients">The coordinator.</param>
/// <param name="pool">The nodes.</param>
internal sealed class ClusterFigures(string cluster, ClusterGradients gradients, NodePool pool)
{
    private long _steps;

    /// <summary>Steps that were computed.</summary>
    public long Steps => Interlocked.Read(ref _steps);

    /// <summary>The coordinator, then the nodes, those that are gone included.</summary>
    public IReadOnlyList<NodeFigures> All => [gradients.Figures, .. pool.Figures];

    /// <summary>Shards that nodes computed.</summary>
    public long Remote => pool.Figures.Sum(n => n.Shards);

    /// <summary>Shards that were computed again, since their node was late or gone.</summary>
    public long Recomputed => gradients.Recomputed;

    /// <summary>Bytes of weights and gradients that went over the network.</summary>
    public long Bytes => pool.Figures.Sum(n => n.Sent + n.Received);

    /// <summary>All in a line.</summary>
    public string Line => string.Create(
        CultureInfo.InvariantCulture,
        $"cluster: {pool.Figures.Length} nodes computed {Remote} of {Remote + gradients.Figures.Shards} shards in {Steps} steps; "
            + $"{Recomputed} computed again; {Megabytes(Bytes)} MB, {Megabytes(Steps == 0 ? 0 : Bytes / Steps)} a step");

    public void CountStep() => Interlocked.Increment(ref _steps);

    /// <summary>A table for the terminal. Names of nodes are shortened to what fits.</summary>
    /// <param name="width">The columns of the terminal.</param>
    public IRenderable Table(int width) => Table(cluster, All, width);

    /// <summary>As the other, of any figures.</summary>
    internal static Table Table(string cluster, IReadOnlyList<NodeFigures> nodes, int width)
    {
        string[] heads = ["node", "state", "threads", "shards", "shards/s", "late", "MB out", "MB in"];
        string[][] rows =
        [
            .. nodes.Select(node => new[]
            {
                node.Name, node.State, Number(node.Threads), Number(node.Shards),
                node.Speed?.ToString("F1", CultureInfo.InvariantCulture) ?? "-", Number(node.Late), Megabytes(node.Sent),
                Megabytes(node.Received),
            }),
        ];
        // Each column has a space on both sides and a line; the first one has another line.
        int others = heads.Index().Skip(1).Sum(head => rows.Max(row => Math.Max(row[head.Index].Length, head.Item.Length)));
        int room = Math.Max(4, width - others - 3 * heads.Length - 1);
        Table table = new() { Border = TableBorder.Rounded, Title = new TableTitle($"cluster {Markup.Escape(cluster)}") };
        foreach (string head in heads)
            table.AddColumn(new TableColumn(head) { Alignment = head is "node" or "state" ? Justify.Left : Justify.Right, NoWrap = true });
        foreach (string[] row in rows)
            table.AddRow([Markup.Escape(Shortened(row[0], room)), .. row[1..].Select(cell => Markup.Escape(cell))]);
        return table;
    }

    /// <summary>A name of at most so many characters. Its middle is left out: both a machine and a port tell nodes apart.</summary>
    internal static string Shortened(string name, int room) => name.Length <= room ? name
        : $"{name[..(room / 2)]}…{name[^((room - 1) / 2)..]}";

    /// <summary>A page in the text format of Prometheus.</summary>
    public string Prometheus()
    {
        StringBuilder text = new();
        Metric("steps_total", "counter", "Steps of the optimizer that were computed.", [("", Steps)]);
        Metric("recomputed_shards_total", "counter", "Shards computed again, since their node was late or gone.", [("", Recomputed)]);
        Metric("nodes", "gauge", "Nodes that have joined.", [("", pool.Joined.Length)]);
        Metric("shards_total", "counter", "Shards whose gradients were used.", Each(n => n.Shards));
        Metric("late_parts_total", "counter", "Parts of steps that a node did not deliver in time.", Each(n => n.Late));
        Metric("sent_bytes_total", "counter", "Weights sent to a node.", Each(n => n.Sent));
        Metric("received_bytes_total", "counter", "Gradients received from a node.", Each(n => n.Received));
        Metric("shards_per_second", "gauge", "Speed, sending and receiving included.", Each(n => n.Speed ?? 0));
        return text.ToString();

        (string, double)[] Each(Func<NodeFigures, double> value) => [.. All.Select(n => ($"{{node=\"{Escape(n.Name)}\"}}", value(n)))];

        void Metric(string name, string type, string help, (string Labels, double Value)[] values)
        {
            text.Append($"# HELP mamba_cluster_{name} {help}\n# TYPE mamba_cluster_{name} {type}\n");
            foreach ((string labels, double value) in values)
                text.Append(CultureInfo.InvariantCulture, $"mamba_cluster_{name}{labels} {value:R}\n");
        }
    }

    private static string Escape(string label) => label.Replace("\\", @"\\").Replace("\"", "\\\"").Replace("\n", "\\n");

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Megabytes(long bytes) => (bytes / 1e6).ToString("F1", CultureInfo.InvariantCulture);
}
