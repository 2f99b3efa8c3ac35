using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// The input rows under a band of output rows, channel by channel: row r, channel c starts at Pointer + (r Cin + c) Stride.
/// </summary>
internal readonly unsafe ref struct PlanarBand
{
    /// <summary>Row stride of one channel in floats: rounded up to full steps, so that the last step reads zeros past the image.</summary>
    public readonly nint Stride;
    private readonly Scratch _scratch, _offsets;
    private readonly ConvShape _shape;

    /// <param name="s">The convolution.</param>
    /// <param name="rows">Output rows of the band.</param>
    /// <param name="step">Pixels computed per step.</param>
    /// <param name="channelsFirst">Whether weights are in the order (ci, ky, kx), not (ky, kx, ci).</param>
    public PlanarBand(in ConvShape s, int rows, nint step, bool channelsFirst = true)
    {
        _shape = s;
        nint reachX = (s.KernelWidth - 1) * (nint)s.DilationX, reachY = (s.KernelHeight - 1) * (nint)s.DilationY;
        Stride = Launch.CeilDiv(s.OutWidth, step) * step + reachX;
        // A transpose block writes up to three rows past the last one.
        _scratch = new Scratch(((rows + reachY) * s.Cin + Transpose.Side - 1) * Stride);
        _offsets = new Scratch(s.Depth);
        for (int ci = 0, i = 0; ci < s.Cin; ci++)
            for (int ky = 0; ky < s.KernelHeight; ky++)
                for (int kx = 0; kx < s.KernelWidth; kx++, i++)
                    Offsets[channelsFirst ? i : (ky * s.KernelWidth + kx) * s.Cin + ci] =
                        (int)(((nint)ky * s.DilationY * s.Cin + ci) * Stride) + kx * s.DilationX;
    }

    public float* Pointer => _scratch.Pointer;

    /// <summary>The offset of the input of each weight from the output pixel.</summary>
    public int* Offsets => (int*)_offsets.Pointer;

    /// <summary>Copies the input of output rows [row, row + rows) of an image.</summary>
    public void Fill(float* x, nint image, int row, int rows)
    {
        int count = rows + (_shape.KernelHeight - 1) * _shape.DilationY;
        nint channels = _shape.Cin, width = _shape.Width;
        // In order: the last blocks of a row overwrite the start of the next row, which is written afterwards.
        for (int r = 0; r < count; r++)
        {
            int y = row - _shape.PaddingY + r;
            float* target = Pointer + r * channels * Stride;
            if ((uint)y >= (uint)_shape.Height)
            {
                Clear(target, channels * Stride);
                continue;
            }
            for (nint c = 0; c < channels; c++)
            {
                Clear(target + c * Stride, _shape.PaddingX);
                Clear(target + c * Stride + _shape.PaddingX + width, Stride - _shape.PaddingX - width);
            }
            Split(x + (image * _shape.Height + y) * width * channels, target + _shape.PaddingX);
        }
    }

    /// <summary>
    /// Splits one row of pixels by channel. A block with fewer than four channels left reads into the next pixel; the surplus is
    /// overwritten.
    /// </summary>
    private void Split(float* pixels, float* planes)
    {
        nint channels = _shape.Cin, width = _shape.Width, i = 0, reach = Math.Max(channels, Transpose.Side) - channels;
        if (channels == 1)
        {
            new ReadOnlySpan<float>(pixels, (int)width).CopyTo(new Span<float>(planes, (int)width));
            return;
        }
        nint whole = channels - channels % Transpose.Side;
        if (channels < Transpose.Side)
            for (; (i + Transpose.Side) * channels + reach <= width * channels; i += Transpose.Side)
                Transpose.Block(pixels + i * channels, channels, planes + i, Stride);
        else
            for (; i <= width - Transpose.Side; i += Transpose.Side)
            {
                for (nint c = 0; c < whole; c += Transpose.Side)
                    Transpose.Block(pixels + i * channels + c, channels, planes + c * Stride + i, Stride);
                for (nint c = whole; c < channels; c++)
                    for (nint k = i; k < i + Transpose.Side; k++) planes[c * Stride + k] = pixels[k * channels + c];
            }
        for (; i < width; i++)
            for (nint c = 0; c < channels; c++) planes[c * Stride + i] = pixels[i * channels + c];
    }

    private static void Clear(float* p, nint count)
    {
        if (count > 0) new Span<float>(p, (int)count).Clear(); // at most the scratch, which is an array
    }

    public void Dispose()
    {
        _scratch.Dispose();
        _offsets.Dispose();
    }
}
