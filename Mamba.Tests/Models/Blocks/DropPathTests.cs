using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class DropPathTests
{
    [Test]
    public void Drop_path_leaves_out_whole_images_and_keeps_the_mean()
    {
        ParameterStore store = new(seed: 3) { Training = true };
        DropPath path = new(new Scope(store) / "layers" / 1, 0.2);
        Tensor ones = Tensor.Full(1f, 4000, 2, 3);
        float[] y = path.Forward(ones).Span.ToArray();
        float[] images = path.Forward(Tensor.Full(1f, 4000, 2, 1, 3)).Span.ToArray();
        Assert.That(images, Is.EqualTo(y), "images as sequences");
        Assert.That(y.Chunk(6).All(image => image.All(x => x == image[0])));
        Assert.That(y.Distinct().Order(), Is.EqualTo(new[] { 0f, 1.25f }));
        Assert.That(y.Average(), Is.EqualTo(1).Within(0.03));
        Assert.That(
            Enumerable.Range(0, 5).Select(i => DropPath.Growing(0.1, i, 5)),
            Is.EqualTo(new[] { 0, 0.025, 0.05, 0.075, 0.1 }).Within(1e-12));
        Assert.That(DropPath.Growing(0.1, 0, 1), Is.Zero);
    }
}
