using System.Runtime.InteropServices;

namespace Mamba.CLibrary;

/// <summary>As <c>mamba_status</c> of mamba.h.</summary>
internal enum Status
{
    Ok = 0,
    OutOfTime = 1,
    BadHandle = -1,
    BadArgument = -2,
    BadWeights = -3,
    OutOfMemory = -4,
    Failed = -5,
}

/// <summary>As <c>mamba_frame</c> of mamba.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeFrame
{
    public byte* Data;
    public nuint Size;
    public NativeFormat Format;
}

/// <summary>The fields of <c>mamba_frame</c> that say what the bytes mean: those of the next frame are mostly the same.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct NativeFormat
{
    public int Width, Height, Pixels, Stride, RegionX, RegionY, RegionWidth, RegionHeight, Bt709, FullRange;
}

/// <summary>As <c>mamba_info</c> of mamba.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeInfo
{
    public int Task, Classes, Width, Height, Channels;
}

/// <summary>As <c>mamba_output</c> of mamba.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeOutput
{
    public byte* Mask;
    public nuint MaskSize;
    public float* Probabilities;
    public nuint ProbabilityCount;
    public double BudgetMilliseconds, Milliseconds;
    public int Area, Best;
}
