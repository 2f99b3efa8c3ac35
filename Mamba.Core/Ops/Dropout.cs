using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Leaves each element out with a probability, and scales the others so that the mean stays (Srivastava et al. 2014). For training; the layer
    /// <see cref="Nn.Dropout"/> knows when that is, and which numbers belong to it.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="rate">The probability, at least 0 and below 1.</param>
    /// <param name="random">A stream of this call's own: element i takes its i-th number. The caller's copy does not move on.</param>
    /// <returns>The shape of x: 0, or x / (1 - rate).</returns>
    /// <exception cref="ArgumentOutOfRangeException">The rate is out of range.</exception>
    public static Tensor Dropout(Tensor x, double rate, RandomStream random)
    {
        if (!(rate is >= 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(rate), rate, "Dropout: expected a rate of at least 0 and below 1.");
        Tensor y = Tensor.Empty(x.Shape);
        Launch.Run(new DropoutMask { Random = random, X = x.Pointer, Y = y.Pointer, Rate = rate }, x.Count, Launch.ElementGrain);
        if (Tape.Needs(x))
            Tape.Push(y, (x, rate, random), static (context, dy) =>
            {
                (Tensor x, double rate, RandomStream random) = context;
                GradSlot dx = x.OpenGrad();
                Launch.Run(
                    new DropoutMask { Random = random, X = dy.Pointer, Y = dx.Pointer, Rate = rate, Add = dx.Accumulate },
                    dy.Count, Launch.ElementGrain);
            });
        return y;
    }
}
