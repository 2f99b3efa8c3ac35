using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;
using static Mamba.Tests.Models.NiftiSamples;

namespace Mamba.Tests.Models;

/// <summary>Volumes as slices: which voxels, which values, and masks that fit them.</summary>
internal sealed class SliceStackTests : FormatTest
{
    private static readonly double[] s_ramp = [.. Enumerable.Range(0, 24).Select(i => (double)i)]; // of 2 x 3 x 4

    [TestCase(SliceAxis.Z, 4, 3, 2, new[] { 6, 7, 8, 9, 10, 11 })]
    [TestCase(SliceAxis.Y, 3, 4, 2, new[] { 2, 3, 8, 9, 14, 15, 20, 21 })]
    [TestCase(SliceAxis.X, 2, 4, 3, new[] { 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23 })]
    public void A_volume_is_sliced_along_an_axis(SliceAxis axis, int count, int height, int width, int[] second)
    {
        string path = Folder.Write("a.nii.gz", Gzip(NiftiSamples.File(new Spec(), s_ramp)));
        SliceStack scan = SliceStack.Load(path, axis, Intensity.Window(0, 23)), mask = SliceStack.LoadMask(path, axis);
        Assert.That((scan.Count, scan.Height, scan.Width, scan.Shape), Is.EqualTo((count, height, width, "2 x 3 x 4")));
        Assert.That(SliceStack.CountSlices(path, axis), Is.EqualTo(count));
        Assert.That(scan.VoxelVolume, Is.EqualTo(0.5 * 0.75 * 3));
        Image slice = scan.Slice(1);
        Assert.That((slice.Width, slice.Height, slice.Channels), Is.EqualTo((width, height, 1)));
        Assert.That(slice.Samples16, Is.EqualTo(second.Select(v => (ushort)Math.Round(v / 23.0 * 65535))));
        Assert.That(mask.Mask(1).Values, Is.EqualTo(second));
        Assert.That(() => mask.Slice(0), Throws.InvalidOperationException);
    }

    [Test]
    public void A_mask_has_the_geometry_of_its_volume([Values] SliceAxis axis, [Values] bool big, [Values] bool second)
    {
        byte[] file = NiftiSamples.File(new Spec { Big = big, Second = second, Slope = 2, Intercept = -9 }, s_ramp);
        string path = Folder.Write("a.nii", file), written = Path.Combine(Folder.Root, "a_pred.nii");
        SliceStack scan = SliceStack.Load(path, axis, Intensity.Range), values = SliceStack.LoadMask(Folder.Write(
            "b.nii", NiftiSamples.File(new Spec { Big = big, Second = second }, s_ramp)), axis);
        scan.SaveMask(written, [.. Enumerable.Range(0, scan.Count).Select(i => Array.ConvertAll(values.Mask(i).Values, v => (byte)v))]);
        byte[] mask = System.IO.File.ReadAllBytes(written);
        int size = second ? 540 : 348;
        Assert.That(mask[(size + 4)..], Is.EqualTo(s_ramp.Select(v => (byte)v)), "each slice is at its place");
        // Type, bits, place of the values, slope, intercept, and the range for display are the mask's own.
        int[] own = second ? [.. Enumerable.Range(12, 4), .. Enumerable.Range(168, 40)] :
            [.. Enumerable.Range(70, 4), .. Enumerable.Range(108, 24)];
        int[] differ = [.. Enumerable.Range(0, size).Where(i => mask[i] != file[i])];
        Assert.That(differ, Is.Not.Empty.And.SubsetOf(own));
    }

    [Test]
    public void Percentiles_are_exact_for_any_floats()
    {
        RandomStream random = new(5, "volume");
        float[] values = [.. Enumerable.Range(0, 5000).Select(i => (float)((random.NextDouble() - 0.4) * Math.Pow(10, i % 9 - 4)))];
        float[] sorted = [.. values.Order()], with = [float.NaN, .. values, float.PositiveInfinity, float.NegativeInfinity];
        VolumeRange range = VolumeRange.Of(Intensity.Percentile(0.5, 99.5), with);
        Assert.That((range.Low, range.High), Is.EqualTo((Quantile(0.005), Quantile(0.995))));
        range = VolumeRange.Of(Intensity.Percentile(0, 100), with);
        Assert.That((range.Low, range.High), Is.EqualTo(((double)sorted[0], (double)sorted[^1])));
        Assert.That(VolumeRange.Of(Intensity.Range, with), Is.EqualTo(range));
        float[] odd = [float.NaN, float.NegativeInfinity, float.PositiveInfinity];
        Assert.That(odd.Select(range.Apply), Is.EqualTo(new ushort[] { 0, 0, 65535 }));

        double Quantile(double share)
        {
            double place = share * (sorted.Length - 1);
            int below = (int)place;
            return sorted[below] + (place - below) * ((double)sorted[below + 1] - sorted[below]);
        }
    }

