using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mamba.Core.Memory;

/// <summary>
/// Floats at a fixed address, aligned to 64 bytes. The memory is a pinned managed array: nothing leaks when a buffer is forgotten, no finaliser
/// runs, and no native allocator is needed.
/// </summary>
internal sealed unsafe class Buffer
{
    private const int AlignmentBytes = 64;
    private readonly float[] _array;
    private readonly int _offset;

    public Buffer(int capacity)
    {
        _array = GC.AllocateUninitializedArray<float>(capacity + AlignmentBytes / sizeof(float), pinned: true);
        nint address = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_array));
        _offset = (int)(-address & (AlignmentBytes - 1)) / sizeof(float);
        Pointer = (float*)(address + _offset * sizeof(float));
        Capacity = capacity;
    }

    /// <summary>The first float; valid as long as this object is reachable.</summary>
    public float* Pointer { get; }

    public int Capacity { get; }

    public Memory<float> Memory => _array.AsMemory(_offset, Capacity);
}
