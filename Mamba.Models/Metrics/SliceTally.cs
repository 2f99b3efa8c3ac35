using System.Runtime.InteropServices;
using Mamba.Models.Data;

namespace Mamba.Models.Metrics;

/// <summary>The slices of one volume, whose distances are measured when all are there.</summary>
/// <param name="first">Its first slice.</param>
internal sealed class SliceTally(MetricImage first)
{
    private readonly List<byte> _predicted = [], _truth = [];

    /// <summary>The volume.</summary>
    public string Group => first.Group!;

    /// <summary>Adds the next slice.</summary>
    public void Add(ReadOnlySpan<byte> predicted, ReadOnlySpan<byte> truth)
    {
        _predicted.AddRange(predicted);
        _truth.AddRange(truth);
    }

    /// <summary>The distance between the regions of a class; NaN where one is empty.</summary>
    public double Distance(byte of)
    {
        int plane = first.Height * first.Width;
        return Distance(
            CollectionsMarshal.AsSpan(_predicted), CollectionsMarshal.AsSpan(_truth), of,
            (_truth.Count / plane, first.Height, first.Width), first.Spacing!.Value);
    }

    /// <summary>The distance between the regions of a class, without the pixels that are ignored.</summary>
    public static double Distance(
        ReadOnlySpan<byte> predicted, ReadOnlySpan<byte> truth, byte of, (int, int, int) size, VoxelSpacing spacing)
    {
        byte[] one = new byte[truth.Length], other = new byte[truth.Length];
        for (int i = 0; i < truth.Length; i++)
        {
            one[i] = predicted[i] == of && truth[i] != LabelMap.Ignored ? (byte)1 : (byte)0;
            other[i] = truth[i] == of ? (byte)1 : (byte)0;
        }
        return HausdorffDistance.Measure(one, other, size, spacing);
    }
}
