using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Samples;

/// <summary>
/// A recurrent model that sees one row at a time: a reading of a sensor's channels, or a row of an image. What it remembers of all rows
/// before has one size, however many they were.
/// </summary>
/// <param name="root">Where its parameters are.</param>
/// <param name="inputs">Values of a row.</param>
/// <param name="classes">Classes that each row is scored for.</param>
public sealed class RowReader(Scope root, int inputs, int classes)
{
    private static readonly MambaConfig s_config = new(DModel: 32);

    private readonly Linear _embed = new(root / "embed", inputs, s_config.DModel);
    private readonly LayerNorm _norm1 = new(root / "norm1", s_config.DModel), _norm2 = new(root / "norm2", s_config.DModel);
    private readonly MambaMixer _mamba1 = new(root / "mamba1", s_config), _mamba2 = new(root / "mamba2", s_config);
    private readonly Linear _head = new(root / "head", s_config.DModel, classes);

    /// <summary>A memory before the first row; each stream has its own.</summary>
    public (MambaState First, MambaState Second) Begin() => (new MambaState(1, s_config), new MambaState(1, s_config));

    /// <summary>Reads the next row.</summary>
    /// <param name="row">(1, inputs).</param>
    /// <param name="memory">What the model remembers; updated.</param>
    /// <returns>(1, classes): the scores after this row.</returns>
    public Tensor Step(Tensor row, (MambaState First, MambaState Second) memory)
    {
        using MemoryScope scope = new();
        Tensor x = _embed.Forward(row);
        x = Ops.Add(x, _mamba1.Step(_norm1.Forward(x), memory.First));
        x = Ops.Add(x, _mamba2.Step(_norm2.Forward(x), memory.Second));
        return scope.Return(_head.Forward(x));
    }

    /// <summary>Reads all rows at once: the same scores, as in training.</summary>
    /// <param name="rows">(1, L, inputs).</param>
    /// <returns>(1, L, classes).</returns>
    public Tensor Forward(Tensor rows)
    {
        Tensor x = _embed.Forward(rows);
        x = _mamba1.Forward(_norm1.Forward(x), x);
        x = _mamba2.Forward(_norm2.Forward(x), x);
        return _head.Forward(x);
    }
}
