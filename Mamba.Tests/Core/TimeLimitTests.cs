using Mamba.Core;

namespace Mamba.Tests.Core;

internal sealed class TimeLimitTests
{
    [Test]
    public void An_operator_after_the_limit_is_refused()
    {
        Tensor x = Tensor.Full(1f, 3);
        using (TimeLimit limit = new(TimeSpan.FromMinutes(5)))
        {
            Assert.That(limit.HasPassed, Is.False);
            Assert.That(Ops.Add(x, x).Span[0], Is.EqualTo(2f));
        }
        foreach (TimeSpan budget in new[] { TimeSpan.Zero, TimeSpan.FromSeconds(-1), TimeSpan.MinValue })
        {
            using TimeLimit limit = new(budget);
            Assert.That(limit.HasPassed);
            Assert.That(() => Ops.Add(x, x), Throws.TypeOf<TimeLimitException>());
        }
        Assert.That(Ops.Add(x, x).Span[0], Is.EqualTo(2f), "the limit is over");
    }

    [Test]
    public void Infinite_time_is_no_limit()
    {
        Tensor x = Tensor.Full(1f, 3);
        using TimeLimit limit = new(Timeout.InfiniteTimeSpan);
        Assert.That(limit.HasPassed, Is.False);
        Assert.That(Ops.Add(x, x).Span[0], Is.EqualTo(2f));
    }

    [Test]
    public void The_earliest_of_nested_limits_counts()
    {
        Tensor x = Tensor.Full(1f, 3);
        using TimeLimit forever = new(TimeSpan.MaxValue);
        using (TimeLimit none = new(TimeSpan.Zero))
        {
            using TimeLimit inner = new(TimeSpan.FromMinutes(5));
            Assert.That((none.HasPassed, inner.HasPassed), Is.EqualTo((true, false)));
            Assert.That(() => Ops.Add(x, x), Throws.TypeOf<TimeLimitException>());
            default(TimeLimit).Dispose();
            Assert.That(() => Ops.Add(x, x), Throws.TypeOf<TimeLimitException>(), "no limit changes none");
        }
        Assert.That(Ops.Add(x, x).Span[0], Is.EqualTo(2f));
        Assert.That((forever.HasPassed, default(TimeLimit).HasPassed), Is.EqualTo((false, false)));
    }

    [Test]
    public void A_limit_is_its_threads_own()
    {
        Tensor x = Tensor.Full(1f, 3);
        using TimeLimit limit = new(TimeSpan.Zero);
        float other = 0;
        Thread thread = new(() => other = Ops.Add(x, x).Span[0]);
        thread.Start();
        thread.Join();
        Assert.That(other, Is.EqualTo(2f));
    }
}
