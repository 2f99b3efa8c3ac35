using System.Runtime.CompilerServices;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>
/// y (+)= x scale where the element's random number is at least the rate, 0 elsewhere. Element i uses the i-th number of the stream, so the
/// backward pass regenerates the mask and none is stored.
/// </summary>
internal unsafe struct DropoutMask : IKernel
{
    public RandomState Random;
    public float* X;
    public GradientTarget Y;
    public double Rate;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        RandomState random = Random;
        random.Skip(begin);
        GradientTarget y = Y;
        float* x = X;
        double rate = Rate;
        float scale = (float)(1 / (1 - rate));
        for (nint i = begin; i < end; i++)
            y.StoreOne(random.NextDouble() >= rate ? x[i] * scale : 0f, y.Pointer + i);
    }
}
