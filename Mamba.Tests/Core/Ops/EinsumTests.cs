using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class EinsumTests(VectorWidth width)
{
    // Batch, free, inner and lone letters in all places, the second operand in both orders, and results in another order than the
    // product's.
    [TestCase("ij,jk->ik"), TestCase("ij,kj->ki"), TestCase("bhid,bhjd->bhij"), TestCase("bhij,bhjd->bhid"), TestCase("bln,blp->bpn"),
        TestCase("bi,bj->bij")]
    [TestCase("ij,jk->i"), TestCase("ij,jk->"), TestCase("ij,kl->jk"), TestCase("i,i->"), TestCase("ibj,jkb->kbi"),
        TestCase(" a b , b c -> c a "), TestCase("i,j->ji")]
    public void Two_operands(string equation)
    {
        string[] terms = equation.Replace(" ", "").Replace("->", ",").Split(',');
        OperatorCheck.Run(
            width, x => Ops.Einsum(equation, x[0], x[1]), x => Naive(terms, x),
                [Numbers.Random(1, Extents(terms[0])), Numbers.Random(2, Extents(terms[1]))]);
    }

    [TestCase("ij->ji"), TestCase("ij->j"), TestCase("ijk->"), TestCase("bij->bij"), TestCase("bijc->cb")]
    public void One_operand(string equation)
    {
        string[] terms = equation.Split("->");
        OperatorCheck.Run(width, x => Ops.Einsum(equation, x[0]), x => Naive(terms, x), [Numbers.Random(1, Extents(terms[0]))]);
    }

    [Test]
    public void A_tensor_with_itself() =>
        OperatorCheck.Run(width, x => Ops.Einsum("ij,kj->ik", x[0], x[0]), x => Naive(["ij", "kj", "ik"], [x[0], x[0]], k: 'i'),
            [Numbers.Random(1, Extents("ij"))]);

    [Test]
    public void Empty_sums_are_zero()
    {
        using IDisposable _ = Isa.Use(width);
        Assert.That(Ops.Einsum("ij,jk->ik", Tensor.Zeros(2, 0), Tensor.Zeros(0, 3)).Span.ToArray(), Is.EqualTo(new float[6]));
        Assert.That(Ops.Einsum("ij->i", Tensor.Zeros(2, 0)).Span.ToArray(), Is.EqualTo(new float[2]));
        Assert.That(Ops.Einsum("bij,bjk->bik", Tensor.Zeros(0, 2, 3), Tensor.Zeros(0, 3, 4)).Shape, Is.EqualTo(new Shape(0, 2, 4)));
    }

    [Test]
    public void Bad_equations_and_shapes_are_refused()
    {
        Tensor a = Tensor.Zeros(2, 3), b = Tensor.Zeros(3, 4);
        foreach (string bad in new[] { "ij,jk", "ij->ij", "ij,jk,kl->il", "ii,jk->jk", "i1,jk->k", "ij,jk->il", "ij,jk->ii", "ij,jk->i->k",
            "" })
            Assert.That(() => Ops.Einsum(bad, a, b), Throws.ArgumentException.And.Not.TypeOf<ShapeException>(), bad);
        OperatorCheck.Refuses("Einsum", () => Ops.Einsum("ij,kj->ik", a, b));
        OperatorCheck.Refuses("Einsum", () => Ops.Einsum("ijk,jk->ik", a, b));
        OperatorCheck.Refuses("Einsum", () => Ops.Einsum("i->i", a));
    }

    private static int Extent(char letter) => 2 + (letter - 'a') % 5;

    private static int[] Extents(string term) => [.. term.Select(Extent)];

    /// <summary>The sum over all values of all letters.</summary>
    private static double[] Naive(string[] terms, double[][] x, char k = 'k')
    {
        char[] letters = [.. string.Concat(terms).Distinct()];
        int[] extents = [.. letters.Select(l => Extent(l == 'k' ? k : l))];
        double[] y = new double[terms[^1].Aggregate(1, (n, l) => n * extents[Array.IndexOf(letters, l)])];
        int[] index = new int[letters.Length];
        for (int i = 0; i < extents.Aggregate(1, (n, e) => n * e); i++)
        {
            for (int l = letters.Length - 1, rest = i; l >= 0; rest /= extents[l--]) index[l] = rest % extents[l];
            double product = 1;
            for (int t = 0; t < terms.Length - 1; t++) product *= x[t][At(terms[t])];
            y[At(terms[^1])] += product;
        }
        return y;

        int At(string term) => term.Aggregate(0, (at, l) => at * extents[Array.IndexOf(letters, l)] + index[Array.IndexOf(letters, l)]);
    }
}
