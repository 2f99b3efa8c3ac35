using System.Runtime.InteropServices;
using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Cli.Cluster.Training;

/// <summary>
/// All parameters and buffers of a model as one row of bytes, in the order of the model. So a node needs nothing but these to compute a
/// gradient, whatever it did before.
/// </summary>
internal sealed class WeightBytes
{
    /// <summary>
    /// Small enough that a received piece is no large object, whose memory only a full collection frees, and that a probe of the
    /// membership, which travels between pieces, does not wait; large enough that a message costs little beside its content.
    /// </summary>
    public const int PieceLength = 1 << 16;

    private readonly Tensor[] _tensors;

    /// <summary>The bytes of a model.</summary>
    /// <exception cref="ArgumentException">They are more than an array holds.</exception>
    public WeightBytes(ParameterStore parameters)
    {
        _tensors = [.. parameters.All.Select(p => p.Tensor)];
        long length = _tensors.Sum(t => (long)t.Count) * sizeof(float);
        if (length > Array.MaxLength) throw new ArgumentException($"the model has {length} bytes of weights; expected at most 2 GiB");
        Length = (int)length;
    }

    /// <summary>How many there are.</summary>
    public int Length { get; }

    /// <summary>The pieces of so many bytes; the last one may be shorter.</summary>
    public static int Pieces(int length) => (int)(((long)length + PieceLength - 1) / PieceLength);

    /// <summary>Copies the weights out, in pieces.</summary>
    /// <param name="pieces">Pieces of the same model, which are overwritten; null to make new ones.</param>
    public byte[][] Read(byte[][]? pieces)
    {
        pieces ??= [.. Enumerable.Range(0, Pieces(Length))
            .Select(i => new byte[Math.Min(PieceLength, Length - i * PieceLength)])];
        int at = 0;
        foreach (Tensor tensor in _tensors)
        {
            ReadOnlySpan<byte> rest = MemoryMarshal.AsBytes(tensor.Span);
            while (rest.Length > 0)
            {
                Span<byte> to = pieces[at / PieceLength].AsSpan(at % PieceLength);
                int count = Math.Min(to.Length, rest.Length);
                rest[..count].CopyTo(to);
                rest = rest[count..];
                at += count;
            }
        }
        return pieces;
    }

    /// <summary>Sets the weights.</summary>
    /// <param name="bytes">All of them.</param>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        foreach (Tensor tensor in _tensors)
        {
            Span<byte> to = MemoryMarshal.AsBytes(tensor.Span);
            bytes[..to.Length].CopyTo(to);
            bytes = bytes[to.Length..];
        }
    }
}
