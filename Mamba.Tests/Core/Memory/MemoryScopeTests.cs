using Mamba.Core;
using Mamba.Core.Memory;

namespace Mamba.Tests.Core;

internal sealed class MemoryScopeTests
{
    [Test]
    public void A_result_goes_up_scope_by_scope()
    {
        Tensor kept, middle, inner;
        using (MemoryScope outermost = new())
        {
            Tensor first = Tensor.Full(0f, 3);
            using (MemoryScope outer = new())
            {
                middle = Tensor.Full(1f, 3);
                using (MemoryScope scope = new())
                {
                    inner = Tensor.Full(2f, 3);
                    kept = outer.Return(scope.Return(Tensor.Full(3f, 3)));
                }
                Assert.That(middle.Span[0], Is.EqualTo(1f));
                Assert.That(() => inner.Span[0], Throws.TypeOf<ObjectDisposedException>());
            }
            Assert.That(kept.Span[0], Is.EqualTo(3f));
            Assert.That(first.Span[0], Is.Zero);
            Assert.That(() => middle.Span[0], Throws.TypeOf<ObjectDisposedException>());
            outermost.Return(kept);
        }
        Assert.That(kept.Span[0], Is.EqualTo(3f), "beyond the outermost scope it is the caller's");
    }

    [Test]
    public void An_outer_scope_can_let_go_of_a_tensor_while_an_inner_one_is_open()
    {
        Tensor outer, inner;
        using (MemoryScope scope = new())
        {
            outer = Tensor.Full(1f, 3);
            using (MemoryScope nested = new())
            {
                inner = Tensor.Full(2f, 3);
                scope.Return(outer);
            }
            Assert.That(() => inner.Span[0], Throws.TypeOf<ObjectDisposedException>());
        }
        Assert.That(outer.Span[0], Is.EqualTo(1f));
    }

    [Test]
    public void Another_scopes_tensor_is_passed_through()
    {
        Tensor outer;
        using (MemoryScope scope = new())
        {
            outer = Tensor.Full(1f, 3);
            using MemoryScope nested = new();
            Assert.That(nested.Return(outer), Is.EqualTo(outer));
        }
        Assert.That(() => outer.Span[0], Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void A_suspended_scope_owns_nothing()
    {
        Tensor free, returned, temporary;
        using (MemoryScope scope = new())
        using (MemoryScope.Suspend())
        {
            free = Tensor.Full(1f, 3);
            using MemoryScope nested = new();
            temporary = Tensor.Full(2f, 3);
            returned = nested.Return(Tensor.Full(3f, 3));
        }
        Assert.That(free.Span[0] + returned.Span[0], Is.EqualTo(4f));
        Assert.That(() => temporary.Span[0], Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Scopes_close_in_reverse_order()
    {
        MemoryScope outer = new(), inner = new();
        Assert.That(outer.Dispose, Throws.InvalidOperationException);
        Exception? elsewhere = null;
        Thread thread = new(() => elsewhere = Assert.Catch(inner.Dispose));
        thread.Start();
        thread.Join();
        Assert.That(elsewhere, Is.TypeOf<InvalidOperationException>());
        inner.Dispose();
        outer.Dispose();
    }

    [Test]
    public void Closing_twice_is_harmless()
    {
        MemoryScope first = new();
        first.Dispose();
        using MemoryScope second = new();
        Tensor x = Tensor.Full(1f, 3);
        first.Dispose();
        Assert.That(x.Span[0], Is.EqualTo(1f));
        default(MemoryScope).Dispose();
    }

    [Test]
    public void A_scope_returns_nothing_on_another_thread()
    {
        Tensor tensor;
        using (MemoryScope scope = new())
        {
            tensor = Tensor.Full(1f, 3);
            Exception? refused = null;
            Thread other = new(() => refused = Assert.Catch(() => scope.Return(tensor)));
            other.Start();
            other.Join();
            Assert.That(refused, Is.InstanceOf<InvalidOperationException>());
        }
        Assert.That(() => tensor.Span[0], Throws.TypeOf<ObjectDisposedException>(), "the scope owned it to the end");
    }
}
