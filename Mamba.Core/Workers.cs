using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>
/// Persistent threads that share the chunks of one kernel at a time. The caller works too, and returns when all chunks are done. A call
/// from inside a kernel, or while another thread holds the workers, runs on the calling thread alone. Its results are the same, because a
/// chunk's result never depends on its thread.
/// </summary>
public static unsafe class Workers
{
    // Long enough to bridge the gap between two operators of a model, short enough to give the core back soon.
    private const int LooksBeforeSleep = 8000;

    private static readonly Lock s_gate = new();
    private static readonly List<Worker> s_workers = [];
    private static int s_count = Environment.ProcessorCount;
    private static long s_allocated;

    // Whether this thread works on a kernel shared among threads. What it starts meanwhile runs on it alone.
    [ThreadStatic]
    private static bool s_inside;

    // Whether this thread is in a body that a caller of ForEach or For gave.
    [ThreadStatic]
    private static bool s_inBody;

    private static Job? s_job;

    /// <summary>Threads that take part, the caller included; at first the number of processors. It changes speed, never results.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Less than 1 or more than 1024.</exception>
    /// <exception cref="InvalidOperationException">Set inside a body of <see cref="ForEach"/> or <see cref="For{TState}"/>.</exception>
    public static int Count
    {
        get => Volatile.Read(ref s_count);
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 1024);
            if (s_inBody || s_inside)
                throw new InvalidOperationException(
                    "Workers.Count cannot be set inside a body that the workers run; "
                    + "set it before Workers.ForEach or Workers.For is called.");
            Volatile.Write(ref s_count, value); // kernels under way continue as they began
        }
    }

    /// <summary>
    /// Bytes that helping threads have allocated, counted while <see cref="CountsAllocations"/> is set: for tests, as other threads have
    /// timers of their own.
    /// </summary>
    internal static long AllocatedByHelpers => Volatile.Read(ref s_allocated);

    /// <summary>Whether to count what helping threads allocate.</summary>
    internal static bool CountsAllocations { get; set; }

    /// <summary>
    /// Runs body(state, i) for each i below a count, shared among the threads. Operators called inside run on the calling thread. For many
    /// small independent pieces of work, such as images for a small model, that is faster than sharing each operator. It allocates nothing.
    /// </summary>
    /// <remarks>
    /// Every body runs at the vector width that the caller has chosen (<see cref="Isa.Use"/>). A body that calls <see cref="ForEach"/> or
    /// <see cref="For{TState}"/> runs that alone. A tape sees the operators of its own thread only, so under one the call is refused.
    /// </remarks>
    /// <typeparam name="TState">What the body reads.</typeparam>
    /// <param name="count">How many.</param>
    /// <param name="state">What the body reads.</param>
    /// <param name="body">
    /// Called once for each i, on any of the threads; an exception of one call ends the others, and is thrown on.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    /// <exception cref="InvalidOperationException">
    /// A tape is open on this thread; or a body has left a tape or a <see cref="MemoryScope"/> open.
    /// </exception>
    /// <example><code>
    /// Workers.ForEach(images.Length, (segmenter, images, masks), static (s, i) => s.segmenter.Segment(s.images[i], s.masks[i]));
    /// </code></example>
    public static void ForEach<TState>(int count, TState state, Action<TState, int> body)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentNullException.ThrowIfNull(body);
        if (Tape.IsRecording)
            throw new InvalidOperationException(
                "Workers.ForEach: a tape is open on this thread, and would record the bodies that run here but not those on other threads. "
                + "Call the bodies in a loop, or open a tape inside each body.");
        // A local of this frame does not move while For runs, and the garbage collector sees it through the frame.
        (TState State, Action<TState, int> Body) context = (state, body);
        For(count, 1, &Call<TState>, Unsafe.AsPointer(ref context));
    }

    /// <summary>
    /// Runs body(state, begin, end) over the pieces [begin, end) of [0, count), shared among the threads: a custom operator becomes
    /// parallel by it. It allocates nothing where the body is a static lambda.
    /// </summary>
    /// <remarks>
    /// <para>
    /// All pieces have <paramref name="grain"/> items, but for the last, which may have fewer; piece number begin / grain is always the
    /// same. Which thread does a piece, and when, is not determined. Results are the same at any number of threads under three conditions.
    /// Each piece writes to places of its own. A sum over pieces has a term for each piece, and the terms are added afterwards in order.
    /// The grain follows from shapes alone, never from <see cref="Count"/>.
    /// </para>
    /// <para>
    /// Every body runs at the vector width that the caller has chosen (<see cref="Isa.Use"/>). Inside a body nothing is recorded, whatever
    /// tape is open: push the step of the whole operator after the call. A body that calls <see cref="For{TState}"/> or
    /// <see cref="ForEach"/> runs that alone.
    /// </para>
    /// </remarks>
    /// <typeparam name="TState">What the body reads: tensors, sizes, arrays.</typeparam>
    /// <param name="count">How many items.</param>
    /// <param name="grain">Items of a piece: some tens of microseconds of work.</param>
    /// <param name="state">What the body reads.</param>
    /// <param name="body">
    /// Called once for each piece, on any of the threads; an exception of one call ends the others, and is thrown on.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative, or the grain not positive.</exception>
    /// <exception cref="InvalidOperationException">A body has left a tape or a <see cref="MemoryScope"/> open.</exception>
    /// <example><code>
    /// Workers.For(x.Count, 8192, (x, y), static (s, begin, end) =>
    /// {
    ///     for (long i = begin; i &lt; end; i++) s.y.Span[(int)i] = MathF.Cbrt(s.x.Span[(int)i]);
    /// });
    /// </code></example>
    public static void For<TState>(long count, long grain, TState state, Action<TState, long, long> body)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(grain);
        ArgumentNullException.ThrowIfNull(body);
        (TState State, Action<TState, long, long> Body) context = (state, body);
        using RecordingPause _ = Tape.Pause();
        For((nint)count, (nint)Math.Min(grain, Math.Max(1, count)), &CallPiece<TState>, Unsafe.AsPointer(ref context));
    }

    private static void Call<TState>(void* context, nint begin, nint end)
    {
        ref (TState State, Action<TState, int> Body) call = ref Unsafe.AsRef<(TState, Action<TState, int>)>(context);
        for (nint i = begin; i < end; i++)
        {
            using BodyState state = new();
            call.Body(call.State, (int)i);
            state.Check();
        }
    }

    private static void CallPiece<TState>(void* context, nint begin, nint end)
    {
        ref (TState State, Action<TState, long, long> Body) call = ref Unsafe.AsRef<(TState, Action<TState, long, long>)>(context);
        using BodyState state = new();
        call.Body(call.State, begin, end);
        state.Check();
    }

    /// <summary>What a body may change of its thread, and must not leave to the next one: which bodies share a thread is not
    /// determined.</summary>
    private readonly ref struct BodyState : IDisposable
    {
        private readonly bool _inBody = s_inBody;
        private readonly VectorWidth? _width = Isa.Forced;
        private readonly Recording? _recording = Recording.Current;
        private readonly int _scopes = MemoryScope.Depth;

        public BodyState() => s_inBody = true;

        /// <exception cref="InvalidOperationException">The body has left a scope open.</exception>
        public void Check()
        {
            if (MemoryScope.Depth != _scopes)
                throw new InvalidOperationException(
                    "Workers: a body has left a tape or a memory scope open on the thread that ran it. Open it by 'using' inside the body.");
        }

        public void Dispose() => (s_inBody, Isa.Forced, Recording.Current) = (_inBody, _width, _recording);
    }

    /// <summary>Runs body(context, begin, end) over [0, count) in chunks of grain.</summary>
    internal static void For(nint count, nint grain, delegate*<void*, nint, nint, void> body, void* context)
    {
        grain = Math.Max(1, grain);
        int threads = s_count;
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
    /// Waits some tens of nanoseconds. Thread.SpinWait calibrates itself once a process. Where that was disturbed, a thread waiting by it
    /// would miss kernels of a few microseconds for good.
    /// </summary>
    private static void Pause()
    {
        for (int i = 0; i < 4; i++)
            if (X86Base.IsSupported) X86Base.Pause();
            else if (ArmBase.IsSupported) ArmBase.Yield();
            else Thread.SpinWait(1);
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
        /// The work of the caller, and of each helper that comes in time. The caller takes chunks from the front, helpers take them from
        /// the back. So each core reuses the part of a tensor that is already in its cache. They take no more chunks than there are, so
        /// they never meet.
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
        /// Waits for the helpers that came. A helper that the system has not scheduled by now finds the job closed, so a busy machine
        /// delays no caller.
        /// </summary>
        public void Close()
        {
            SpinWait patience = default;
            for (int looks = 0; Interlocked.CompareExchange(ref _helpers, Closed, 0) != 0; looks++)
                if (looks < LooksBeforeSleep) Pause();
                else patience.SpinOnce(sleep1Threshold: -1);
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
            // Full fence on both sides: either the worker sees the job, or this sees it asleep.
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
            for (int looks = 0; ; looks++)
            {
                if (Volatile.Read(ref _job) is not null && Interlocked.Exchange(ref _job, null) is { } job) return job;
                if (looks < LooksBeforeSleep)
                {
                    Pause();
                    continue;
                }
                Interlocked.Exchange(ref _sleeping, 1);
                if (Volatile.Read(ref _job) is null) _wake.Wait();
                else if (Interlocked.Exchange(ref _sleeping, 0) == 0) _wake.Wait(); // Begin saw us asleep: take its token
                looks = 0;
            }
        }
    }
}
