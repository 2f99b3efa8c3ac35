using Mamba.Models.Data.Splits;

namespace Mamba.Tests.Models;

internal sealed class JobPartTests
{
    [TestCase("1/1", true), TestCase("3/8", true), TestCase("100000/100000", true)]
    [TestCase("0/3", false), TestCase("4/3", false), TestCase("1/0", false), TestCase("-1/3", false), TestCase("1/-3", false)]
    [TestCase("3", false), TestCase("1/2/3", false), TestCase(" 1/2", false), TestCase("1/100001", false), TestCase("a/b", false)]
    [TestCase("/", false), TestCase("", false), TestCase("1/4294967297", false)]
    public void Parts_are_read(string text, bool valid) => Assert.That(JobPart.Parse(text)?.ToString(), Is.EqualTo(valid ? text : null));

    [Test]
    public void Every_item_is_of_one_part([Values(1, 2, 3, 7, 12)] int count)
    {
        int[] owners = new int[10];
        for (int number = 1; number <= count; number++)
        {
            int[] own = [.. Enumerable.Range(0, owners.Length).Where(new JobPart(number, count).Owns)];
            foreach (int item in own) owners[item]++;
            Assert.That(own, Has.Length.InRange(owners.Length / count, (owners.Length + count - 1) / count), "balanced");
        }
        Assert.That(owners, Is.All.EqualTo(1));
    }

    [Test]
    public void Names_of_files_tell_parts_apart() => Assert.That(new JobPart(3, 8).Word, Is.EqualTo("3-of-8"));
}
