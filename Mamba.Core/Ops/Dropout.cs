using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Zeroes each element with probability rate and divides the others by 1 - rate (Srivastava et al. 2014; PyTorch's dropout). The layer
    /// <see cref="Nn.Dropout"/> applies it in training only, with random numbers of its own.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="rate">The probability, at least 0 and below 1.</param>
    /// <param name="random">Element i uses the i-th next number of the stream.</param>
    /// <returns>The shape of x: 0, or x / (1 - rate).</returns>
    /// <exception cref="ArgumentOutOfRangeException">The rate is out of range.</exception>
    public static Tensor Dropout(Tensor x, double rate, RandomStream random)
    {
        if (!(rate is >= 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(rate), rate, "Dropout: expected a rate of at least 0 and below 1.");
        Tensor y = Tensor.Empty(x.Shape);
        RandomState start = random.Take(x.Count);
        DropoutMask mask = new() { Random = start, X = x.Pointer, Y = y.Pointer, Rate = rate };
        Launch.Run(mask, x.Count, Launch.ElementGrain);
        if (Tape.Needs(x))
            Tape.Record(y, (x, rate, start), static (context, dy) =>
            {
                (Tensor x, double rate, RandomState start) = context.Values;
                DropoutMask kernel = new() { Random = start, X = dy.Pointer, Y = x.OpenGrad().Target, Rate = rate };
                Launch.Run(kernel, dy.Count, Launch.ElementGrain);
            });
        return y;
    }
}
