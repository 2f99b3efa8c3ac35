using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using CommunityToolkit.HighPerformance.Buffers;
using Mamba.Core;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Loading;

/// <summary>
/// Prefetches batches on its own thread. Timing never changes a batch. One epoch runs at a time. Decoded samples stay in memory if the data
/// is a <see cref="CachedData"/>.
/// </summary>
public sealed class BatchLoader : IDisposable
{
    private readonly IImageData _data;
    private readonly int[] _indices;
    private readonly BatchOptions _options;
    private readonly BatchWriter _writer;
    private readonly SampleChanges _changes;
    private Producer? _producer;

    /// <summary>Prepares; nothing is read before the first epoch.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="indices">The samples to use, for instance a part of a <see cref="Split"/>.</param>
    /// <param name="options">Size, normalization, order.</param>
    /// <exception cref="ArgumentException">An option is out of range, or does not fit the task.</exception>
    public BatchLoader(IImageData data, int[] indices, BatchOptions options)
    {
        if (options.BatchSize < 1 || options.Prefetch < 1)
            throw new ArgumentException(
                $"BatchLoader: {options.BatchSize} samples a batch, {options.Prefetch} batches ahead; expected at least 1 of each.");
        if ((long)Math.Min(options.BatchSize, indices.Length) * options.Height * options.Width * options.Channels > Array.MaxLength)
            throw new ArgumentException(
                $"BatchLoader: {Math.Min(options.BatchSize, indices.Length)} samples of {options.Height} x {options.Width} x "
                    + $"{options.Channels} in a batch; expected at most {Array.MaxLength} numbers.");
        if (options.MixUp is { } alpha && (data.Task != ModelTask.Classification || alpha is not (>= 1e-3 and <= 1e3)))
            throw new ArgumentException(
                $"BatchLoader: MixUp with alpha {alpha} for {data.Task}; expected an alpha from 0.001 to 1000, and Classification.");
        (_data, _indices, _options, _writer) = (data, indices, options, new BatchWriter(options));
        _changes = new SampleChanges(options, _writer);
    }

    /// <summary>The samples in an epoch.</summary>
    public int Samples => _indices.Length;

    /// <summary>The names of the data's classes.</summary>
    public IReadOnlyList<string> Labels => _data.Labels;

    /// <summary>The batches in an epoch.</summary>
    public int Batches => BatchesOf(_indices.Length, _options.BatchSize, _options.Shuffle);

    /// <summary>The samples in some batches of an epoch.</summary>
    /// <param name="first">The first batch, from 0.</param>
    /// <param name="count">The number of batches; fewer where the epoch ends.</param>
    /// <returns>Their number.</returns>
    public int ImagesIn(int first, int count) =>
        (first + count >= Batches ? Samples : (first + count) * _options.BatchSize) - first * _options.BatchSize;

    /// <summary>The batches in an epoch of some samples.</summary>
    /// <param name="samples">The samples.</param>
    /// <param name="batchSize">The samples of a batch.</param>
    /// <param name="shuffle">Whether they are shuffled, as for training: a last batch of one image then joins the one before.</param>
    /// <returns>Their number.</returns>
    public static int BatchesOf(int samples, int batchSize, bool shuffle) =>
        Math.Max(Math.Min(samples, 1), (samples + batchSize - (Joins(shuffle, batchSize) ? 2 : 1)) / batchSize);

    /// <summary>
    /// Whether a last batch of one image joins the one before: batch norm has no statistics of one value, and its step would weigh as much
    /// as that of a whole batch. Measurements keep their batches.
    /// </summary>
    private static bool Joins(bool shuffle, int batchSize) => shuffle && batchSize > 1;

