using System.Reflection;
using Mamba.Core;
using Mamba.Core.Memory;

namespace Mamba.Tests.Support;

/// <summary>
/// Holds a backward pass to the rule that it reads nothing but what it has saved, where it stands by then. The inputs are results whose
/// memory is given back after the forward pass (and filled with NaN) and whose values are computed again, elsewhere, for the steps that
/// saved them.
/// </summary>
internal static class RecomputedInputs
{
    // No size in a test is that large; on every 64-bit system addresses are.
    private const ulong SmallestAddress = 1ul << 32;

    /// <summary>
    /// Asserts that the gradients are, bit for bit, those that the inputs hold, which come from a backward pass over inputs that stayed.
    /// </summary>
    /// <param name="op">The operator.</param>
    /// <param name="inputs">Its inputs with their gradients; one may stand in several places.</param>
    /// <param name="cotangent">The weights of the operator's results.</param>
    public static void GiveTheSameGradients(Func<Tensor[], Tensor> op, Tensor[] inputs, float[] cotangent) =>
        GiveTheSameGradients(i => [op(i)], inputs, (y, _) => Tensor.From(cotangent, y.Shape.ToArray()));

    /// <inheritdoc cref="GiveTheSameGradients(Func{Tensor[], Tensor}, Tensor[], float[])"/>
    /// <param name="op">An operator of several results.</param>
    /// <param name="inputs">Its inputs with their gradients.</param>
    /// <param name="cotangent">The weights of a result, from the result and its number among those that take a gradient.</param>
    public static void GiveTheSameGradients(Func<Tensor[], Tensor[]> op, Tensor[] inputs, Func<Tensor, int, Tensor> cotangent)
    {
        float[]?[] expected = [.. inputs.Select(x => x.RequiresGrad ? x.Grad!.Value.Span.ToArray() : null)];
        foreach (Tensor input in inputs) input.ZeroGrad();
        using (Tape tape = new())
        {
            Tensor[] results;
            using (MemoryScope scope = new())
            {
                Dictionary<Tensor, Tensor> passing = [];
                foreach (Tensor x in inputs.Distinct()) passing[x] = x.RequiresGrad ? Recomputable(x) : x.Clone();
                results = [.. op([.. inputs.Select(x => passing[x])]).Where(y => y.NeedsGrad)];
                foreach (Tensor y in results) scope.Return(y);
            }
            foreach (object? context in Recording.Current!.Contexts)
                Assert.That(AddressIn(context), Is.Null, "a backward step keeps an address");
            if (results.Length > 0) tape.Backward(results, [.. results.Select(cotangent)]);
        }
        for (int i = 0; i < inputs.Length; i++)
            if (expected[i] is { } gradient)
                Assert.That(inputs[i].Grad!.Value.Span.SequenceEqual(gradient), $"gradient of input {i} with values computed again");
    }

    /// <summary>The same values, as the result of a step that can compute them again.</summary>
    private static Tensor Recomputable(Tensor x)
    {
        Tensor y = x.Clone();
        Tape.RecordRecomputable(
            y, x,
            static (step, dy) =>
            {
                GradSlot dx = step.Values.OpenGrad();
                if (dx.Accumulate) System.Numerics.Tensors.TensorPrimitives.Add(dx.Span, dy.Span, dx.Span);
                else dy.Span.CopyTo(dx.Span);
            },
            static (step, y) => step.Values.Span.CopyTo(y.Span),
            x);
        return y;
    }

    /// <summary>
    /// The field of a step's context, or of a value in it, that holds an address as a number; null if there is none. A ulong is a random
    /// key.
    /// </summary>
    private static string? AddressIn(object? value)
    {
        if (value is null || !value.GetType().IsValueType) return null;
        foreach (FieldInfo field in value.GetType().GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            object? of = field.GetValue(value);
            ulong number = of switch
            {
                nint signed => (ulong)signed,
                nuint unsigned => unsigned,
                long signed => (ulong)signed,
                _ => 0,
            };
            if (number >= SmallestAddress && number < ulong.MaxValue / 2) return $"{value.GetType().Name}.{field.Name}";
            if (!field.FieldType.IsPrimitive && AddressIn(of) is { } found) return found;
        }
        return null;
    }
}
