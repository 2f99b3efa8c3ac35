using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class DataSurveyTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Copies_are_found_by_their_pixels_and_plain_pictures_are_none()
    {
        foreach ((string name, int number) in new[] { ("a/1", 1), ("a/2", 2), ("b/3", 2), ("b/4", 1), ("b/5", 5) })
            _folder.Write($"{name}.png", Pictures.Marked(8, 8, 3, number));
        _folder.Write("a/6.png", new Image(8, 8, 3));
        _folder.Write("b/7.png", new Image(8, 8, 3));
        ClassFolder data = new(_folder.Root);
        DataSurvey survey = Survey(data);
        Assert.That(survey.Copies(official: false), Is.EqualTo(new[] { (3, 1), (4, 0) }));
        Assert.That(
            survey.Describe(survey.Copies(false)),
            Is.EqualTo(
                "2 of 7 images are duplicates, with the same pixels as another, and left out: b/3 is a/2; b/4 is a/1; "
                    + "2 of them have another mask or class than the one that stays"));
        Assert.That(data.Without(new HashSet<int> { 3, 4 }).Count, Is.EqualTo(5));
    }

    [Test]
    public void With_an_official_split_the_copy_in_training_goes()
    {
        foreach ((string name, int number) in new[] { ("train/a/1", 1), ("train/b/2", 2), ("train/b/3", 2), ("val/a/4", 4), ("test/a/5", 1),
            ("test/b/6", 4) })
            _folder.Write($"{name}.png", Pictures.Marked(8, 8, 1, number));
        ClassFolder data = new(_folder.Root);
        Assert.That(
            Survey(data).Copies(official: true).Select(c => (data.Name(c.Copy), data.Name(c.Original))),
            Is.EqualTo(new[] { ("train/a/1", "test/a/5"), ("val/a/4", "test/b/6") }), "copies within a part do no harm");
    }

    [Test]
    public void Every_bad_image_is_counted_before_the_first_is_named()
    {
        for (int i = 0; i < 4; i++) _folder.Write($"{(i < 2 ? "a" : "b")}/{i}.png", Pictures.Marked(8, 8, 1, i));
        foreach (string name in new[] { "a/1.png", "b/3.png" }) File.WriteAllText(Path.Combine(_folder.Root, name), "no picture");
        ClassFolder data = new(_folder.Root);
        Assert.That(
            () => Survey(data, OnBadImage.Fail),
            Throws.TypeOf<DatasetException>().With.Message.Contains("2 of 4 images cannot be used, the first: ").And.Message.Contains(
                "1.png"));
        Assert.That(Survey(data).Bad.Select(bad => bad.Index), Is.EqualTo(new[] { 1, 3 }));
    }

    private static DataSurvey Survey(IImageData data, OnBadImage choice = OnBadImage.Skip) =>
        DataSurvey.Of(data, [.. Enumerable.Range(0, data.Count)], choice);
}