    [Test]
    public void A_z_score_comes_back_through_the_normalization()
    {
        float[] values = [.. Enumerable.Range(0, 100).Select(i => i * 0.37f - 7)];
        VolumeRange range = VolumeRange.Of(Intensity.ZScore, values);
        Normalization normalization = VolumeRange.ZScores(1);
        double mean = values.Average(v => (double)v), deviation = Math.Sqrt(values.Average(v => (v - mean) * (v - mean)));
        foreach (float value in values)
            Assert.That(
                (range.Apply(value) / 65535f - normalization.Mean[0]) / normalization.Std[0],
                Is.EqualTo((value - mean) / deviation).Within(16.0 / 65535));
        Assert.That(VolumeRange.Of(Intensity.ZScore, [3, 3, 3]).Apply(3), Is.EqualTo(32768), "a flat volume is at its mean");
    }

    [Test]
    public void Values_without_an_intensity_are_those_of_8_bits()
    {
        Assert.That(VolumeRange.Of(Intensity.None, [0, 255]), Is.EqualTo(new VolumeRange(0, 255)));
        string path = Folder.Write("ct.nii", NiftiSamples.File(new Spec { Intercept = -1024, Slope = 1 }, s_ramp));
        Assert.That(
            () => SliceStack.Load(path, SliceAxis.Z, Intensity.None),
            Throws.TypeOf<ImageException>().With.Message.StartsWith(
                $"{path}: values from -1024 to -1001, and intensity none is for 0 to 255; "));
    }

    [TestCase(0.5, "value 0.5 in slice 1 of the mask, row 1, column 0"), TestCase(-1, "value -1 in slice 1")]
    [TestCase(70000, "value 70000 in slice 1")]
    public void A_mask_has_whole_numbers(double value, string says)
    {
        double[] values = [.. s_ramp];
        values[8] = value;
        SliceStack mask = SliceStack.LoadMask(Folder.Write("a.nii", NiftiSamples.File(new Spec { Type = 64 }, values)), SliceAxis.Z);
        Assert.That(mask.Mask(0).Values, Has.Length.EqualTo(6));
        Assert.That(
            () => mask.Mask(1),
            Throws.TypeOf<ImageException>().With.Message.Contains(says).And.Message.Contains("expected whole numbers from 0 to 65535"));
    }

    [Test]
    public void Pages_of_a_tiff_are_slices()
    {
        byte[][] pages = [.. Enumerable.Range(0, 3).Select(p => Enumerable.Range(0, 35).Select(i => (byte)(50 * p + i)).ToArray())];
        string path = Folder.Write("a.tif", Pictures.TiffStack(7, 5, pages)), written = Path.Combine(Folder.Root, "a_pred.tif");
        SliceStack scan = SliceStack.Load(path, SliceAxis.Z, Intensity.Range), mask = SliceStack.LoadMask(path, SliceAxis.Z);
        Assert.That((scan.Count, scan.Shape, scan.VoxelVolume), Is.EqualTo((3, "7 x 5 x 3", (double?)null)));
        IEnumerable<ushort> expected = pages[1].Select(v => (ushort)MathF.Round(v / 134f * 65535));
        Assert.That(scan.Slice(1).Samples16, Is.EqualTo(expected).Within(1), "0 to 134 is all pages'");
        Assert.That(mask.Mask(2).Values, Is.EqualTo(pages[2].Select(v => (int)v)));
        scan.SaveMask(written, pages);
        Assert.That(ImageFile.LoadPages(written).Select(page => page.Pixels), Is.EqualTo(pages));
        string single = Folder.Write("b.tif", Pictures.TiffStack(7, 5, pages[..1]));
        Assert.That((SliceStack.IsStack(path), SliceStack.IsStack(single)), Is.EqualTo((true, false)));
        Assert.That(
            () => SliceStack.Load(path, SliceAxis.Y, Intensity.Range),
            Throws.TypeOf<ImageException>().With.Message.Contains("axis y; expected axis z"));
    }

    [Test]
    public void A_z_score_of_pages_is_that_of_all_of_them()
    {
        SliceStack scan = SliceStack.Load(Folder.Write("a.tif", Pictures.TiffStack(1, 1, [[0], [100]])), SliceAxis.Z, Intensity.ZScore);
        ushort[] samples = [scan.Slice(0).Samples16[0], scan.Slice(1).Samples16[0]];
        Assert.That(samples, Is.EqualTo(new ushort[] { 28672, 36863 }).Within(1), "-1 and 1 of -8 to 8");
    }

    [Test]
    public void Dicom_is_told_from_other_files()
    {
        byte[] file = [.. new byte[128], (byte)'D', (byte)'I', (byte)'C', (byte)'M', 2, 0];
        string path = Folder.Write("IM0001", file);
        Assert.That(DicomFile.IsDicom(path));
        Assert.That(DicomFile.FindFirst(Folder.Root), Is.EqualTo(path));
        Assert.That(DicomFile.IsDicom(Folder.Write("x", [1, 2, 3])), Is.False);
        Assert.That(() => ImageFile.Load(path), Throws.TypeOf<ImageException>().With.Message.Contains("dcm2niix"));
    }
}