    /// <summary>
    /// One pass over the samples. Dispose each batch, or fetch it inside a <see cref="Core.Memory.MemoryScope"/>, which disposes it.
    /// </summary>
    /// <param name="epoch">The number of the pass. Order and augmentation follow from it and the seed.</param>
    /// <param name="firstBatch">The first batch, from 0. Earlier batches are not made; later ones do not depend on that.</param>
    /// <param name="cancellation">Ends the pass, also while it waits for a batch. The sample being read is finished first.</param>
    /// <returns>The batches in order. An error while loading a sample is thrown in place of its batch.</returns>
    /// <exception cref="InvalidOperationException">Another epoch is under way.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public IEnumerable<Batch> Epoch(int epoch, int firstBatch = 0, CancellationToken cancellation = default) =>
        Epoch(epoch, Enumerable.Range(firstBatch, Math.Max(0, Batches - firstBatch)), cancellation);

    /// <summary>As <see cref="Epoch(int, int, CancellationToken)"/>, of some of its batches.</summary>
    /// <param name="epoch">The number of the pass.</param>
    /// <param name="batches">The numbers of the batches, from 0, in the order in which they are wanted; read on its thread.</param>
    /// <param name="cancellation">Ends the pass.</param>
    /// <returns>The batches in that order.</returns>
    /// <exception cref="InvalidOperationException">Another epoch is under way.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public IEnumerable<Batch> Epoch(int epoch, IEnumerable<int> batches, CancellationToken cancellation = default)
    {
        if (_producer is not null)
            throw new InvalidOperationException("BatchLoader: one epoch at a time; finish or dispose the enumeration of the other first.");
        int[] order = _options.Balance ? Balanced(epoch) : [.. _indices];
        if (_options.Shuffle) new RandomStream(_options.Seed, $"shuffle/{epoch}").Shuffle(order.AsSpan());
        using Producer producer = _producer = new Producer(this, order, epoch, batches);
        try
        {
            while (producer.Next(cancellation) is { } ready)
            {
                yield return ready;
            }
        }
        finally
        {
            _producer = null;
        }
    }

    /// <summary>Stops the epoch under way.</summary>
    public void Dispose() => _producer?.Dispose();

    /// <summary>As many samples of each stratum, give or take one; a stratum goes on where the epoch before has stopped.</summary>
    private int[] Balanced(int epoch)
    {
        int[][] strata = [.. _indices.GroupBy(_data.Stratum).OrderBy(group => group.Key).Select(group => group.ToArray())];
        int[] order = new int[_indices.Length];
        for (int i = 0; i < order.Length; i++)
        {
            int[] stratum = strata[i % strata.Length];
            long turn = (long)epoch * ((order.Length + strata.Length - 1) / strata.Length) + i / strata.Length;
            order[i] = stratum[turn % stratum.Length];
        }
        return order;
    }

    private int[] TargetShape(int count) =>
        _data.Task == ModelTask.Segmentation ? [count, _options.Height, _options.Width, 1] : [count, _data.Labels.Count];

    /// <summary>
    /// The thread of one epoch, and its queue to the consumer. The consumer makes the tensors, so that its memory scope owns them.
    /// </summary>
    private sealed class Producer : IDisposable
    {
        private readonly BatchLoader _loader;
        private readonly int[] _order, _draws;
        private readonly int _epoch;
        private readonly IEnumerable<int> _batches;
        private readonly BlockingCollection<Ready> _queue;
        private readonly CancellationTokenSource _stop = new();
        private readonly Thread _thread;
        private ExceptionDispatchInfo? _failure;
        private bool _disposed;

        public Producer(BatchLoader loader, int[] order, int epoch, IEnumerable<int> batches)
        {
            (_loader, _order, _epoch, _batches) = (loader, order, epoch, batches);
            _draws = Draws(order);
            _queue = new BlockingCollection<Ready>(loader._options.Prefetch);
            _thread = new Thread(Run) { IsBackground = true, Name = "batch loader" };
            _thread.Start();
        }

