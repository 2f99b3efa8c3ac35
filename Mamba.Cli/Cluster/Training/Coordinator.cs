using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Wire;
using Mamba.Cli.Commands;
using Mamba.Models.Training;

namespace Mamba.Cli.Cluster.Training;

/// <summary>Leads a run: owns its folder, its weights and its optimizer, and asks nodes for gradients.</summary>
/// <param name="terminal">Where lines about nodes go.</param>
/// <param name="settings">The silo.</param>
internal sealed class Coordinator(Terminal terminal, SiloSettings settings)
{
    private readonly Terminal _terminal = terminal;

    /// <summary>Nodes to wait for before the first step.</summary>
    public int Nodes { get; init; }

    /// <summary>The least time after which a node is late.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Where Prometheus finds the figures; null for nowhere.</summary>
    public int? MetricsPort { get; init; }

    /// <summary>Hears what the cluster has done, when the run has ended; null for nobody.</summary>
    public Action<ClusterFigures>? Done { get; init; }

    /// <summary>What nodes have to be like, but for the run.</summary>
    public Likeness Self { get; init; } = new(Build.Program, Build.Width, "");

    /// <summary>Starts the silo, runs a training with it, and ends the silo.</summary>
    /// <param name="train">The training.</param>
    /// <param name="stop">Gives up starting.</param>
    /// <returns>The exit code of the training.</returns>
    /// <exception cref="ClusterException">The silo cannot start, or was declared dead during the run.</exception>
    public int Run(Func<TrainHooks, int> train, CancellationToken stop)
    {
        ClusterSilo silo = ClusterSilo.Start(settings, null, stop).GetAwaiter().GetResult();
        try
        {
            return train(new TrainHooks
            {
                Gradients = (parts, data) => Start(silo, parts, data),
                BeforeWriting = silo.Confirm,
            });
        }
        finally
        {
            silo.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    private IStepGradients Start(ClusterSilo silo, RunParts parts, PreparedData data)
    {
        RunOffer offer = new(
            Guid.NewGuid(), Bytes(parts.Arguments.Write), SplitOf(data), Self with { Run = parts.Identity }, parts.Plan.CheckNumerics)
        {
            Paths = RunPaths.Of(parts.Arguments),
        };
        NodePool pool = new(silo, offer, new DataSender(offer, _terminal.WriteLine), _terminal.WriteLine);
        ClusterGradients gradients = new(
            parts.Model, new ShardGradients(parts.Model, parts.Train, parts.Plan), pool, new ClusterGradients.Options(Nodes, Patience));
        ClusterFigures figures = new(settings.Cluster, gradients, pool);
        pool.Start();
        return new Session(silo, gradients, pool, figures, this);
    }

    private static byte[] Bytes(Action<Stream> write)
    {
        using MemoryStream stream = new();
        write(stream);
        return stream.ToArray();
    }

    private static byte[] SplitOf(PreparedData data)
    {
        string path = Path.GetTempFileName();
        try
        {
            data.File.Write(path);
            return File.ReadAllBytes(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>The gradients of a run, with all that ends with them.</summary>
    private sealed class Session : IStepGradients
    {
        private readonly ClusterSilo _silo;
        private readonly ClusterGradients _gradients;
        private readonly NodePool _pool;
        private readonly ClusterFigures _figures;
        private readonly Coordinator _coordinator;
        private readonly MetricsPage? _page;

        public Session(ClusterSilo silo, ClusterGradients gradients, NodePool pool, ClusterFigures figures, Coordinator coordinator)
        {
            (_silo, _gradients, _pool, _figures, _coordinator) = (silo, gradients, pool, figures, coordinator);
            _page = coordinator.MetricsPort is { } port ? new MetricsPage(port, figures.Prometheus) : null;
            coordinator._terminal.Beside = () => figures.Table(coordinator._terminal.Progress.Profile.Width);
        }

        public IReadOnlyList<Shard> Compute(StepOrder order, CancellationToken cancellation)
        {
            // A coordinator that was declared dead has a successor, or will have one.
            if (_silo.Fatal.IsCompleted) _silo.Confirm();
            IReadOnlyList<Shard> shards = _gradients.Compute(order, cancellation);
            _figures.CountStep();
            return shards;
        }

        public void EndEpoch() => _gradients.EndEpoch();

        public void Dispose()
        {
            _coordinator._terminal.Beside = null;
            _page?.Dispose();
            _pool.DisposeAsync().AsTask().GetAwaiter().GetResult();
            _gradients.Dispose();
            if (_pool.Figures.Length > 0) _coordinator._terminal.WriteLine(_figures.Line);
            _coordinator.Done?.Invoke(_figures);
        }
    }
}
