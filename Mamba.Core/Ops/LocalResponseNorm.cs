using Mamba.Core.Kernels.Norms;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Local response normalization (Krizhevsky et al. 2012; PyTorch's local_response_norm): x / (k + alpha / size sum x^2)^beta, where the
    /// sum is over size neighbouring channels. Channels outside the tensor count as zeros.
    /// </summary>
    /// <param name="x">(..., C).</param>
    /// <param name="size">Channels of a sum: size / 2 before, (size - 1) / 2 after.</param>
    /// <param name="alpha">Weight of the mean square.</param>
    /// <param name="beta">The exponent.</param>
    /// <param name="k">Added to the weighted mean square.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">x is a scalar.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The size is not positive.</exception>
    public static Tensor LocalResponseNorm(Tensor x, int size, float alpha = 1e-4f, float beta = 0.75f, float k = 1f)
    {
        if (size <= 0) throw new ArgumentOutOfRangeException(nameof(size), size, "LocalResponseNorm: expected a positive size.");
        (int channels, int rows) = Channels(x, "LocalResponseNorm");
        if (x.Count == 0) return Independent(Tensor.Empty(x.Shape), x);
        ResponseNorm norm = new()
        {
            Channels = channels,
            Before = Math.Min(size / 2, channels),
            After = Math.Min((size - 1) / 2, channels),
            Share = alpha / size,
            Beta = beta,
            K = k,
        };
        Tensor y = Tensor.Empty(x.Shape);
        nint grain = PoolGrain(channels, 1);
        Launch.Run(new ResponseNormForward { Norm = norm, X = x.Pointer, Y = y.Pointer }, rows, grain);
        if (Tape.Needs(x))
            Tape.Record(y, (x, norm, rows, grain), static (context, dy) =>
            {
                (Tensor x, ResponseNorm norm, int rows, nint grain) = context.Values;
                ResponseNormBackward kernel = new() { Norm = norm, X = x.Pointer, Dy = dy.Pointer, Dx = x.OpenGrad().Target };
                Launch.Run(kernel, rows, grain);
            }, x);
        return y;
    }
}