        /// <summary>The next batch; null after the last.</summary>
        public Batch? Next(CancellationToken cancellation)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(BatchLoader));
            if (!_queue.TryTake(out Ready? ready, Timeout.Infinite, cancellation))
            {
                _failure?.Throw();
                return null;
            }
            using Ready _ = ready;
            BatchOptions options = _loader._options;
            int count = ready.Indices.Length;
            return new Batch(
                Tensor.From(ready.Images.Span, count, options.Height, options.Width, options.Channels),
                Tensor.From(ready.Targets.Span, _loader.TargetShape(count)), ready.Indices);
        }

        public void Dispose()
        {
            if (_disposed) return;
            _disposed = true;
            _stop.Cancel();
            _thread.Join();
            while (_queue.TryTake(out Ready? left)) left.Dispose();
            _queue.Dispose();
            _stop.Dispose();
        }

        private void Run()
        {
            try
            {
                int size = _loader._options.BatchSize, count = _loader.Batches;
                foreach (int batch in _batches)
                    _queue.Add(Make((batch * size)..(batch + 1 < count ? (batch + 1) * size : _order.Length)), _stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // The consumer has stopped.
            }
            catch (Exception e)
            {
                _failure = ExceptionDispatchInfo.Capture(e);
            }
            _queue.CompleteAdding();
        }

        /// <summary>How often each sample of an order stands before it: a balanced epoch draws some several times.</summary>
        private static int[] Draws(int[] order)
        {
            Dictionary<int, int> drawn = [];
            return Array.ConvertAll(order, index => drawn[index] = drawn.GetValueOrDefault(index, -1) + 1);
        }

        private Ready Make(Range places)
        {
            BatchOptions options = _loader._options;
            int[] indices = _order[places], draws = _draws[places];
            int pixels = options.Height * options.Width * options.Channels, target = new Shape(_loader.TargetShape(1)).Count;
            Ready ready = new(
                indices, MemoryOwner<float>.Allocate(indices.Length * pixels), MemoryOwner<float>.Allocate(indices.Length * target));
            // A sample is a function of its index and its draw alone, so that threads may take them in any order. The first problem in
            // order is told.
            Exception?[] problems = new Exception?[indices.Length];
            ParallelOptions threads = new() { MaxDegreeOfParallelism = Workers.Count, CancellationToken = _stop.Token };
            Parallel.For(0, indices.Length, threads, i =>
            {
                try
                {
                    Sample sample = _loader._changes.Apply(_loader._data.Load(indices[i]), _epoch, indices[i], draws[i]);
                    _loader._writer.Image(sample.Image, ready.Images.Span.Slice(i * pixels, pixels));
                    sample.WriteTarget(_loader._writer, ready.Targets.Span.Slice(i * target, target));
                }
                catch (Exception e)
                {
                    problems[i] = e;
                }
            });
            if (problems.FirstOrDefault(problem => problem is not null) is { } first) ExceptionDispatchInfo.Throw(first);
            if (options.MixUp is { } alpha)
            {
                float share = (float)new RandomStream(options.Seed, $"mixup/{_epoch}/{indices[0]}").NextBeta(alpha, alpha);
                Mix(ready.Images.Span, pixels, share);
                Mix(ready.Targets.Span, target, share);
            }
            return ready;
        }

        /// <summary>Mixes sample i with sample n - 1 - i. A sample in the middle is mixed with itself.</summary>
        private static void Mix(Span<float> batch, int size, float share)
        {
            int last = batch.Length - size;
            for (int i = 0; i < last - i; i += size)
            {
                Span<float> one = batch.Slice(i, size), other = batch.Slice(last - i, size);
                for (int k = 0; k < one.Length; k++)
                    (one[k], other[k]) = (share * one[k] + (1 - share) * other[k], share * other[k] + (1 - share) * one[k]);
            }
        }
    }

    /// <summary>A batch in pooled memory.</summary>
    private sealed record Ready(int[] Indices, MemoryOwner<float> Images, MemoryOwner<float> Targets) : IDisposable
    {
        public void Dispose()
        {
            Images.Dispose();
            Targets.Dispose();
        }
    }
}
