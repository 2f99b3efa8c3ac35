using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ResNetEncoderTests
{
    [Test]
    public void A_shortcut_without_parameters_halves_the_image_and_pads_the_channels()
    {
        // Convolutions of zero: the block passes its shortcut alone, through ReLU.
        ParameterStore store = new();
        ResNetEncoder encoder = new(new Scope(store), new ResNetEncoderConfig(Inputs: 4, Width: 4, Blocks: [0, 1]) { Cifar = true });
        store.Reinitialize((name, shape) => shape.Rank == 4 ? Init.Zeros : null);
        for (int c = 0; c < 4; c++) store["conv1.weight"].Span[((c * 4 + c) * 9) + 4] = 1f; // the stem hands its input on
        Tensor x = Numbers.Uniform(1, 0f, 1f, 1, 3, 5, 4), y = encoder.Forward(x);
        Assert.That(y.Shape, Is.EqualTo(new Shape(1, 2, 3, 8)));
        for (int i = 0; i < y.Count; i++)
        {
            int c = (i % 8) - 2, column = i / 8 % 3, row = i / 24;
            float expected = c is < 0 or > 3 ? 0f : x.Span[((2 * row * 5) + (2 * column)) * 4 + c];
            Assert.That(y.Span[i], Is.EqualTo(expected).Within(1e-5f), $"{row}, {column}, {c}");
        }
    }
}
