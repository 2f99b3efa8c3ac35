using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class SyntheticLesionsTests
{
    [Test]
    public void Synthetic_slices_are_a_function_of_seed_index_and_size()
    {
        SyntheticLesions data = new(3, 50, 48, 64), again = new(3, 500, 48, 64), other = new(4, 50, 48, 64);
        data.Load(12);
        SegmentationSample sample = data.Load(7);
        Assert.That((sample.Image.Width, sample.Image.Height, sample.Image.Channels, sample.Mask.Width), Is.EqualTo((64, 48, 3, 64)));
        Assert.That(again.Load(7).Image.Pixels, Is.EqualTo(sample.Image.Pixels));
        Assert.That(again.Load(7).Mask.Classes, Is.EqualTo(sample.Mask.Classes));
        Assert.That(other.Load(7).Image.Pixels, Is.Not.EqualTo(sample.Image.Pixels));
        Assert.That((data.Name(25), data.Patient(25)), Is.EqualTo(("patient_0002/slice_06", "patient_0002")));
        Assert.That(() => data.Load(50), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Synthetic_lesions_are_there_and_bright_in_flair()
    {
        SyntheticLesions data = new(37, 200, 64, 64);
        int empty = 0;
        double inside = 0, outside = 0, area = 0, brain = 0;
        for (int i = 0; i < data.Count; i++)
        {
            SegmentationSample sample = data.Load(i);
            if (!sample.Mask.Classes.Contains((byte)1)) empty++;
            Assert.That(sample.Mask.Classes, Is.All.AnyOf((byte)0, (byte)1));
            for (int k = 0; k < sample.Mask.Classes.Length; k++)
            {
                // The middle of the picture is brain.
                int x = k % 64 - 32, y = k / 64 - 32, flair = sample.Image.Pixels[3 * k + 1];
                if (sample.Mask.Classes[k] == 1) (inside, area) = (inside + flair, area + 1);
                else if (x * x + y * y < 100) (outside, brain) = (outside + flair, brain + 1);
            }
        }
        Assert.That(empty, Is.InRange(30, 70));
        Assert.That(area / (data.Count * 64 * 64), Is.InRange(0.01, 0.05));
        Assert.That(inside / area - outside / brain, Is.GreaterThan(25));
    }
}
