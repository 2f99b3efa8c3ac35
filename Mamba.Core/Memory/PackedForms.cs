namespace Mamba.Core.Memory;

/// <summary>The packed forms of a frozen weight, each created on first use. Thread-safe.</summary>
/// <param name="inputs">The quantization of the weight's inputs; null for none.</param>
internal sealed unsafe class PackedForms(InputQuantization? inputs = null)
{
    private readonly Lock _gate = new();
    private Entry? _newest;

    /// <summary>The quantization of the weight's inputs; null if they are neither quantized nor observed.</summary>
    public InputQuantization? Inputs => inputs;

    public Buffer Get<TPacking>(float* source, in TPacking packing) where TPacking : struct, IWeightPacking, IEquatable<TPacking>
    {
        if (Find(source, packing) is { } ready) return ready;
        lock (_gate)
        {
            if (Find(source, packing) is { } meanwhile) return meanwhile;
            Buffer buffer = new(Shape.Checked(packing.Size, "PackedWeight", "a packed weight"));
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
        /// <summary>The address of the weight; views of it have other addresses.</summary>
        public nint Source { get; } = source;

        public Buffer Buffer { get; } = buffer;

        public Entry? Older { get; } = older;
    }

    private sealed class Entry<TPacking>(nint source, TPacking packing, Buffer buffer, Entry? older) : Entry(source, buffer, older)
    {
        public TPacking Packing { get; } = packing;
    }
}
