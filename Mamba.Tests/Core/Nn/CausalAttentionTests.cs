using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>What attention does with its state; <see cref="StateSpaceLayerTests"/> hold its gradients.</summary>
internal sealed class CausalAttentionTests
{
    private static readonly CausalAttentionConfig s_config = new(Width: 6, Heads: 2, Positions: 12);

    [Test]
    public void A_batch_of_no_sequences_is_mixed_with_a_state()
    {
        CausalAttention layer = new(new Scope(new ParameterStore(seed: 4)), s_config);
        AttentionState state = (AttentionState)layer.NewState(0);
        foreach (int length in new[] { 3, 1, 2 })
            Assert.That(layer.Forward(Tensor.Zeros(0, length, 6), null, state).Shape, Is.EqualTo(new Shape(0, length, 6)));
        Assert.That(layer.Step(Tensor.Zeros(0, 6), state).Shape, Is.EqualTo(new Shape(0, 6)));
        Assert.That(state.Length, Is.EqualTo(7));
    }

    /// <summary>Queries and keys are finite, and their products are not: the attention itself throws.</summary>
    [Test]
    public void An_attention_that_fails_leaves_the_state()
    {
        ParameterStore store = new(seed: 4);
        CausalAttention layer = new(new Scope(store), s_config);
        AttentionState state = (AttentionState)layer.NewState(1);
        Tensor x = Numbers.Random(5, 1, 4, 6);
        layer.Forward(x, null, state);
        foreach (ref float weight in store["in_proj.weight"].Span) weight *= 1e25f;
        using (Tape tape = new() { Numerics = new NumericsCheck(store.All) })
            Assert.That(() => layer.Forward(x, null, state), Throws.TypeOf<NonFiniteException>());
        Assert.That(state.Length, Is.EqualTo(4));
    }
}
