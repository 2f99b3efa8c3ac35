using System.Buffers.Binary;
using System.IO.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ImageDataSourceTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void A_folder_is_opened_as_what_it_holds()
    {
        Image picture = new(2, 2, 1);
        Refuses(
            () => ImageDataSource.Open(Path.Combine(_folder.Root, "none")),
                "no such folder; expected images or volumes with masks (NAME.ext and NAME_mask.ext");
        Refuses(() => ImageDataSource.Open(_folder.Write("file.txt", [1])), "no such folder");
        Refuses(() => ImageDataSource.Open(_folder.Root), "0 pictures, none of them in a folder of its class");
        _folder.Write("flat/a.png", picture);
        Refuses(() => ImageDataSource.Open(Path.Combine(_folder.Root, "flat")), "1 pictures, none of them in a folder of its class");
        _folder.Write("pairs/p/a.png", picture);
        _folder.Write("pairs/p/a_mask.png", picture);
        _folder.Write("classes/cat/a.png", picture);
        _folder.Write("classes/dog/a.png", picture);
        foreach (string name in SetSamples.CifarFiles) _folder.Write("cifar/cifar-10-batches-bin/" + name, SetSamples.CifarRecord(1));
        SetSamples.WriteMnist(
            _folder, "mnist/", false, true, SetSamples.Idx(0x803, [1, 2, 2], new byte[4]), SetSamples.Idx(0x801, [1], [7]),
            SetSamples.Idx(0x803, [1, 2, 2], new byte[4]), SetSamples.Idx(0x801, [1], [7]));
        foreach ((string name, Type type) in new[]
        {
            ("pairs", typeof(SegmentationFolder)), ("classes", typeof(ClassFolder)), ("cifar", typeof(Cifar10)),
            ("mnist", typeof(Mnist)),
        })
            Assert.That(ImageDataSource.Open(Path.Combine(_folder.Root, name)), Is.TypeOf(type));
        File.Delete(Path.Combine(_folder.Root, "cifar/cifar-10-batches-bin/test_batch.bin"));
        Refuses(() => ImageDataSource.Open(Path.Combine(_folder.Root, "cifar")), "test_batch.bin: no such file");
    }

    private void Refuses(Func<IImageData> open, string says) =>
        Assert.That(() => open(), Throws.TypeOf<DatasetException>().With.Message.StartsWith(_folder.Root).And.Message.Contains(says));
}
