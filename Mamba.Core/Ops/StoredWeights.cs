using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;

namespace Mamba.Core;

// Row-major weights of a frozen model, in float32 or in fewer bits.
public static unsafe partial class Ops
{
    /// <summary>Stores the rows of a frozen matrix in a format; its float32 memory is released unless that is the format.</summary>
    /// <exception cref="NonFiniteException">A number is NaN or infinite.</exception>
    /// <exception cref="InvalidOperationException">The weight has views, which would not follow.</exception>
    internal static void Store(string name, Tensor weight, WeightFormat format)
    {
        StoredWeight stored = weight.InRows(format);
        if (format != WeightFormat.Float32 && StoredRows.Encode(weight.Pointer, stored) is >= 0 and var row)
            throw new NonFiniteException($"row {row} of '{name}'", weight.Rows((int)row, 1));
        if (!weight.TryStore(stored))
            throw new InvalidOperationException($"Ops.Store: '{name}' has views, which would lose its memory.");
    }

    /// <summary>The product of <see cref="Linear"/> with a stored weight.</summary>
    private static void Multiply(Tensor x, Tensor weight, Tensor? bias, Tensor? residual, Tensor y)
    {
        int outputs = weight.Shape[0];
        StoredRows.Multiply(
            weight.Stored!, weight.FirstStoredRow, new RowProduct(y.Count / outputs, outputs, weight.Shape[1])
            {
                X = x.Pointer,
                Y = y.Pointer,
                Bias = bias.Pointer,
                Addend = residual.Pointer,
            });
        _ = Tape.Needs(x, weight, bias, residual); // keeps them reachable until here
    }

    /// <summary>Decodes rows of a weight that is stored in fewer bits.</summary>
    private static Tensor Decode(Tensor weight, Tensor places, Shape shape)
    {
        Tensor y = Tensor.Empty(shape);
        StoredRows.Decode(weight.Stored!, weight.FirstStoredRow, places.Count, (int*)places.Pointer, y.Pointer);
        _ = Tape.Needs(weight, places); // keeps them reachable until here
        return y;
    }
}
