using Mamba.Core.Kernels.StateSpace;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// The memory of HiPPO-LegS (Gu et al. 2020, theorem 2): the coefficients, updated online, of the best approximation of a signal's
    /// whole history by N Legendre polynomials. c_k = (I - A/2k)^-1 ((I + A/2k) c_(k-1) + (B/k) f_k), in double precision.
    /// </summary>
    /// <param name="signal">(H, L).</param>
    /// <param name="order">N.</param>
    /// <returns>c_L, (H, N).</returns>
    /// <exception cref="ShapeException">The signal does not have two dimensions, or its length is zero.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The order is not positive.</exception>
    public static Tensor LegsMemory(Tensor signal, int order)
    {
        Check.That(signal.Shape.Rank == 2 && signal.Shape[1] > 0, "LegsMemory", $"signal {signal.Shape}; expected (H, L) with L > 0");
        Check.Positive(order, "LegsMemory", nameof(order));
        Tensor c = Tensor.Empty(signal.Shape[0], order);
        if (c.Count == 0) return Independent(c, signal);
        LegsMemory kernel = new() { Length = signal.Shape[1], States = order, Signal = signal.Pointer, Coefficients = c.Pointer };
        Launch.Run(kernel, signal.Shape[0], 1);
        MultiplyAdds.Add(6L * signal.Count * order);
        if (Tape.Needs(signal))
            Tape.Record(c, (signal, length: signal.Shape[1]), static (context, dc) =>
            {
                (Tensor signal, int length) = context.Values;
                using Scratch gradients = Scratch.OfDoubles((nint)dc.Shape[0] * length);
                LegsMemory kernel = new()
                {
                    Length = length,
                    States = dc.Shape[1],
                    CoefficientGradients = dc.Pointer,
                    SignalGradients = gradients.Doubles,
                };
                Launch.Run(kernel, dc.Shape[0], 1);
                Contribute(signal, gradients.Doubles);
            });
        return c;
    }
}
