using System.Collections.Concurrent;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Einstein summation over one tensor (torch.einsum), for instance "ij-&gt;ji" or "bij-&gt;b": letters that are not in the result are
    /// summed over.
    /// </summary>
    /// <param name="equation">One letter per dimension, then "-&gt;" and the letters of the result.</param>
    /// <param name="a">The tensor.</param>
    /// <returns>One dimension per letter of the result.</returns>
    /// <exception cref="ShapeException">The letters do not fit the shape.</exception>
    /// <exception cref="ArgumentException">The equation cannot be parsed, or a letter occurs twice in a tensor.</exception>
    public static Tensor Einsum(string equation, Tensor a)
    {
        EinsumPlan plan = EinsumPlan.Of(equation, operands: 1);
        Span<int> extents = stackalloc int[EinsumPlan.Letters];
        extents.Fill(EinsumPlan.Unknown);
        plan.Bind(a, plan.A, extents);
        return SumAlone(Reorder(a, plan.OrderA), plan.AloneA, extents).Reshape(EinsumPlan.Extents(plan.Result, extents));
    }

    /// <summary>
    /// Einstein summation over two tensors (torch.einsum), for instance "bhid,bhjd-&gt;bhij": letters that are not in the result are summed
    /// over. It is one batched <see cref="MatMul"/>; an operand in another order is copied first.
    /// </summary>
    /// <param name="equation">The letters of both tensors, separated by a comma, then "-&gt;" and the letters of the result.</param>
    /// <param name="a">The first tensor.</param>
    /// <param name="b">The second tensor.</param>
    /// <returns>One dimension per letter of the result.</returns>
    /// <exception cref="ShapeException">The letters do not fit the shapes, or one letter stands for different extents.</exception>
    /// <exception cref="ArgumentException">The equation cannot be parsed, or a letter occurs twice in a tensor.</exception>
    public static Tensor Einsum(string equation, Tensor a, Tensor b)
    {
        EinsumPlan plan = EinsumPlan.Of(equation, operands: 2);
        Span<int> extents = stackalloc int[EinsumPlan.Letters];
        extents.Fill(EinsumPlan.Unknown);
        plan.Bind(a, plan.A, extents);
        plan.Bind(b, plan.B, extents);
        Shape product = EinsumPlan.Extents(plan.ProductOrder, extents);
        int batch = EinsumPlan.Count(plan.Batch, extents), rows = EinsumPlan.Count(plan.FreeA, extents);
        int inner = EinsumPlan.Count(plan.Inner, extents), columns = EinsumPlan.Count(plan.FreeB, extents);
        Tensor left = SumAlone(Reorder(a, plan.OrderA), plan.AloneA, extents).Reshape(batch, rows, inner);
        Tensor right = SumAlone(Reorder(b, plan.OrderB), plan.AloneB, extents);
        right = plan.TransposedB ? right.Reshape(batch, columns, inner) : right.Reshape(batch, inner, columns);
        Tensor y = MatMul(left, right, transposeB: plan.TransposedB);
        return Reorder(y.Reshape(product), plan.OrderResult);
    }

    private static Tensor Reorder(Tensor x, int[]? order) => order is null ? x : Permute(x, order);

    /// <summary>The sum over the last dimensions, those of <paramref name="alone"/>: a product with ones.</summary>
    private static Tensor SumAlone(Tensor x, string alone, ReadOnlySpan<int> extents)
    {
        if (alone.Length == 0) return x;
        int count = EinsumPlan.Count(alone, extents);
        Span<int> all = stackalloc int[x.Shape.Rank];
        x.Shape.CopyTo(all);
        return MatMul(x.Reshape(Shape.Of("Einsum", all[..^alone.Length]).Count, count), Tensor.Full(1f, count));
    }

    /// <summary>A parsed equation: its letters by role, and the required order of each operand, null where it already has it.</summary>
    private sealed class EinsumPlan
    {
        public const int Letters = 'z' - 'A' + 1;

        /// <summary>The extent of a letter that no operand has bound yet.</summary>
        public const int Unknown = -1;

        // Equations are string literals, so there are few.
        private const int MostCached = 256;
        private static readonly ConcurrentDictionary<(string, int), EinsumPlan> s_cache = new();
        private readonly string _equation;

        private EinsumPlan(string equation, string a, string b, string result)
        {
            (_equation, A, B, Result) = (equation, a, b, result);
            Batch = Where(result, c => a.Contains(c) && b.Contains(c));
            FreeA = Where(result, c => a.Contains(c) && !b.Contains(c));
            FreeB = Where(result, c => !a.Contains(c) && b.Contains(c));
            Inner = Where(a, c => b.Contains(c) && !result.Contains(c));
            AloneA = Where(a, c => !b.Contains(c) && !result.Contains(c));
            AloneB = Where(b, c => !a.Contains(c) && !result.Contains(c));
            OrderA = Order(a, Batch + FreeA + Inner + AloneA);
            TransposedB = AloneB.Length == 0 && b == Batch + FreeB + Inner;
            OrderB = TransposedB ? null : Order(b, Batch + Inner + FreeB + AloneB);
            ProductOrder = Batch + FreeA + FreeB;
            OrderResult = Order(ProductOrder, result);
        }

        public string A { get; }

        public string B { get; }

        public string Result { get; }

        /// <summary>In both operands and in the result.</summary>
        public string Batch { get; }

        /// <summary>In the first operand and in the result.</summary>
        public string FreeA { get; }

        /// <inheritdoc cref="FreeA"/>
        public string FreeB { get; }

        /// <summary>In both operands, summed over.</summary>
        public string Inner { get; }

        /// <summary>In one operand, summed over.</summary>
        public string AloneA { get; }

        /// <inheritdoc cref="AloneA"/>
        public string AloneB { get; }

        /// <summary>The letters of the product, before the permutation to the result's order.</summary>
        public string ProductOrder { get; }

        /// <summary>Whether the second operand has its summed letters last.</summary>
        public bool TransposedB { get; }

        public int[]? OrderA { get; }

        public int[]? OrderB { get; }

        public int[]? OrderResult { get; }

        /// <exception cref="ArgumentException">The equation cannot be read.</exception>
        public static EinsumPlan Of(string equation, int operands)
        {
            ArgumentNullException.ThrowIfNull(equation);
            if (s_cache.TryGetValue((equation, operands), out EinsumPlan? known)) return known;
            string[] sides = equation.Replace(" ", "").Split("->"), inputs = sides[0].Split(',');
            if (sides.Length != 2 || inputs.Length != operands) throw Bad($"expected {operands} operand(s) and a result");
            string a = inputs[0], b = operands == 2 ? inputs[1] : "", result = sides[1];
            foreach (string term in (ReadOnlySpan<string>)[a, b, result])
            {
                foreach (char c in term)
                    if (!char.IsAsciiLetter(c)) throw Bad($"'{c}' is no letter");
                if (term.Distinct().Count() != term.Length) throw Bad($"a letter comes twice in '{term}'");
            }
            foreach (char c in result)
                if (!a.Contains(c) && !b.Contains(c)) throw Bad($"'{c}' is in no operand");
            EinsumPlan plan = new(equation, a, b, result);
            if (s_cache.Count < MostCached) s_cache.TryAdd((equation, operands), plan);
            return plan;

            ArgumentException Bad(string problem) => new($"Einsum: '{equation}': {problem}.", nameof(equation));
        }

        /// <summary>Binds the extents of an operand's letters.</summary>
        public void Bind(Tensor x, string letters, Span<int> extents)
        {
            Check.That(x.Shape.Rank == letters.Length, "Einsum",
                $"'{_equation}' with {x.Shape}; expected a dimension for each letter of '{letters}'");
            for (int i = 0; i < letters.Length; i++)
            {
                ref int extent = ref extents[letters[i] - 'A'];
                Check.That(extent == Unknown || extent == x.Shape[i], "Einsum",
                    $"'{_equation}': '{letters[i]}' is {extent} and {x.Shape[i]}; expected equal extents");
                extent = x.Shape[i];
            }
        }

        public static Shape Extents(string letters, ReadOnlySpan<int> extents)
        {
            Span<int> shape = stackalloc int[Math.Min(letters.Length, Shape.MaxRank + 1)];
            for (int i = 0; i < shape.Length; i++) shape[i] = extents[letters[i] - 'A'];
            return Shape.Of("Einsum", shape);
        }

        public static int Count(string letters, ReadOnlySpan<int> extents) => Extents(letters, extents).Count;

        private static string Where(string letters, Func<char, bool> condition) => string.Concat(letters.Where(condition));

        private static int[]? Order(string from, string to) => from == to ? null : [.. to.Select(c => from.IndexOf(c))];
    }
}
