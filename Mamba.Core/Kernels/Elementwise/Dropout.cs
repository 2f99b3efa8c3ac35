using System.Runtime.CompilerServices;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>
/// y (+)= x scale where the element's random number is at least the rate, 0 elsewhere. The numbers are the stream's own, one an element, so the same mask
/// comes again in the backward pass without being kept.
/// </summary>
internal unsafe struct DropoutMask : IKernel
{
    public RandomStream Random;
    public float* X, Y;
    public double Rate;
    public bool Add;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        RandomStream random = Random;
        random.Skip(begin);
        float* x = X, y = Y;
        double rate = Rate;
        float scale = (float)(1 / (1 - rate));
        for (nint i = begin; i < end; i++)
        {
            float kept = random.NextDouble() >= rate ? x[i] * scale : 0f;
            y[i] = Add ? y[i] + kept : kept;
        }
    }
}
