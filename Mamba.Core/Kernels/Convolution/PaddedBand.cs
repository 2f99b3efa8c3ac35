using Mamba.Core.Memory;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>The input rows under a band of output rows, copied with padding.</summary>
internal readonly unsafe ref struct PaddedBand
{
    // Full vectors may be loaded from the last pixel on, for any number of channels.
    private const int Slack = 16;

    /// <summary>Row stride of the copy.</summary>
    public readonly nint RowStride;
    private readonly Scratch _scratch;
    private readonly ConvShape _shape;

    public PaddedBand(in ConvShape s, int rows)
    {
        _shape = s;
        RowStride = ((s.OutWidth - 1) * (nint)s.StrideX + (s.KernelWidth - 1) * (nint)s.DilationX + 1) * s.CinGroup;
        _scratch = new Scratch(RowStride * ((rows - 1) * (nint)s.StrideY + (s.KernelHeight - 1) * (nint)s.DilationY + 1) + Slack);
    }

    public float* Pointer => _scratch.Pointer;

    /// <summary>Fills the copy for output rows [row, row + rows) of one image and group.</summary>
    public void Fill(float* x, nint image, nint group, int row, int rows)
    {
        int channels = _shape.CinGroup, width = (int)(RowStride / channels);
        int count = (rows - 1) * _shape.StrideY + (_shape.KernelHeight - 1) * _shape.DilationY + 1;
        int left = Math.Clamp(_shape.PaddingX, 0, width), firstX = left - _shape.PaddingX;
        int inside = Math.Clamp(Math.Min(width - left, _shape.Width - firstX), 0, width);
        for (int r = 0; r < count; r++)
        {
            Span<float> target = new(_scratch.Pointer + r * RowStride, (int)RowStride);
            int y = row * _shape.StrideY - _shape.PaddingY + r;
            if ((uint)y >= (uint)_shape.Height)
            {
                target.Clear();
                continue;
            }
            float* source = x + (((image * _shape.Height + y) * _shape.Width + firstX) * _shape.Cin) + group * channels;
            target[..(left * channels)].Clear();
            if (_shape.Groups == 1) new ReadOnlySpan<float>(source, inside * channels).CopyTo(target[(left * channels)..]);
            else
                for (int i = 0; i < inside; i++, source += _shape.Cin)
                    new ReadOnlySpan<float>(source, channels).CopyTo(target[((left + i) * channels)..]);
            target[((left + inside) * channels)..].Clear();
        }
    }

    public void Dispose() => _scratch.Dispose();
}
