using Mamba.Models.Data;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ConnectedComponentsTests
{
    [Test]
    public void Equals_a_flood_fill([Values(1, 2, 17)] int width, [Values(1, 23)] int height, [Range(1, 9)] int tenths)
    {
        byte[] classes = Array.ConvertAll(Numbers.Uniform(width * height, tenths, 0f, 1f), v => v < tenths / 10f ? (byte)2 : (byte)1);
        Assert.That(ConnectedComponents.Areas(classes, width, 2), Is.EquivalentTo(Flood(classes, width, 2)));
        Assert.That(ConnectedComponents.Largest(classes, width, 1), Is.EqualTo(Flood(classes, width, 1).DefaultIfEmpty(0).Max()));
    }

    [Test]
    public void Corners_connect_and_forks_join()
    {
        byte[] diagonal = [1, 0, 0, 0, 1, 0, 1, 0, 0];
        Assert.That(ConnectedComponents.Areas(diagonal, 3, 1), Is.EqualTo(new[] { 3 }));
        byte[] comb = [1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0];
        Assert.That(ConnectedComponents.Areas(comb, 5, 1), Is.EqualTo(new[] { 8, 1, 1 }));
        Assert.That(ConnectedComponents.Largest(comb, 5, 7), Is.Zero);
        Assert.That(() => ConnectedComponents.Areas(comb, 6, 1), Throws.ArgumentException.With.Message.Contains("rows of 6"));
    }

    private static List<int> Flood(byte[] classes, int width, byte value)
    {
        bool[] seen = new bool[classes.Length];
        List<int> areas = [];
        for (int start = 0; start < classes.Length; start++)
        {
            if (seen[start] || classes[start] != value) continue;
            Stack<int> open = new([start]);
            seen[start] = true;
            int area = 0;
            while (open.TryPop(out int i))
            {
                area++;
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = -1; dx <= 1; dx++)
                    {
                        int y = i / width + dy, x = i % width + dx, n = y * width + x;
                        if (y < 0 || x < 0 || x >= width || n >= classes.Length || seen[n] || classes[n] != value) continue;
                        seen[n] = true;
                        open.Push(n);
                    }
            }
            areas.Add(area);
        }
        return areas;
    }
}
