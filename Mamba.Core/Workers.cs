using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>
/// The threads that share the work of a kernel, of a custom operator, or of many small independent items. The caller works too, and returns
/// when all is done. A call from inside a body, or while another thread uses the workers, runs on the calling thread only.
/// </summary>
public static unsafe class Workers
{
    // Whether this thread is inside a body of ForEach or For.
    [ThreadStatic]
    private static bool s_inBody;

    /// <summary>
    /// The number of threads, including the caller; by default the number of fast cores. It changes speed, never results.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Less than 1 or more than 1024.</exception>
    /// <exception cref="InvalidOperationException">Set inside a body of <see cref="ForEach"/> or <see cref="For{TState}"/>.</exception>
    public static int Count
    {
        get => ThreadTeam.Size;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 1024);
            if (s_inBody || ThreadTeam.IsInside)
                throw new InvalidOperationException(
                    "Workers.Count cannot be set inside a body that the workers run; "
                    + "set it before Workers.ForEach or Workers.For is called.");
            ThreadTeam.Size = value;
        }
    }

    /// <summary>
    /// Runs body(state, i) for each i below a count, shared among the threads. Operators called inside run on the calling thread. For many
    /// small independent items, such as images for a small model, this is faster than sharing each operator. It allocates nothing.
    /// </summary>
    /// <remarks>
    /// Every body runs at the caller's vector width (<see cref="Isa.Use"/>). A nested <see cref="ForEach"/> or <see cref="For{TState}"/>
    /// runs on the body's thread only. A tape records only the operators of its own thread, so the call throws under a tape.
    /// </remarks>
    /// <typeparam name="TState">The type of the state.</typeparam>
    /// <param name="count">The number of items.</param>
    /// <param name="state">The state that the body reads.</param>
    /// <param name="body">
    /// Called once for each i, on any of the threads; an exception of one call ends the others, and is thrown on.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    /// <exception cref="InvalidOperationException">
    /// A tape is open on this thread; or a body has left a tape or a <see cref="MemoryScope"/> open, which is closed then.
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
        ThreadTeam.For(count, 1, &Call<TState>, Unsafe.AsPointer(ref context));
    }

    /// <summary>
    /// Runs body(state, begin, end) over the chunks [begin, end) of [0, count), shared among the threads: this makes a custom operator
    /// parallel. It allocates nothing if the body is a static lambda.
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
    /// <exception cref="InvalidOperationException">
    /// A body has left a tape or a <see cref="MemoryScope"/> open, which is closed then.
    /// </exception>
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
        ThreadTeam.For((nint)count, (nint)Math.Min(grain, Math.Max(1, count)), &CallPiece<TState>, Unsafe.AsPointer(ref context));
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

    /// <summary>Thread state that a body may change and must restore: which bodies share a thread is not deterministic.</summary>
    private readonly ref struct BodyState : IDisposable
    {
        private readonly bool _inBody = s_inBody;
        private readonly VectorWidth? _width = Isa.Forced;
        private readonly Recording? _recording = Recording.Current;
        private readonly long _deadline = TimeLimit.Deadline;
        private readonly int _scopes = MemoryScope.Depth;

        public BodyState() => s_inBody = true;

        /// <exception cref="InvalidOperationException">The body has left a scope open.</exception>
        public void Check()
        {
            if (MemoryScope.Depth != _scopes)
                throw new InvalidOperationException(
                    "Workers: a body has left a tape or memory scope open on the thread that ran it; open it by 'using' inside the body.");
        }

        /// <summary>Restores everything, and closes scopes and tapes that the body has left open: its thread runs other bodies.</summary>
        public void Dispose()
        {
            MemoryScope.CloseTo(_scopes);
            Recording.CloseInside(_recording);
            (s_inBody, Isa.Forced, Recording.Current, TimeLimit.Deadline) = (_inBody, _width, _recording, _deadline);
        }
    }
}
