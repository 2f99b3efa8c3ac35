using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>C (+)= the sum of the results of all parts of K, in order. One item is a row.</summary>
internal unsafe struct SplitKReduction : IKernel
{
    public nint Parts, Columns, PartSize, CRowStride;

    /// <summary>(Parts, M, N).</summary>
    public float* Results;

    public float* C;
    public Epilogue Epilogue;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        for (nint row = begin; row < end; row++)
            for (nint column = 0; column < Columns; column += n)
            {
                nint lanes = Math.Min(n, Columns - column);
                float* to = C + row * CRowStride + column;
                V sum = Epilogue.Bias == null ? default : Load<V>(Epilogue.Bias + column, lanes);
                for (nint part = 0; part < Parts; part++) sum += Load<V>(Results + part * PartSize + row * Columns + column, lanes);
                if (Epilogue.Add) sum += Load<V>(to + Epilogue.AddendOffset, lanes);
                Store(Epilogue.Relu ? Max(default, sum) : sum, to, lanes);
            }
    }
}
