using Mamba.Core.Kernels.Mamba3;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// The step sizes and decays of Mamba-3 (Lahoti et al. 2026): dt = softplus(x) and A dt, where A = -max(f(a), floor) with f(a) = 1 + a
    /// for a >= 0 and 1 / (1 - a) below. Where the floor applies, a gets no gradient.
    /// </summary>
    /// <param name="x">The projection to dt with its bias; any shape.</param>
    /// <param name="a">The projection to A, in the same shape.</param>
    /// <param name="floor">The smallest -A, above 0.</param>
    /// <returns>dt and A dt, in the same shape.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The floor is not above 0.</exception>
    public static (Tensor Dt, Tensor Adt) Mamba3Rates(Tensor x, Tensor a, float floor = 1e-4f)
    {
        Check.SameShape(x, a, "Mamba3Rates");
        if (!(floor > 0f)) throw new ArgumentOutOfRangeException(nameof(floor), floor, "Mamba3Rates: expected a floor above 0.");
        Tensor dt = Tensor.Empty(x.Shape), adt = Tensor.Empty(x.Shape);
        Launch.Run(
            new Kernels.Mamba3.Mamba3Rates { X = x.Pointer, A = a.Pointer, Dt = dt.Pointer, Adt = adt.Pointer, Floor = floor }, x.Count,
            Launch.ElementGrain);
        MultiplyAdds.Add(0, x.Count);
        if (Tape.Needs(x, a))
            Tape.Record(
                [dt, adt], (x, a, floor),
                static (step, outputs) =>
                {
                    (Tensor x, Tensor a, float floor) = step.Values;
                    GradSlot? dx = Open(x), da = Open(a);
                    // If x and a are the same tensor, the second gradient adds to the first, element by element.
                    Launch.Run(
                        new Mamba3RatesBackward
                        {
                            X = x.Pointer,
                            A = a.Pointer,
                            DDt = outputs[0].Grad.Pointer,
                            DAdt = outputs[1].Grad.Pointer,
                            Floor = floor,
                            Dx = dx.Target,
                            Da = da.Target,
                        },
                        x.Count, Launch.ElementGrain);
                },
                x, a);
        return (dt, adt);
    }
}
