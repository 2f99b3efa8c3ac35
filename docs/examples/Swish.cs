using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Examples;

public sealed class Swish(Scope scope)
{
    private readonly Tensor _beta = scope.Parameter("beta", Init.Ones, 1);

    public Tensor Forward(Tensor x) => Apply(x, _beta);

    public static Tensor Apply(Tensor x, Tensor beta)
    {
        if (beta.Count != 1) throw new ShapeException("Swish", $"beta is {beta.Shape}, expected (1)");
        Tensor y = Tensor.Empty(x.Shape);
        float b = beta.Item();
        ReadOnlySpan<float> input = x.Span;
        Span<float> output = y.Span;
        for (int i = 0; i < input.Length; i++) output[i] = input[i] * Sigmoid(b * input[i]);
        if (Tape.Needs(x, beta)) Tape.Push(y, (x, beta), static (context, dy) => Backward(context.x, context.beta, dy), x, beta);
        return y;
    }

    private static void Backward(Tensor x, Tensor beta, Tensor dy)
    {
        float b = beta.Item();
        ReadOnlySpan<float> input = x.Span, upstream = dy.Span;
        if (x.NeedsGrad)
        {
            GradSlot slot = x.OpenGrad();
            Span<float> dx = slot.Span;
            for (int i = 0; i < dx.Length; i++)
            {
                float s = Sigmoid(b * input[i]), gradient = upstream[i] * (s + b * input[i] * s * (1 - s));
                dx[i] = slot.Accumulate ? dx[i] + gradient : gradient;
            }
        }
        if (beta.NeedsGrad)
        {
            double sum = 0;
            for (int i = 0; i < input.Length; i++)
            {
                float s = Sigmoid(b * input[i]);
                sum += upstream[i] * input[i] * input[i] * s * (1 - s);
            }
            GradSlot slot = beta.OpenGrad();
            slot.Span[0] = slot.Accumulate ? slot.Span[0] + (float)sum : (float)sum;
        }
    }

    private static float Sigmoid(float x) => 1 / (1 + MathF.Exp(-x));
}
