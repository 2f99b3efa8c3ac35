using Mamba.Core;

namespace Mamba.Models.Sequences;

/// <summary>
/// State tracking (Grazzi et al. 2025; Lahoti et al. 2026, Mamba-3): each position asks for the sum of all tokens so far, modulo the
/// number of tokens. Modulo 2 it is the parity of a string of bits. Transition matrices with eigenvalues in [0, 1], as Mamba has, cannot
/// hold such a state over any length; a rotation can.
/// </summary>
/// <param name="name">The name on the command line.</param>
/// <param name="modulus">The number of tokens, and of states.</param>
/// <param name="length">Positions.</param>
/// <param name="seed">The seed of the sequences.</param>
public sealed class ModularSum(string name, int modulus, int length, ulong seed) : TokenTask(length, 1, seed)
{
    /// <inheritdoc/>
    public override string Name => name;

    /// <inheritdoc/>
    public override int? Vocabulary => modulus;

    /// <inheritdoc/>
    protected override TokenSequence Begin(RandomStream random, int length) => new Sequence(random, modulus);

    private sealed class Sequence(RandomStream random, int modulus) : TokenSequence
    {
        private int _sum;

        protected override (int Token, int Target) Token(int position)
        {
            int token = random.NextInt(modulus);
            _sum = (_sum + token) % modulus;
            return (token, _sum);
        }
    }
}
