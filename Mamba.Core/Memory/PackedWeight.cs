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
        if (weight.Forms is { } forms) return new PackedWeight(forms.Get(weight, packing), rented: false);
        Buffer buffer = BufferPool.Rent(Check.Size(packing.Size, "PackedWeight", "a packed weight"));
        packing.Pack(weight.Pointer, buffer.Pointer);
        return new PackedWeight(buffer, rented: true);
    }

    public void Dispose()
    {
        if (_rented) BufferPool.Return(_buffer);
    }
}

/// <summary>The packed forms of a frozen weight, each made on first use. Safe to use from several threads.</summary>
internal sealed unsafe class PackedForms
{
    private readonly Lock _gate = new();
    private Entry? _newest;

    public Buffer Get<TPacking>(Tensor weight, in TPacking packing) where TPacking : struct, IWeightPacking, IEquatable<TPacking>
    {
        float* source = weight.Pointer;
        if (Find(source, packing) is { } ready) return ready;
        lock (_gate)
        {
            if (Find(source, packing) is { } meanwhile) return meanwhile;
            Buffer buffer = new(Check.Size(packing.Size, "PackedWeight", "a packed weight"));
            packing.Pack(source, buffer.Pointer);
            Volatile.Write(ref _newest, new Entry<TPacking>((nint)source, packing, buffer, _newest));
            return buffer;
        }
    }

    private Buffer? Find<TPacking>(float* source, in TPacking packing) where TPacking : struct, IWeightPacking, IEquatable<TPacking>
    {
        for (Entry? entry = Volatile.Read(ref _newest); entry is not null; entry = entry.Older)
            if (entry.Source == (nint)source && entry is Entry<TPacking> same && same.Packing.Equals(packing)) return entry.Buffer;
        return null;
    }

    private abstract class Entry(nint source, Buffer buffer, Entry? older)
    {
        /// <summary>The address of the weight: views of it have others.</summary>
        public nint Source { get; } = source;

        public Buffer Buffer { get; } = buffer;

        public Entry? Older { get; } = older;
    }

    private sealed class Entry<TPacking>(nint source, TPacking packing, Buffer buffer, Entry? older) : Entry(source, buffer, older)
    {
        public TPacking Packing { get; } = packing;
    }
}
