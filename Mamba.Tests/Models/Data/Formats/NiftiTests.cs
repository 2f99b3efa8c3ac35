using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using static Mamba.Tests.Models.NiftiSamples;

namespace Mamba.Tests.Models;

internal sealed class NiftiTests : FormatTest
{
    private static readonly double[] s_ramp = [.. Enumerable.Range(0, 24).Select(i => (double)i)];

    [Test]
    public void Every_type_is_read_in_both_orders(
        [ValueSource(typeof(NiftiSamples), nameof(Types))] int type, [Values] bool big, [Values] bool second, [Values] bool packed)
    {
        bool signed = type is 256 or 4 or 8 or 16 or 64 or 1024, real = type is 16 or 64;
        double[] values = [.. s_ramp];
        values[1] = signed ? -100 : 200;
        if (type is not (2 or 256)) values[2] = signed ? -30_000 : 60_000;
        if (real) (values[3], values[4]) = (1.25e-3, 3.5e20);
        if (type is 8 or 768 or 1024 or 1280) values[5] = 2_000_000_000;
        if (type is 1024 or 1280) values[6] = 9e18;
        byte[] file = NiftiSamples.File(new Spec { Type = type, Big = big, Second = second }, values);
        Volume volume = NiftiFile.Load(Folder.Write("a.nii", packed ? Gzip(file) : file));
        Assert.That((volume.X, volume.Y, volume.Z, volume.Spacing), Is.EqualTo((2, 3, 4, (0.5f, 0.75f, 3f))));
        Assert.That(volume.Values, Is.EqualTo(values.Select(v => (float)v)));
    }

    [Test]
    public void Values_are_scaled_unless_the_slope_is_zero([Values] bool big, [Values] bool second)
    {
        Assert.That(Scaled(0.5, -1024, 8), Is.EqualTo(-1020f));
        Assert.That(Scaled(-2, 0, 8), Is.EqualTo(-16f));
        Assert.That(Scaled(0, 7, 8), Is.EqualTo(8f));
        Assert.That(Scaled(double.NaN, 7, 8), Is.EqualTo(8f));
        Refuses(new Spec { Slope = 1, Intercept = double.PositiveInfinity, Big = big, Second = second }, "intercept Infinity at byte");

        float Scaled(double slope, double intercept, double value)
        {
            byte[] file = NiftiSamples.File(
                new Spec { Slope = slope, Intercept = intercept, Big = big, Second = second, Dimensions = [1, 1, 9, 9, 9, 9, 9, 9] },
                value);
            Volume volume = NiftiFile.Load(Folder.Write("a.nii", file));
            Assert.That((volume.X, volume.Y, volume.Z), Is.EqualTo((1, 1, 1)), "dimensions beyond the first do not count");
            return volume.Values[0];
        }
    }

    [Test]
    public void Spacing_is_in_millimeters()
    {
        Assert.That(SpacingOf(1), Is.EqualTo((500f, 750f, 3000f)));
        Assert.That(SpacingOf(2 | 8), Is.EqualTo((0.5f, 0.75f, 3f)));
        Assert.That(SpacingOf(3), Is.EqualTo((0.0005f, 0.00075f, 0.003f)));
        Assert.That(SpacingOf(0, [-1, -0.5, 0.75, 0, 0, 0, 0, 0]), Is.EqualTo((0.5f, 0.75f, 1f)));
        Refuses(new Spec { Sizes = [1, double.NaN, 1, 1, 1, 1, 1, 1] }, "a voxel size of NaN at byte 80");

        (float, float, float) SpacingOf(int units, double[]? sizes = null)
        {
            Spec spec = new() { Units = units };
            return Read(NiftiSamples.File(sizes is null ? spec : spec with { Sizes = sizes }, s_ramp)).Spacing;
        }
    }

