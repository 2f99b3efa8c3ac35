using Mamba.Core;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

internal sealed class MultiplyAddsTests
{
    [Test]
    public void Exponentials_are_counted_apart()
    {
        Assert.That(Count(() => Ops.Softmax(Numbers.Random(1, 3, 7))), Is.EqualTo((0L, 21L)));
        Assert.That(Count(() => Ops.Silu(Numbers.Random(1, 5))), Is.EqualTo((0L, 5L)));
        Assert.That(Count(() => Ops.Relu(Numbers.Random(1, 5))), Is.EqualTo((0L, 0L)));
        Assert.That(Count(() => Ops.Elu(Numbers.Random(1, 5), 0.5f)), Is.EqualTo((0L, 5L)));
        // q and k of two heads of width 3, v of the same: 4 x 5 pairs a head.
        Assert.That(
            Count(() => Ops.Attention(Numbers.Random(1, 1, 4, 6), Numbers.Random(2, 1, 5, 6), Numbers.Random(3, 1, 5, 6), 2)),
            Is.EqualTo((2L * 20 * 6, 40L)));
    }

    [Test]
    public void A_scan_takes_one_exponential_a_state_and_one_each_for_dt_and_gate()
    {
        const int Batch = 2, Length = 5, Channels = 3, States = 4, Tokens = Batch * Length * Channels;
        Tensor u = Numbers.Random(1, Batch, Length, Channels), a = Numbers.Uniform(2, -2f, -1f, Channels, States);
        Tensor b = Numbers.Random(3, Batch, Length, States);
        Assert.That(Count(() => Ops.SelectiveScan(u, u, a, b, b).Output), Is.EqualTo((3L * Tokens * States, (long)Tokens * States)));
        ScanOptions options = new() { Z = u, DeltaSoftplus = true };
        Assert.That(
            Count(() => Ops.SelectiveScan(u, u, a, b, b, options).Output), Is.EqualTo((3L * Tokens * States, (long)Tokens * (States + 2))));
    }

    private static (long MultiplyAdds, long Exponentials) Count(Func<Tensor> run)
    {
        using MultiplyAdds counter = new();
        run();
        return (counter.Count, counter.Exponentials);
    }
}
