using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Volumes in folders, as strangers put them.</summary>
internal sealed class VolumeFolderTests
{
    /// <summary>No quaternion; voxels of 0.5 x 0.75 x 3 mm whose axes point to the right, the front and the top.</summary>
    private static readonly double[] s_place = [0, 0, 0, 0, 0, 0, 0.5, 0, 0, -9, 0, 0.75, 0, -8, 0, 0, 3, -7];

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [TestCase("a.nii a_mask.nii b.nii.gz b_mask.nii.gz", "a b"), TestCase("a.nii.gz a_seg.nii.gz", "a")]
    [TestCase("images/a.nii masks/a.nii.gz", "a"), TestCase("imagesTr/a_0000.nii.gz labelsTr/a.nii.gz", "Train/a_0000")]
    [TestCase("p1/ct.nii p1/ct_mask.nii p2/ct.nii p2/ct_mask.nii", "p1/ct p2/ct")]
    public void Volumes_and_masks_are_found(string files, string volumes)
    {
        Write(files);
        VolumeFolder data = Open();
        Assert.That(data.Count, Is.EqualTo(volumes.Split(' ').Length * Volumes.Z));
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Volume).Distinct(), Is.EqualTo(volumes.Split(' ')));
        Assert.That(data.Name(2), Is.EqualTo($"{data.Volume(0)}/002"));
        Assert.That(data.Labels, Is.EqualTo(new[] { "lesion" }));
        SegmentationSample sample = data.Load(2);
        Image image = sample.Image;
        Assert.That((image.Width, image.Height, image.Channels, image.Is16Bit), Is.EqualTo((Volumes.X, Volumes.Y, 1, true)));
        Assert.That(sample.Mask.Classes.Sum(c => c), Is.EqualTo(7 * 7));
        int i = Array.IndexOf(sample.Mask.Classes, (byte)1);
        Assert.That(image.Samples16[i], Is.GreaterThan(50_000), "the block is bright in the picture, too");
        Assert.That(data.Load(0).Mask.Classes, Is.All.Zero);
    }

    [Test]
    public void Official_splits_and_labels_of_nnUnet_are_used()
    {
        Write("imagesTr/a_0000.nii.gz labelsTr/a.nii.gz imagesTs/b_0000.nii.gz labelsTs/b.nii.gz");
        _folder.Write("dataset.json", """{"labels": {"background": 0, "tumour": 1}}"""u8.ToArray());
        VolumeFolder data = Open();
        Assert.That(data.Labels, Is.EqualTo(new[] { "tumour" }));
        Assert.That(
            Enumerable.Range(0, data.Count).Select(data.Part),
            Is.EqualTo(Enumerable.Repeat<SplitPart?>(SplitPart.Test, 6).Concat(Enumerable.Repeat<SplitPart?>(SplitPart.Train, 6)))
                .Or.EqualTo(Enumerable.Repeat<SplitPart?>(SplitPart.Train, 6).Concat(Enumerable.Repeat<SplitPart?>(SplitPart.Test, 6))));
    }

    [Test]
    public void Slices_of_a_volume_are_never_in_two_parts([Values] SliceAxis axis, [Values(0, 1, 2)] int seed)
    {
        Write(string.Join(' ', Enumerable.Range(0, 9).Select(i => $"v{i}.nii v{i}_mask.nii")));
        VolumeFolder data = Open(new DataOptions { Axis = axis });
        data.ReadMasks([.. Enumerable.Range(0, data.Count)]);
        Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Patient, Seed = (ulong)seed });
        int[][] parts = [split.Train, split.Val, split.Test];
        Assert.That(parts.Sum(part => part.Select(data.Volume).Distinct().Count()), Is.EqualTo(9), "each volume is in one part");
        Assert.That(split[SplitPart.All], Has.Length.EqualTo(data.Count));
    }

    [Test]
    public void The_outermost_folder_that_varies_is_the_patient()
    {
        Write("p1/t0.nii p1/t0_mask.nii p1/t1.nii p1/t1_mask.nii p2/t0.nii p2/t0_mask.nii");
        VolumeFolder data = Open();
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Patient).Distinct(), Is.EqualTo(new[] { "p1", "p2" }));
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Volume).Distinct().Count(), Is.EqualTo(3));
        string table = _folder.Write("patients.csv", "t0.nii,me\np1/t1,you"u8.ToArray());
        data = Open(new DataOptions { Patients = table });
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Patient).Distinct(), Is.EqualTo(new[] { "me", "you" }));
    }

    [Test]
    public void Slices_along_another_axis_are_other_samples()
    {
        Write("a.nii a_mask.nii");
        IImageFolder z = Open(), x = Open(new DataOptions { Axis = SliceAxis.X });
        Assert.That((z.Count, x.Count), Is.EqualTo((Volumes.Z, Volumes.X)));
        Assert.That((z.Name(1), x.Name(1)), Is.EqualTo(("a/001", "a/x001")));
        Assert.That(z.Fingerprint(1), Is.EqualTo($"a/001\n{new FileInfo(z.ImagePath(1)).Length}").And.Not.EqualTo(x.Fingerprint(1)));
        Assert.That((x.Load(5).Image.Width, x.Load(5).Image.Height), Is.EqualTo((Volumes.Y, Volumes.Z)));
    }

    [Test]
    public void Slices_are_the_same_on_many_threads_and_after_some_are_left_out()
    {
        Write("a.nii a_mask.nii b.nii.gz b_mask.nii.gz c.nii.gz c_mask.nii.gz");
        VolumeFolder data = Open(), other = Open();
        ushort[][] serial = [.. Enumerable.Range(0, data.Count).Select(i => data.Load(i).Image.Samples16)];
        ushort[][] parallel = new ushort[data.Count][];
        Parallel.For(0, data.Count, i => parallel[i] = other.Load(data.Count - 1 - i).Image.Samples16);
        Assert.That(parallel.Reverse(), Is.EqualTo(serial));
        IImageFolder rest = data.Without(new HashSet<int> { 0, 7 });
        Assert.That((rest.Count, rest.Name(0), rest.Name(6)), Is.EqualTo((data.Count - 2, "a/001", "b/002")));
        Assert.That(rest.Load(6).Image.Samples16, Is.EqualTo(serial[8]));
    }

    [Test]
    public void A_volume_is_unpacked_once_and_kept_within_a_budget()
    {
        string[] paths = [.. "abc".Select(name => _folder.Write($"{name}.nii", Volumes.Scan(name)))];
        List<string> loaded = [];
        StackCache cache = new(2 * 4 * Volumes.X * Volumes.Y * Volumes.Z);
        foreach (int i in new[] { 0, 0, 1, 0, 2, 0, 2, 1 }) cache.Get(paths[i], Load);
        IEnumerable<string> names = loaded.Select(path => Path.GetFileName(path));
        Assert.That(names, Is.EqualTo(new[] { "a.nii", "b.nii", "c.nii", "b.nii" }), "b was the oldest when c came");

        SliceStack Load(string path)
        {
            loaded.Add(path);
            return SliceStack.LoadMask(path, SliceAxis.Z);
        }
    }

    [Test]
    public void Extents_of_volume_and_mask_must_be_equal()
    {
        Write("a.nii a_mask.nii");
        double[] small = [.. Enumerable.Range(0, 24).Select(i => (double)(i % 2))];
        _folder.Write("a_mask.nii", NiftiSamples.File(new NiftiSamples.Spec { Type = 2 }, small));
        VolumeFolder data = Open(new DataOptions { Axis = SliceAxis.Z });
        data.ReadMasks([0]);
        Assert.That(() => data.Load(0), Throws.TypeOf<DatasetException>().With.Message.Contains("a.nii is 16 x 20 x 6, but ")
            .And.Message.Contains("a_mask.nii 2 x 3 x 4; expected equal extents"));
    }

    [Test]
    public void A_mask_that_ends_before_its_scan_is_refused_like_one_of_another_extent([Values] SliceAxis axis)
    {
        Write("a.nii a_mask.nii b.nii b_mask.nii");
        long[] smaller = axis switch
        {
            SliceAxis.X => [3, Volumes.X - 1, Volumes.Y, Volumes.Z, 1, 1, 1, 1],
            SliceAxis.Y => [3, Volumes.X, Volumes.Y - 1, Volumes.Z, 1, 1, 1, 1],
            _ => [3, Volumes.X, Volumes.Y, Volumes.Z - 1, 1, 1, 1, 1],
        };
        double[] values = [.. Enumerable.Range(0, (int)(smaller[1] * smaller[2] * smaller[3])).Select(i => (double)(i % 2))];
        _folder.Write("a_mask.nii", NiftiSamples.File(new NiftiSamples.Spec { Type = 2, Dimensions = smaller }, values));
        VolumeFolder data = Open(new DataOptions { Axis = axis });
        int[] all = [.. Enumerable.Range(0, data.Count)];
        data.ReadMasks(all);
        Assert.That(data.Stratum(data.Count / 2 - 1), Is.Null, "the last slice of a has no mask");
        foreach (int slice in new[] { 0, data.Count / 2 - 1 })
            Assert.That(() => data.Load(slice), Throws.TypeOf<DatasetException>().With.Message.Contains("expected equal extents"));
        string says = $"{data.Count / 2} of {data.Count} images cannot be used, the first: ";
        Assert.That(
            () => DataSurvey.Of(data, all, OnBadImage.Fail), Throws.TypeOf<DatasetException>().With.Message.Contains(says));
    }

    [Test]
    public void A_mask_of_another_spacing_than_its_scan_is_refused()
    {
        NiftiSamples.Spec scan = new() { Codes = (0, 0) };
        WritePlaced("a", scan, scan with { Sizes = [1, 0.5, 0.75, 2.5, 0, 0, 0, 0] });
        Assert.That(() => Open().Load(0), Throws.TypeOf<DatasetException>()
            .With.Message.Contains("a.nii has voxels of 0.5 x 0.75 x 3 mm, but ")
            .And.Message.Contains("a_mask.nii 0.5 x 0.75 x 2.5 mm; expected one spacing. Resample the mask to the scan"));
    }

    [Test]
    public void Masks_whose_axes_point_elsewhere_are_told_in_one_note()
    {
        double[] mirrored = [.. s_place], turned = [.. s_place];
        mirrored[6] = -0.5;
        (turned[6], turned[7], turned[10], turned[11]) = (0, 0.75, 0.5, 0);
        WritePlaced("a", new NiftiSamples.Spec { Transformation = s_place }, new NiftiSamples.Spec { Transformation = mirrored });
        WritePlaced("b", new NiftiSamples.Spec { Transformation = s_place }, new NiftiSamples.Spec { Transformation = turned });
        VolumeFolder data = Open();
        for (int i = 0; i < data.Count; i++) data.Load(i);
        Assert.That(data.Notes, Is.EqualTo(new[]
        {
            "2 files, the first a_mask.nii: its axes point elsewhere than those of its scan: "
                + "0.5 x 0.75 x 3 mm, LAS [-0.5 0 0 -9; 0 0.75 0 -8; 0 0 3 -7], "
                + "the scan 0.5 x 0.75 x 3 mm, RAS [0.5 0 0 -9; 0 0.75 0 -8; 0 0 3 -7]; it is laid on the scan voxel by voxel",
        }));
    }

    [TestCase(1), TestCase(-1)]
    public void A_mask_that_says_no_geometry_is_taken_with_a_note(int sign)
    {
        NiftiSamples.Spec scan = new() { Transformation = s_place }, mask = new()
        {
            Sizes = [1, 1, 1, 1, 0, 0, 0, 0],
            Transformation = [0, 0, 0, 0, 0, 0, sign, 0, 0, 0, 0, sign, 0, 0, 0, 0, 1, 0],
        };
        WritePlaced("a", scan, mask);
        WritePlaced("b", scan, mask with { Codes = (0, 0) });
        VolumeFolder data = Open();
        for (int i = 0; i < data.Count; i++) data.Load(i);
        Assert.That(
            data.Notes.Single(),
            Does.StartWith("2 files, the first a_mask.nii: this mask or its scan says neither spacing nor place: 1 x 1 x 1 mm"));
    }

    [Test]
    public void A_mask_that_says_no_place_is_taken_and_one_elsewhere_is_told()
    {
        double[] near = [.. s_place], far = [.. s_place];
        near[9] = -9.0005;
        far[9] = -5;
        WritePlaced("a", new NiftiSamples.Spec { Transformation = s_place }, new NiftiSamples.Spec { Codes = (0, 0) });
        WritePlaced("b", new NiftiSamples.Spec { Transformation = s_place }, new NiftiSamples.Spec { Transformation = near });
        VolumeFolder data = Open();
        for (int i = 0; i < data.Count; i++) data.Load(i);
        Assert.That(data.Notes, Is.Empty);
        WritePlaced("b", new NiftiSamples.Spec { Transformation = s_place }, new NiftiSamples.Spec { Transformation = far });
        data = Open();
        for (int i = 0; i < data.Count; i++) data.Load(i);
        Assert.That(data.Notes.Single(), Does.StartWith(
            "b_mask.nii: it lies elsewhere than its scan: 0.5 x 0.75 x 3 mm, RAS [0.5 0 0 -5; "));
        Assert.That(data.Without(new HashSet<int> { 0 }).Notes, Is.EqualTo(data.Notes));
    }

    [Test]
    public void Volumes_of_mixed_orientation_are_told()
    {
        double[] mirrored = [.. s_place];
        mirrored[6] = -0.5;
        NiftiSamples.Spec right = new() { Transformation = s_place }, left = new() { Transformation = mirrored };
        WritePlaced("a", right, right);
        WritePlaced("b", left, left);
        WritePlaced("c", right, right);
        Assert.That(
            Open().Notes,
            Is.EqualTo(new[] { "volumes of mixed orientation, which are not turned: 2 RAS as a.nii, 1 LAS as b.nii" }));
    }

    [Test]
    public void A_damaged_volume_is_named_when_it_is_read()
    {
        Write("a.nii a_mask.nii b.nii b_mask.nii");
        string path = _folder.Write("b.nii", new byte[400]);
        VolumeFolder data = Open();
        data.ReadMasks([.. Enumerable.Range(0, data.Count)]);
        Assert.That(data.Count, Is.EqualTo(Volumes.Z + 1));
        Assert.That(() => data.Load(Volumes.Z), Throws.TypeOf<ImageException>().With.Message.StartsWith(path));
    }

    [Test]
    public void Further_channels_are_refused()
    {
        Write("imagesTr/a_0000.nii imagesTr/a_0001.nii labelsTr/a.nii");
        Assert.That(
            () => Open(),
            Throws.TypeOf<DatasetException>().With.Message.Contains("1 files are further channels of scans, as imagesTr/a_0001.nii"));
        Assert.That(() => Open(new DataOptions { OnMissingMask = OnMissingMask.Empty }), Throws.TypeOf<DatasetException>());
        Assert.That(Open(new DataOptions { OnMissingMask = OnMissingMask.Skip }).Count, Is.EqualTo(Volumes.Z));
    }

    [Test]
    public void Folders_of_volumes_that_do_not_fit_say_what_would()
    {
        Write("a.nii b.nii");
        Assert.That(() => ImageDataSource.Open(_folder.Root), Throws.TypeOf<DatasetException>()
            .With.Message.Contains("2 NIfTI files (a.nii, b.nii), but none is the mask of another; expected NAME.nii.gz beside "));
        using TemporaryFolder scanner = new();
        scanner.Write("s1/IM0001", [.. new byte[128], .. "DICM"u8]);
        Assert.That(() => ImageDataSource.Open(scanner.Root), Throws.TypeOf<DatasetException>()
            .With.Message.Contains("IM0001: a DICOM file").And.Message.Contains("dcm2niix"));
    }

    [Test]
    public void Pictures_beside_volumes_are_told()
    {
        Write("a.nii a_mask.nii");
        ImageFile.SavePng(Path.Combine(_folder.Root, "preview.png"), Pictures.Smooth(8, 8, 1));
        Assert.That(Open().Notes, Is.EqualTo(new[] { "1 pictures beside the volumes are passed over" }));
    }

    [Test]
    public void Tiff_stacks_are_volumes_and_single_pages_are_pictures()
    {
        byte[][] pages = [.. Enumerable.Range(0, 4).Select(p => Enumerable.Range(0, 48).Select(i => (byte)(10 * p + i)).ToArray())];
        byte[][] masks = [.. pages.Select(page => Array.ConvertAll(page, v => v > 40 ? (byte)255 : (byte)0))];
        _folder.Write("a.tif", Pictures.TiffStack(8, 6, pages));
        _folder.Write("a_mask.tif", Pictures.TiffStack(8, 6, masks));
        VolumeFolder data = Open();
        Assert.That((data.Count, data.Name(3)), Is.EqualTo((4, "a/003")));
        Assert.That(data.Load(3).Mask.Classes, Is.EqualTo(masks[3].Select(v => (byte)(v / 255))));
        _folder.Write("a_mask.tif", Pictures.TiffStack(8, 6, masks[..3]));
        VolumeFolder shorter = Open();
        shorter.ReadMasks([.. Enumerable.Range(0, shorter.Count)]);
        Assert.That(
            () => shorter.Load(0), Throws.TypeOf<DatasetException>().With.Message.Contains("8 x 6 x 4").And.Message.Contains("8 x 6 x 3"));
        _folder.Write("a.tif", Pictures.TiffStack(8, 6, pages[..1]));
        Assert.That(ImageDataSource.Open(_folder.Root), Is.TypeOf<SegmentationFolder>());
    }

    private VolumeFolder Open(DataOptions? options = null) =>
        (VolumeFolder)ImageDataSource.Open(_folder.Root, options, ModelTask.Segmentation);

    /// <summary>A scan of 2 x 3 x 4 voxels and its mask.</summary>
    private void WritePlaced(string name, NiftiSamples.Spec scan, NiftiSamples.Spec mask)
    {
        double[] values = [.. Enumerable.Range(0, 24).Select(i => (double)(i % 5 == 0 ? 1 : 0))];
        _folder.Write($"{name}.nii", NiftiSamples.File(scan, values));
        _folder.Write($"{name}_mask.nii", NiftiSamples.File(mask with { Type = 2 }, values));
    }

    private void Write(string files)
    {
        foreach (string file in files.Split(' '))
        {
            bool mask = file.Contains("_mask") || file.Contains("_seg") || InMasks(file);
            byte[] bytes = mask ? Volumes.Mask(Seed(file)) : Volumes.Scan(Seed(file));
            _folder.Write(file, file.EndsWith(".gz", StringComparison.Ordinal) ? NiftiSamples.Gzip(bytes) : bytes);
        }

        static bool InMasks(string file) =>
            file.StartsWith("masks/", StringComparison.Ordinal) || file.StartsWith("labels", StringComparison.Ordinal);

        static int Seed(string file) => file.Split('/')[^1].Split('.', '_')[0].Sum(c => c);
    }
}