    [Test]
    public void Factors_or_else_a_quaternion_say_where_voxels_lie([Values] bool big, [Values] bool second)
    {
        double half = Math.Sqrt(0.5);
        double[] still = [0, 0, 0, -9, -8, -7, .. new double[12]], turned = [0, 0, half, -9, -8, -7, .. new double[12]];
        double[] factors = [.. new double[6], 2, 0, 0, 1, 0, 2, 0, 1, 0, 0, 2, 1];
        Spec spec = new() { Big = big, Second = second, Codes = (1, 0), Transformation = still };
        Lies(spec, 0.5, 0, 0, -9, 0, 0.75, 0, -8, 0, 0, 3, -7);
        Lies(spec with { Sizes = [-1, 0.5, 0.75, 3, 0, 0, 0, 0] }, 0.5, 0, 0, -9, 0, 0.75, 0, -8, 0, 0, -3, -7);
        Lies(spec with { Transformation = turned }, 0, -0.75, 0, -9, 0.5, 0, 0, -8, 0, 0, 3, -7);
        Lies(spec with { Codes = (1, 1), Transformation = factors }, 2, 0, 0, 1, 0, 2, 0, 1, 0, 0, 2, 1);
        Lies(spec with { Codes = (0, 1), Transformation = factors, Units = 1 }, [.. factors[6..].Select(factor => 1000 * factor)]);
        Assert.That(Header(spec with { Codes = (0, 0) }).Affine, Is.Null);
        factors[6] = double.NaN;
        Assert.That(Header(spec with { Codes = (1, 1), Transformation = factors }).Affine, Is.Null, "a NaN says nothing");

        static void Lies(Spec spec, params double[] affine) =>
            Assert.That(Header(spec).Affine, Is.EqualTo(affine).Within(1e-5));

        static NiftiHeader Header(Spec spec) => new(NiftiSamples.File(spec, s_ramp)[..(spec.Second ? 540 : 348)]);
    }

