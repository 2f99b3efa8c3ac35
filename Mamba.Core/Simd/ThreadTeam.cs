using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Core.Simd;

/// <summary>
/// Persistent threads that share the chunks of one kernel at a time. The caller works too, and returns when all chunks are done. A call
/// from inside a kernel, or while another thread uses the team, runs on the calling thread only. Results are the same, since a chunk's
/// result never depends on its thread.
/// </summary>
internal static unsafe class ThreadTeam
{
    private static readonly Lock s_gate = new();
    private static readonly List<Worker> s_workers = [];
    private static int s_size = Cores.Fast;
    private static long s_allocated;

    // Whether this thread runs a kernel shared among threads. Kernels that it starts run on this thread only.
    [ThreadStatic]
    private static bool s_inside;

    private static Job? s_job;

    /// <summary>The number of threads, including the caller. Running kernels keep the threads that they started with.</summary>
    public static int Size
    {
        get => Volatile.Read(ref s_size);
        set => Volatile.Write(ref s_size, value);
    }

    /// <summary>Whether this thread runs a kernel shared among threads.</summary>
    public static bool IsInside => s_inside;

    /// <summary>
    /// Bytes allocated by helper threads while <see cref="CountsAllocations"/> is set. For tests: other threads allocate too, for their
    /// timers.
    /// </summary>
    public static long AllocatedByHelpers => Volatile.Read(ref s_allocated);

    /// <summary>Whether to count the allocations of helper threads.</summary>
    public static bool CountsAllocations { get; set; }

    /// <summary>Runs body(context, begin, end) over [0, count) in chunks of grain.</summary>
    public static void For(nint count, nint grain, delegate*<void*, nint, nint, void> body, void* context)
    {
        grain = Math.Max(1, grain);
        int threads = s_size;
        if (count <= grain || threads == 1 || s_inside || !s_gate.TryEnter())
        {
            for (nint begin = 0; begin < count;)
            {
                nint end = count - begin <= grain ? count : begin + grain;
                body(context, begin, end);
                begin = end;
            }
            return;
        }
        try
        {
            nint chunks = (count - 1) / grain + 1;
            int helpers = (int)Math.Min(threads, chunks) - 1;
            while (s_workers.Count < helpers) s_workers.Add(new Worker());
            Job job = s_job ??= new Job();
            job.Open(count, grain, chunks, body, context);
            for (int i = 0; i < helpers; i++) s_workers[i].Begin(job);
            s_inside = true;
            job.Work(caller: true);
            s_inside = false;
            job.Close();
        }
        finally
        {
            s_gate.Exit();
        }
    }

    /// <summary>
    /// Waits some tens of nanoseconds. Thread.SpinWait calibrates itself once per process; if that was disturbed, a waiting thread would
    /// always be too late for kernels of a few microseconds.
    /// </summary>
    private static void Pause()
    {
        for (int i = 0; i < 4; i++)
            if (X86Base.IsSupported) X86Base.Pause();
            else if (ArmBase.IsSupported) ArmBase.Yield();
            else Thread.SpinWait(1);
    }

    /// <summary>
    /// How long to spin before sleeping. Measured by the clock: a pause is a hundred times shorter on ARM64 than on x64, so a fixed number
    /// of spins would be far too short there.
    /// </summary>
    private struct Patience
    {
        // Reading the clock takes as long as a pause on x64.
        private const int LooksPerClock = 16;

        // 0.8 ms: long enough to bridge the gap between two operators of a model, short enough to release the core soon.
        private static readonly long s_ticks = Stopwatch.Frequency / 1250;

        private long _end;
        private int _looks;
        private bool _over;

        /// <summary>Pauses once; false when the time is over.</summary>
        public bool Look()
        {
            if (_over) return false;
            Pause();
            if (++_looks % LooksPerClock != 0) return true;
            long now = Stopwatch.GetTimestamp();
            if (_end == 0) _end = now + s_ticks;
            _over = now >= _end;
            return !_over;
        }
    }

