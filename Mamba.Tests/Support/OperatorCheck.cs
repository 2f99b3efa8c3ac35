using Mamba.Core;
using Mamba.Core.Simd;

namespace Mamba.Tests.Support;

/// <summary>What holds for every operator.</summary>
internal static class OperatorCheck
{
    /// <summary>
    /// Compares an operator, at one vector width, with its naive version (<see cref="GradCheck"/>). Then compares results and gradients at
    /// four threads with those at one, bit for bit. Then compares the gradients of two uses with twice those of one.
    /// </summary>
    public static void Run(
        VectorWidth width, Func<Tensor[], Tensor> op, Func<double[][], double[]> naive, Tensor[] inputs, double tolerance =
            1e-5, params int[] frozen)
    {
        using IDisposable _ = Isa.Use(width);
        GradCheck.Check(op, naive, inputs, tolerance, frozen);

        for (int i = 0; i < inputs.Length; i++) inputs[i].RequiresGrad = !frozen.Contains(i);
        float[][] alone = WithThreads(1), together = WithThreads(4);
        for (int i = 0; i < alone.Length; i++)
            Assert.That(
                together[i].AsSpan().SequenceEqual(alone[i]), i == 0 ? "output at four threads" : $"gradient {i - 1} at four threads");

        float[][] twice = Gradients(op, inputs, uses: 2);
        for (int i = 1; i < twice.Length; i++)
            GradCheck.Close(Array.ConvertAll(alone[i], g => 2.0 * g), twice[i], tolerance, $"gradient {i - 1} of two uses");

        float[][] WithThreads(int threads)
        {
            using ThreadCount _ = new(threads);
            return Gradients(op, inputs, uses: 1);
        }
    }

    /// <summary>Asserts that an operator gives nothing for no images or rows, and that its inputs get gradients of zero.</summary>
    public static void IsEmpty(Func<Tensor[], Tensor> op, params Tensor[] inputs)
    {
        foreach (Tensor input in inputs) input.RequiresGrad = true;
        float[][] results = Gradients(op, inputs, uses: 1);
        Assert.That(results[0], Is.Empty);
        foreach (float[] gradient in results[1..]) Assert.That(gradient, Is.All.EqualTo(0f));
        foreach (Tensor input in inputs) input.RequiresGrad = false;
    }

    /// <summary>Asserts that a call is refused for an argument that is no tensor, by an exception that names the operator.</summary>
    public static void RefusesArgument(string name, Func<Tensor> call) =>
        Assert.That(call, Throws.InstanceOf<ArgumentException>().And.Not.InstanceOf<ShapeException>().And.Message.StartsWith(name + ": "));

    /// <summary>Asserts that a call is refused by the operator of this name.</summary>
    public static void Refuses(string name, Func<Tensor> call) =>
        Assert.That(
            call,
            Throws.TypeOf<ShapeException>().With.Property(nameof(ShapeException.Operator))
                .EqualTo(name).And.Message.StartsWith(name + ": "));

    /// <summary>
    /// The output and then the gradients of the inputs that require one. They do not change after the watch has called them complete.
    /// </summary>
    private static float[][] Gradients(Func<Tensor[], Tensor> op, Tensor[] inputs, int uses)
    {
        foreach (Tensor input in inputs) input.ZeroGrad();
        Tensor[] leaves = [.. inputs.Where(i => i.RequiresGrad)];
        float[]?[] complete = new float[]?[leaves.Length];
        GradientWatch watch = new(leaves, i => complete[i] = leaves[i].Grad?.Span.ToArray() ?? []);
        using Tape tape = new() { Watch = watch };
        Tensor[] outputs = [.. Enumerable.Range(0, uses).Select(_ => op(inputs))];
        float[] output = outputs[0].Span.ToArray();
        Tensor cotangent = Tensor.From(Numbers.Uniform(output.Length, seed: 991), outputs[0].Shape.ToArray());
        tape.Backward(outputs, [.. Enumerable.Repeat(cotangent, uses)]);
        for (int i = 0; i < leaves.Length; i++)
            Assert.That(complete[i], Is.Not.Null.And.EqualTo(leaves[i].Grad!.Value.Span.ToArray()), $"input {i} when it was complete");
        return [output, .. leaves.Select(i => i.Grad!.Value.Span.ToArray())];
    }
}
