namespace Mamba.Core.Memory;

/// <summary>A weight in the form that a kernel reads. A frozen weight caches the form; otherwise it exists for one call.</summary>
internal readonly unsafe ref struct PackedWeight
{
    private readonly Buffer _buffer;
    private readonly bool _rented;

    private PackedWeight(Buffer buffer, bool rented) => (_buffer, _rented) = (buffer, rented);

    public float* Pointer => _buffer.Pointer;

    public static PackedWeight Of<TPacking>(Tensor weight, in TPacking packing)
        where TPacking : struct, IWeightPacking, IEquatable<TPacking>
    {
        if (weight.Forms is { } forms) return new PackedWeight(forms.Get(weight.Pointer, packing), rented: false);
        Buffer buffer = BufferPool.Rent(Shape.Checked(packing.Size, "PackedWeight", "a packed weight"));
        packing.Pack(weight.Pointer, buffer.Pointer);
        return new PackedWeight(buffer, rented: true);
    }

    public void Dispose()
    {
        if (_rented) BufferPool.Return(_buffer);
    }
}