    private sealed class Job
    {
        private const int Closed = int.MinValue;

        private long _count;
        private long _grain;
        private delegate*<void*, nint, nint, void> _body;
        private void* _context;
        private long _chunks, _taken, _atFront, _atBack;
        private VectorWidth? _width;
        private int _helpers = Closed;
        private ExceptionDispatchInfo? _failure;

        public void Open(nint count, nint grain, nint chunks, delegate*<void*, nint, nint, void> body, void* context)
        {
            _count = count;
            _grain = grain;
            _body = body;
            _context = context;
            _chunks = chunks;
            _width = Isa.Forced;
            (_taken, _atFront, _atBack) = (0, 0, 0);
            _failure = null;
            Volatile.Write(ref _helpers, 0);
        }

        /// <summary>
        /// The loop of the caller, and of each helper that arrives in time. The caller takes chunks from the front, helpers from the back,
        /// so each core reuses the part of a tensor that is already in its cache. Together they take no more chunks than there are, so they
        /// never overlap.
        /// </summary>
        public void Work(bool caller)
        {
            try
            {
                while (Interlocked.Increment(ref _taken) <= _chunks)
                {
                    long chunk = caller ? _atFront++ : _chunks - Interlocked.Increment(ref _atBack);
                    long begin = chunk * _grain;
                    _body(_context, (nint)begin, (nint)(_count - begin <= _grain ? _count : begin + _grain));
                }
            }
            catch (Exception e)
            {
                _failure = ExceptionDispatchInfo.Capture(e);
                Interlocked.Exchange(ref _taken, _chunks);
            }
        }

        public void Help()
        {
            for (int seen = Volatile.Read(ref _helpers); seen >= 0;)
            {
                int before = Interlocked.CompareExchange(ref _helpers, seen + 1, seen);
                if (before != seen)
                {
                    seen = before;
                    continue;
                }
                Isa.Forced = _width;
                long allocated = CountsAllocations ? GC.GetAllocatedBytesForCurrentThread() : 0;
                Work(caller: false);
                if (CountsAllocations) Interlocked.Add(ref s_allocated, GC.GetAllocatedBytesForCurrentThread() - allocated);
                Interlocked.Decrement(ref _helpers);
                return;
            }
        }

        /// <summary>
        /// Waits for the helpers that joined. A helper not yet scheduled finds the job closed, so a busy machine does not delay the caller.
        /// </summary>
        public void Close()
        {
            Patience patience = default;
            SpinWait yielding = default;
            while (Interlocked.CompareExchange(ref _helpers, Closed, 0) != 0)
                if (!patience.Look()) yielding.SpinOnce(sleep1Threshold: -1);
            _failure?.Throw();
        }
    }

    private sealed class Worker
    {
        private readonly SemaphoreSlim _wake = new(0);
        private Job? _job;
        private int _sleeping;

        public Worker() => new Thread(Loop) { IsBackground = true, Name = "mamba worker" }.Start();

        public void Begin(Job job)
        {
            Volatile.Write(ref _job, job);
            // Full fence on both sides: either the worker sees the job, or the caller sees the worker asleep.
            if (Interlocked.Exchange(ref _sleeping, 0) == 1) _wake.Release();
        }

        private void Loop()
        {
            s_inside = true;
            while (true)
            {
                Next().Help();
            }
        }

        private Job Next()
        {
            Patience patience = default;
            while (true)
            {
                if (Volatile.Read(ref _job) is not null && Interlocked.Exchange(ref _job, null) is { } job) return job;
                if (patience.Look()) continue;
                Interlocked.Exchange(ref _sleeping, 1);
                if (Volatile.Read(ref _job) is null) _wake.Wait();
                else if (Interlocked.Exchange(ref _sleeping, 0) == 0) _wake.Wait(); // Begin saw this thread asleep: consume its token
                patience = default;
            }
        }
    }
}
