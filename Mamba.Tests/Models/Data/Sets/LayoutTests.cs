using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Where strangers put their images and masks.</summary>
internal sealed class LayoutTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [TestCase("a.png a_mask.png b.png b_mask.png", "a b"), TestCase("a.png a-mask.png b.png b-mask.png", "a b")]
    [TestCase("a.png a_seg.png b.png b_seg.png", "a b"), TestCase("a.png a_segmentation.png", "a"), TestCase("a.png a_label.png", "a")]
    [TestCase("a.png a_gt.png", "a"), TestCase("a.png a_bin.png", "a")]
    [TestCase("images/a.png masks/a.png images/b.png masks/b.png", "a b"), TestCase("imgs/a.png masks/a.png", "a")]
    [TestCase("images/a.png labels/a_mask.png", "a"), TestCase("images/p/a.png annotations/p/a.png", "p/a")]
    [TestCase("JPEGImages/a.png SegmentationClass/a.png", "a"), TestCase("images/a.png gt/a.png", "a")]
    [TestCase("images/a_img.png masks/a_mask.png", "a_img"), TestCase("a.png masks/a.png", "a")]
    [TestCase("train_images/a.png train_masks/a.png", "Train/a"),
        TestCase("x-segmentation/a.png x-segmentation/a_mask.png", "x-segmentation/a")]
    [TestCase("ISIC_Task1-2_Training_Input/a.png ISIC_Task1_Training_GroundTruth/a_segmentation.png", "Train/a")]
    public void Images_and_masks_are_found(string files, string names)
    {
        Write(files);
        var data = (SegmentationFolder)Open();
        Assert.That(string.Join(' ', Enumerable.Range(0, data.Count).Select(data.Name)), Is.EqualTo(names));
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Part), Is.All.Null, "one part is no split");
        Assert.That(data.Load(0).Mask.Classes.Distinct().Order(), Is.EqualTo(new byte[] { 0, 1 }));
    }

    [TestCase("train/images/a.png train/masks/a.png val/images/b.png val/masks/b.png test/images/c.png test/masks/c.png",
        "a:Train b:Val c:Test")]
    [TestCase("images/train/a.png masks/train/a.png images/valid/b.png masks/valid/b.png", "a:Train b:Val")]
    [TestCase("Training/a.png Training/a_mask.png Testing/c.png Testing/c_mask.png", "a:Train c:Test")]
    [TestCase("imagesTr/a_0000.png labelsTr/a.png imagesTs/c_0000.png labelsTs/c.png", "a_0000:Train c_0000:Test")]
    public void Official_splits_are_found(string files, string parts)
    {
        Write(files);
        IImageData data = Open();
        Assert.That(
            string.Join(' ', Enumerable.Range(0, data.Count).Select(i => $"{Path.GetFileName(data.Name(i))}:{data.Part(i)}").Order()),
                Is.EqualTo(parts));
    }

    [Test]
    public void A_part_without_masks_is_left_out_with_a_note()
    {
        Write("imagesTr/a_0000.png labelsTr/a.png imagesTs/c_0000.png");
        var data = (SegmentationFolder)Open();
        Assert.That((data.Count, data.Notes.Single()), Is.EqualTo((1, "1 images of parts without masks: imagesTs/c_0000.png left out")));
    }

    [TestCase("one/x/a.png one/x/a_mask.png one/y/b.png one/y/b_mask.png", "x y"),
        TestCase("p1/t0/a.png p1/t0/a_mask.png p2/t0/a.png p2/t0/a_mask.png", "p1 p2")]
    [TestCase("images/p1/a.png masks/p1/a.png images/p2/a.png masks/p2/a.png", "p1 p2")]
    [TestCase("train/p1/a.png train/p1/a_mask.png test/p2/b.png test/p2/b_mask.png", "p1 p2"),
        TestCase("a.png a_mask.png b.png b_mask.png", "")]
    [TestCase("train/a.png train/a_mask.png test/b.png test/b_mask.png", "")]
    public void The_outermost_folder_that_varies_is_the_patient(string files, string patients)
    {
        Write(files);
        IImageData data = Open();
        Assert.That(data.KnowsPatients, Is.EqualTo(patients.Length > 0));
        if (data.KnowsPatients)
            Assert.That(string.Join(' ', Enumerable.Range(0, data.Count).Select(data.Patient).Order()), Is.EqualTo(patients));
    }

    [Test]
    public void Patients_come_from_a_table_or_a_pattern_that_must_know_each()
    {
        Write("ann_1.png ann_1_mask.png ann_2.png ann_2_mask.png bob_1.png bob_1_mask.png");
        _folder.Write("who.csv", "name,patient\nann_1.png,A\nann_2,A\nbob_1,B"u8.ToArray());
        string[] expected = ["A", "A", "B"];
        Assert.That(Patients(new DataOptions { Patients = In("who.csv") }), Is.EqualTo(expected));
        Assert.That(Patients(new DataOptions { PatientPattern = "^([a-z]+)_" }), Is.EqualTo(new[] { "ann", "ann", "bob" }));
        _folder.Write("who.csv", "name,age,patient\nann_1.png,40,A\nann_2,40,A\nbob_1,50,B"u8.ToArray());
        Assert.That(Patients(new DataOptions { Patients = In("who.csv") }), Is.EqualTo(expected), "the column that the header names");
        _folder.Write("who.csv", "ann_1,A\nann_1,B\nann_2,A\nbob_1,B"u8.ToArray());
        Refuses(new DataOptions { Patients = In("who.csv") }, "'ann_1' is of patient A and of B");
        _folder.Write("who.csv", "ann_1,40,A\nann_2,40,A\nbob_1,50,B"u8.ToArray());
        Refuses(new DataOptions { Patients = In("who.csv") }, "3 columns");
        Refuses(new DataOptions { PatientPattern = "^ann" }, "names no patient of 1 of 3 images: bob_1");
        Refuses(new DataOptions { PatientPattern = "(" }, "cannot be used");
        _folder.Write("who.csv", "ann_1,A"u8.ToArray());
        Refuses(new DataOptions { Patients = In("who.csv") }, "names no patient of 2 of 3 images: ann_2, bob_1");
    }

    [TestCase("image,diagnosis,patient\nann_1.png,\"benign, left\",A\n\"ann_2\", \"a \"\"b\"\", c\" ,A\nbob_1,none,\"B, Jr\"", "A|A|B, Jr")]
    [TestCase("image;note;patient\nann_1;left, big;A\nann_2;;A\nbob_1;none;B", "A|A|B")]
    [TestCase("patient\tnote\tname\nA\tleft, big; red\tann_1\nA\t\tann_2\nB\t\"x\"\tbob_1", "A|A|B")]
    [TestCase("ann_1,A,\nann_2,A,\nbob_1,B,", "")]
    [TestCase("name,patient\nann_1,A,\nann_2,A,\nbob_1,B,", "A|A|B")]
    public void A_table_has_one_separator_and_quotes_hold_it(string table, string patients)
    {
        Write("ann_1.png ann_1_mask.png ann_2.png ann_2_mask.png bob_1.png bob_1_mask.png");
        _folder.Write("who.csv", System.Text.Encoding.UTF8.GetBytes(table));
        DataOptions options = new() { Patients = In("who.csv") };
        if (patients.Length > 0) Assert.That(string.Join('|', Patients(options)), Is.EqualTo(patients));
        else Refuses(options, "3 columns; expected two");
    }

    [TestCase("image,diagnosis,patient\nann_1,benign, left,A", "'ann_1,benign, left,A' has 4 fields; expected 3 as in the first line")]
    [TestCase("ann_1,\"A", "expected quotes around whole fields"), TestCase("\"ann_1\"x,A", "expected quotes around whole fields")]
    public void A_table_whose_columns_shift_is_refused(string table, string says)
    {
        Write("ann_1.png ann_1_mask.png");
        _folder.Write("who.csv", System.Text.Encoding.UTF8.GetBytes(table));
        Refuses(new DataOptions { Patients = In("who.csv") }, says);
    }

    [Test]
    public void Options_name_folders_and_endings()
    {
        Write("scans/a.png truth/a.png photos/a.png");
        var data = (SegmentationFolder)Open(new DataOptions { Images = "scans", Masks = "truth" });
        Assert.That((data.Name(0), data.ImagePath(0)), Is.EqualTo(("a", In("scans/a.png"))));
        Refuses(new DataOptions { Images = "scans", Masks = "nothing" }, "1 images in 'scans' and 0 masks in 'nothing'");
        Write("q/b.png q/b.roi.png");
        Assert.That(Open(new DataOptions { MaskSuffix = ".roi", OnMissingMask = OnMissingMask.Skip }).Count, Is.EqualTo(1));
    }

    [Test]
    public void Images_without_a_mask_are_named_left_out_or_background()
    {
        Write("images/a.png masks/a.png images/b.png images/c.png");
        Refuses(new DataOptions(), "2 images without a mask: images/b.png, images/c.png; expected a mask for each image; "
            + "--on-missing-mask");
        Assert.That(Open(new DataOptions { OnMissingMask = OnMissingMask.Skip }).Count, Is.EqualTo(1));
        var empty = (SegmentationFolder)Open(new DataOptions { OnMissingMask = OnMissingMask.Empty });
        Assert.That((empty.Count, empty.Notes.Single()),
            Is.EqualTo((3, "2 images without a mask: images/b.png, images/c.png taken for background")));
        Assert.That(empty.Load(1).Mask.Classes, Is.All.Zero);
    }

    [TestCase("images/a_0000.png masks/a.png images/a_0001.png", "images/a_0001.png")]
    [TestCase("imagesTr/a_0000.png labelsTr/a.png imagesTr/a_0002.png", "imagesTr/a_0002.png")]
    [TestCase("images/case_00001_0000.png masks/case_00001.png images/case_00001_0001.png", "images/case_00001_0001.png")]
    public void Further_channels_of_pictures_are_refused(string files, string channel)
    {
        Write(files);
        foreach (OnMissingMask choice in new[] { OnMissingMask.Fail, OnMissingMask.Empty })
            Refuses(new DataOptions { OnMissingMask = choice }, $"1 files are further channels of scans, as {channel}; one channel is ");
        Assert.That(Open(new DataOptions { OnMissingMask = OnMissingMask.Skip }).Count, Is.EqualTo(1));
    }

    [TestCase("images/v_0000.png masks/v_0000.png images/v_0001.png")]
    [TestCase("images/v_0000.png masks/v_0000_mask.png images/v_0001.png")]
    public void Frames_of_a_film_are_no_channels(string files)
    {
        Write(files);
        Assert.That(Open(new DataOptions { OnMissingMask = OnMissingMask.Empty }).Count, Is.EqualTo(2));
    }

    [TestCase("b/benign_(1).png b/benign_(1)_mask.png b/benign_(1)_mask_1.png", "b/benign_(1)_mask_1.png", 1)]
    [TestCase("images/a.png masks/a_mask.png images/b.png masks/b_mask.png images/c.png masks/b_mask_2.png", "masks/b_mask_2.png", 2)]
    [TestCase("a_img.png a_mask.png a_mask_1.png", "a_mask_1.png", 1)]
    public void Several_masks_of_an_image_are_refused_unless_they_are_left_out(string files, string further, int count)
    {
        Write(files);
        foreach (OnMissingMask choice in new[] { OnMissingMask.Fail, OnMissingMask.Empty })
            Refuses(new DataOptions { OnMissingMask = choice }, $"1 further masks of an image: {further}; expected one mask for each");
        var data = (SegmentationFolder)Open(new DataOptions { OnMissingMask = OnMissingMask.Skip });
        Assert.That(data.Count, Is.EqualTo(count));
        Assert.That(data.Notes, Does.Contain($"1 further masks of an image: {further} left out; the first mask is used"));
    }

    [Test]
    public void A_name_like_that_of_a_mask_in_another_folder_is_an_image()
    {
        Write("p1/a.png p1/a_mask.png p2/a_seg_1.png");
        Assert.That(Open(new DataOptions { OnMissingMask = OnMissingMask.Empty }).Count, Is.EqualTo(2));
    }

    [TestCase("images/a.png masks/b.png"), TestCase("images/a.png labels/b.png")]
    public void Folders_for_images_and_masks_are_no_classes(string files)
    {
        Write(files);
        Refuses(new DataOptions(), "are no classes");
    }

    [TestCase("Training/a/1.png Training/b/1.png Testing/a/1.png Testing/b/2.png", "a b"),
        TestCase("seg_train/a/1.png seg_train/b/1.png seg_test/a/1.png seg_test/b/2.png", "a b")]
    [TestCase("train/a/1.png train/b/1.png validation/a/1.png", "a b"),
        TestCase("with_mask/1_mask.png with_mask/2_mask.png without_mask/3.png", "with_mask without_mask")]
    [TestCase("test_tube/1.png train_station/2.png", "test_tube train_station"), TestCase("train/1.png bus/2.png", "bus train")]
    public void Classes_are_found(string files, string classes)
    {
        Write(files);
        IImageData data = Open(task: ModelTask.Classification);
        Assert.That((data.Task, string.Join(' ', data.Labels)), Is.EqualTo((ModelTask.Classification, classes)));
    }

    [TestCase("p0/red/1.png p0/blue/2.png p1/red/3.png p1/blue/4.png")]
    public void Folders_that_all_hold_the_same_folders_are_no_classes(string files)
    {
        Write(files);
        Assert.That(
            () => Open(task: ModelTask.Classification),
            Throws.TypeOf<DatasetException>().With.Message.Contains("folders p0, p1 all hold folders blue, red"));
        Write("p0/only/5.png");
        Assert.That(Open(task: ModelTask.Classification).Labels, Is.EqualTo(new[] { "p0", "p1" }));
    }

    [Test]
    public void Images_with_masks_are_no_classes_for_a_classifier_either()
    {
        Write("p1/a.png p1/a_mask.png p2/b.png p2/b_mask.png");
        Assert.That(Open(task: ModelTask.Classification).Task, Is.EqualTo(ModelTask.Segmentation));
    }

    private string In(string path) => Path.Combine(_folder.Root, path);

    private void Write(string files)
    {
        foreach ((int i, string file) in files.Split(' ').Index())
        {
            bool mask = file.Contains("mask", StringComparison.Ordinal) || i % 2 == 1;
            _folder.Write(file, mask ? Pictures.Disc(8, 8) : Pictures.Marked(8, 8, 3, i));
        }
    }

    private IImageData Open(DataOptions? options = null, ModelTask? task = null) => ImageDataSource.Open(_folder.Root, options, task);

    private string[] Patients(DataOptions options)
    {
        IImageData data = Open(options);
        return [.. Enumerable.Range(0, data.Count).Select(data.Patient)];
    }

    private void Refuses(DataOptions options, string says) => Assert.That(
        () => Open(options), Throws.TypeOf<DatasetException>().With.Message.Contains(says));
}