    [Test]
    public void Slices_are_cut_in_the_order_of_the_file_and_put_back()
    {
        Volume volume = Read(NiftiSamples.File(new Spec { Extensions = 5000 }, s_ramp)); // x + 2 y + 6 z
        Assert.That(volume.SliceSize(2), Is.EqualTo((3, 2)));
        Assert.That(volume.Slice(2, 1), Is.EqualTo(new float[] { 6, 7, 8, 9, 10, 11 }));
        Assert.That(volume.SliceSize(1), Is.EqualTo((4, 2)));
        Assert.That(volume.Slice(1, 2), Is.EqualTo(new float[] { 4, 5, 10, 11, 16, 17, 22, 23 }));
        Assert.That(volume.SliceSize(0), Is.EqualTo((4, 3)));
        Assert.That(volume.Slice(0, 1), Is.EqualTo(new float[] { 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23 }));
        for (int axis = 0; axis < 3; axis++)
        {
            byte[] classes = new byte[24];
            for (int i = 0; i < volume.Extent(axis); i++)
                volume.PutSlice(axis, i, Array.ConvertAll(volume.Slice(axis, i), v => (byte)v), classes);
            Assert.That(classes.Select(c => (float)c), Is.EqualTo(volume.Values));
        }
        Assert.That(() => volume.Slice(3, 0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => volume.SliceSize(-1), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => volume.Slice(0, 2), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => volume.PutSlice(0, 0, new byte[11], new byte[24]), Throws.ArgumentException);
        Assert.That(() => new Volume(2, 2, 2, default, new float[7]), Throws.ArgumentException);
    }

    [Test]
    public void A_mask_repeats_the_geometry([Values] bool big, [Values] bool second, [Values] bool packed)
    {
        byte[] file = NiftiSamples.File(
            new Spec { Big = big, Second = second, Type = 16, Slope = 3, Intercept = 5, Extensions = 64 }, s_ramp);
        Volume volume = Read(file);
        byte[] classes = [.. Enumerable.Range(0, 24).Select(i => (byte)(i % 5))];
        string path = Path.Combine(Folder.Root, packed ? "mask.nii.gz" : "mask.nii");
        NiftiFile.Save(path, volume, classes);
        Volume mask = NiftiFile.Load(path);
        Assert.That(mask.Values, Is.EqualTo(classes.Select(c => (float)c)));
        Assert.That((mask.X, mask.Y, mask.Z, mask.Spacing), Is.EqualTo((volume.X, volume.Y, volume.Z, volume.Spacing)));
        // The same as the mask's own file would be, written by hand: geometry and description stay, the range for display does not.
        byte[] expected = NiftiSamples.File(
            new Spec { Big = big, Second = second, Type = 2, Slope = 1 }, [.. classes.Select(c => (double)c)]);
        (int bits, int display, int width) = second ? (14, 192, 8) : (72, 124, 4);
        expected[big ? bits + 1 : bits] = 8;
        expected.AsSpan(display, width).Clear();
        byte[] written = System.IO.File.ReadAllBytes(path);
        if (packed) Assert.That(written.AsSpan(0, 2).ToArray(), Is.EqualTo(new byte[] { 0x1F, 0x8B }));
        else Assert.That(written, Is.EqualTo(expected));
        Assert.That(mask.Header, Is.EqualTo(expected[..(second ? 540 : 348)]));
    }

    [Test]
    public void A_volume_without_a_file_can_be_saved_too()
    {
        string path = Path.Combine(Folder.Root, "mask.nii");
        NiftiFile.Save(path, new Volume(2, 1, 3, (1.5f, 2, 3), new float[6]), new byte[] { 1, 2, 3, 4, 5, 6 });
        Volume read = NiftiFile.Load(path);
        Assert.That((read.X, read.Y, read.Z, read.Spacing), Is.EqualTo((2, 1, 3, (1.5f, 2f, 3f))));
        Assert.That(read.Values, Is.EqualTo(new float[] { 1, 2, 3, 4, 5, 6 }));
        Assert.That(
            () => NiftiFile.Save(path, read, new byte[5]), Throws.ArgumentException.With.Message.Contains("5 classes for 2 x 1 x 3"));
        Assert.That(() => NiftiFile.Save(path + ".png", read, new byte[6]), Throws.ArgumentException.With.Message.Contains(".nii.gz"));
        Assert.That(
            () => NiftiFile.Save(path, new Volume(40_000, 1, 1, (1, 1, 1), new float[40_000]), new byte[40_000]),
            Throws.ArgumentException.With.Message.Contains("at most 32767"));
        Assert.That(
            () => NiftiFile.Save(Path.Combine(Folder.Root, "none", "mask.nii"), read, new byte[6]), Throws.TypeOf<CheckpointException>());
    }

    [Test]
    public void Files_of_other_kinds_are_refused_with_words()
    {
        Refuses(new Spec { Magic = "ni1\0" }, ".hdr and .img");
        Refuses(new Spec { Second = true, Magic = "ni2\0\r\n\u001a\n" }, ".hdr and .img");
        Refuses(new Spec { Magic = "\0\0\0\0" }, "magic '00000000' at byte 344");
        Refuses(new Spec { Type = 128 }, "datatype 128 (colors) at byte 70");
        Refuses(new Spec { Type = 32, Second = true }, "datatype 32 (complex numbers) at byte 12");
        Refuses(new Spec { Type = 99 }, "datatype 99 (unknown)");
        Refuses(new Spec { Dimensions = [4, 2, 3, 4, 5, 1, 1, 1] }, "a series of 5 volumes (2 x 3 x 4 x 5); expected one");
        Refuses(new Spec { Dimensions = [5, 2, 3, 2, 1, 3, 1, 1] }, "a series of 3 volumes");
        Assert.That(Read(NiftiSamples.File(new Spec { Dimensions = [4, 2, 3, 4, 1, 9, 9, 9] }, s_ramp)).Z, Is.EqualTo(4));
        Assert.That(() => NiftiFile.Load(Folder.Write("a.hdr", [1])), Throws.TypeOf<ImageException>().With.Message.Contains(".nii"));
        Assert.That(
            () => NiftiFile.Load(Path.Combine(Folder.Root, "none.nii")),
            Throws.TypeOf<ImageException>().With.Message.Contains("none.nii"));
        Assert.That(NiftiFile.IsNifti("a/b.NII.gz") && NiftiFile.IsNifti("b.nii") && !NiftiFile.IsNifti("b.gz"));
    }

    [Test]
    public void Damaged_headers_are_refused_before_memory_is_taken([Values] bool second)
    {
        Spec spec = new() { Second = second };
        long huge = second ? 1L << 40 : short.MaxValue;
        string at(int first, int other) => $"at byte {(second ? other : first)}";
        Refuses(spec with { Dimensions = [0, 2, 3, 4, 1, 1, 1, 1] }, $"0 dimensions {at(40, 16)}");
        Refuses(spec with { Dimensions = [8, 2, 3, 4, 1, 1, 1, 1] }, $"8 dimensions {at(40, 16)}");
        Refuses(spec with { Dimensions = [3, 2, 0, 4, 1, 1, 1, 1] }, $"extent 0 of dimension 2 {at(44, 32)}");
        Refuses(spec with { Dimensions = [3, 2, 3, -4, 1, 1, 1, 1] }, $"extent -4 of dimension 3 {at(46, 40)}");
        Refuses(spec with { Dimensions = [3, huge, huge, huge, 1, 1, 1, 1] }, $"extent {huge} of dimension {(second ? 1 : 2)}");
        Refuses(spec with { Dimensions = [2, 8000, 8000, 1, 1, 1, 1, 1] }, "expected the last voxel before byte 12800");
        Refuses(spec with { Start = second ? 500 : 300 }, $"voxels from byte {(second ? 500 : 300)}");
        Refuses(spec with { Start = 1e9 }, "voxels from byte 1000000000");
        Refuses(spec with { Start = 1e6 }, "expected the last voxel before byte 1000048");
        if (!second) Refuses(spec with { Start = double.NaN }, "voxels from byte NaN");
        if (!second) Refuses(spec with { Start = 352.5 }, "voxels from byte 352.5");
        Assert.That(Read(NiftiSamples.File(spec with { Start = 0 }, s_ramp)).Values[23], Is.EqualTo(23));
    }

    [Test]
    public void Files_cut_anywhere_are_refused([Values] bool second, [Values] bool packed)
    {
        byte[] whole = NiftiSamples.File(new Spec { Second = second }, s_ramp);
        if (packed) whole = Gzip(whole);
        int checksum = packed ? 12 : 0; // all voxels may be there before the packed file ends
        for (int length = 0; length < whole.Length - checksum; length += length < whole.Length - 60 ? 7 : 1)
            Assert.That(() => Read(whole[..length]), Throws.TypeOf<ImageException>().With.Message.StartsWith("file: "), $"{length}");
        Assert.That(Read(whole).Values, Is.EqualTo(s_ramp.Select(v => (float)v)));
        if (!packed) return;
        byte[] wrong = [.. whole];
        wrong[^6] ^= 1; // the checksum
        Assert.That(() => Read(wrong), Throws.TypeOf<ImageException>());
    }

    [Test]
    public void A_packed_file_takes_no_more_memory_than_it_holds()
    {
        byte[] liar = Gzip(NiftiSamples.File(new Spec { Dimensions = [3, 8000, 8000, 4, 1, 1, 1, 1] }, s_ramp)),
            bomb = Gzip([.. NiftiSamples.File(new Spec(), s_ramp), .. new byte[80_000_000]]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(
            () => Read(liar),
            Throws.TypeOf<ImageException>().With.Message.Contains("ends at byte 400; expected the last voxel before byte 512000352"));
        Assert.That(
            () => Read(bomb), Throws.TypeOf<ImageException>().With.Message.Contains("continues for more than"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(5_000_000));
        Assert.That(Read([.. NiftiSamples.File(new Spec(), s_ramp), 0, 0]).Values[23], Is.EqualTo(23), "a few bytes behind the voxels");
        double[] many = [.. Enumerable.Range(0, 3 << 18).Select(i => (double)(i % 30_000))];
        Volume large = Read(Gzip(NiftiSamples.File(new Spec { Dimensions = [3, 3, 1 << 10, 1 << 8, 1, 1, 1, 1] }, many)));
        Assert.That(large.Values, Is.EqualTo(many.Select(v => (float)v)));
    }

    [Test]
    public void Reading_can_be_stopped()
    {
        string path = Folder.Write("a.nii", NiftiSamples.File(new Spec(), s_ramp));
        Assert.That(() => NiftiFile.Load(path, new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
    }

    private static Volume Read(byte[] file) => NiftiFile.Read("file", new MemoryStream(file, writable: false));

    private static void Refuses(Spec spec, string says) => Assert.That(
        () => Read(NiftiSamples.File(spec, s_ramp)),
        Throws.TypeOf<ImageException>().With.Message.StartsWith("file: ").And.Message.Contains(says));
}
