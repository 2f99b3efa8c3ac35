using System.Numerics.Tensors;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Layout;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>a + b with NumPy's broadcasting (torch.add).</summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">A shape that broadcasts with a's: extents, counted from the last, are equal or one of them is 1.</param>
    /// <returns>The broadcast shape.</returns>
    /// <exception cref="ShapeException">The shapes do not broadcast.</exception>
    public static Tensor Add(Tensor a, Tensor b)
    {
        Tensor y = Combine<Sum2>("Add", a, b);
        if (Tape.Needs(a, b))
            Tape.Record(y, (a, b, shape: y.Shape), static (context, dy) =>
            {
                (Tensor a, Tensor b, Shape shape) = context.Values;
                bool taken = PassOn(a, shape, dy, 1f, mayTake: true);
                PassOn(b, shape, dy, 1f, mayTake: !taken); // two operands must not share one gradient
            });
        return y;
    }

    /// <summary>a - b with NumPy's broadcasting (torch.sub).</summary>
    /// <inheritdoc cref="Add"/>
    public static Tensor Subtract(Tensor a, Tensor b)
    {
        Tensor y = Combine<Difference>("Subtract", a, b);
        if (Tape.Needs(a, b))
            Tape.Record(y, (a, b, shape: y.Shape), static (context, dy) =>
            {
                (Tensor a, Tensor b, Shape shape) = context.Values;
                PassOn(b, shape, dy, -1f, mayTake: false);
                PassOn(a, shape, dy, 1f, mayTake: true);
            });
        return y;
    }

    /// <summary>a b with NumPy's broadcasting (torch.mul).</summary>
    /// <inheritdoc cref="Add"/>
    public static Tensor Multiply(Tensor a, Tensor b)
    {
        Tensor y = Combine<Product>("Multiply", a, b);
        if (Tape.Needs(a, b))
            Tape.Record(y, (a, b, shape: y.Shape), static (context, dy) =>
            {
                (Tensor a, Tensor b, Shape shape) = context.Values;
                if (a.NeedsGrad) Contribute(a, shape, dy, b);
                if (b.NeedsGrad) Contribute(b, shape, dy, a);
            }, a.NeedsGrad ? b : null, b.NeedsGrad ? a : null);
        return y;
    }

    /// <summary>factor x.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="factor">A constant.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Scale(Tensor x, float factor)
    {
        Tensor y = Tensor.Empty(x.Shape);
        TensorPrimitives.Multiply(x.Span, factor, y.Span);
        if (Tape.Needs(x))
            Tape.Record(y, (x, factor), static (context, dy) =>
            {
                (Tensor x, float factor) = context.Values;
                GradSlot dx = x.OpenGrad();
                if (dx.Accumulate) TensorPrimitives.MultiplyAdd(dy.Span, factor, dx.Span, dx.Span);
                else TensorPrimitives.Multiply(dy.Span, factor, dx.Span);
            });
        return y;
    }

    private static Tensor Combine<TBinary>(string name, Tensor a, Tensor b) where TBinary : unmanaged, IBinary
    {
        bool fits = BroadcastWalk.TryShape(name, a.Shape, b.Shape, out Shape shape);
        Check.That(
            fits, name, $"shapes {a.Shape} and {b.Shape} do not broadcast; expected extents, counted from the last, that are equal or 1");
        Tensor y = Tensor.Empty(shape);
        BroadcastForward<TBinary>.Run(shape, a.Shape, b.Shape, a.Pointer, b.Pointer, y.Pointer);
        return y;
    }

    /// <summary>Adds factor dy to the gradient of an operand of a sum; true if dy itself became that gradient.</summary>
    private static bool PassOn(Tensor x, Shape result, Tensor dy, float factor, bool mayTake)
    {
        if (!x.NeedsGrad) return false;
        if (mayTake && x.Count == result.Count && x.TryTakeGrad(dy)) return true;
        GradSlot dx = x.OpenGrad();
        if (x.Count != result.Count) BroadcastGradient.Run(result, x.Shape, dy.Pointer, null, new Shape(), factor, dx.Target);
        else if (factor == 1f && x.Count > 0)
        {
            int columns = x.Shape.Rank == 0 ? 1 : x.Shape[-1];
            StridedCopy.Run(dy.Pointer, columns, dx.Pointer, columns, columns, x.Count / columns, dx.Accumulate);
        }
        else if (dx.Accumulate) TensorPrimitives.MultiplyAdd(dy.Span, factor, dx.Span, dx.Span);
        else TensorPrimitives.Multiply(dy.Span, factor, dx.Span);
        return false;
    }

    /// <summary>Adds dy other to the gradient of an operand of a product.</summary>
    private static void Contribute(Tensor x, Shape result, Tensor dy, Tensor other)
    {
        GradSlot dx = x.OpenGrad();
        if (x.Count != result.Count) BroadcastGradient.Run(result, x.Shape, dy.Pointer, other.Pointer, other.Shape, 1f, dx.Target);
        else if (!dx.Accumulate) BroadcastForward<Product>.Run(result, result, other.Shape, dy.Pointer, other.Pointer, dx.Pointer);
        else
        {
            using Memory.Scratch product = new(result.Count);
            BroadcastForward<Product>.Run(result, result, other.Shape, dy.Pointer, other.Pointer, product.Pointer);
            TensorPrimitives.Add(dx.Span, new ReadOnlySpan<float>(product.Pointer, result.Count), dx.Span);
        }
    }
}
