using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>Products whose leading dimensions broadcast, vectors, and equations.</summary>
    public static OperatorCase[] ProductForms =>
    [
        Product("B 1 M K, L K N", "B=2 L=3 M=33 K=20 N=34"),
        Product("B L M K, 1 L K N", "B=3 L=2 M=100 K=7 N=17"),
        Product("L M K, B L K N", "B=2 L=2 M=5 K=130 N=3"),
        Product("B M K, K N", "B=3 M=40 K=33 N=17"),
        Product("M K, B K N", "B=3 M=40 K=33 N=17"),
        Product("1 M K, B K N", "B=4 M=4 K=4 N=4"),
        Product("B M K, 1 K N", "B=2 M=4 K=1200 N=3"),
        Product("M M, M M", "M=70"),
        Product("M M M, M M", "M=6"),
        Product("B M M, B M M", "B=3 M=6", transposeA: true, transposeB: true),
        Product("B K M, K N", "B=3 M=17 K=20 N=18", transposeA: true),
        Product("B L M K, L N K", "B=3 L=2 M=17 K=20 N=18", transposeB: true),
        Product("K M, B N K", "B=3 M=17 K=20 N=18", transposeA: true, transposeB: true),
        Product("K, K", "K=300"),
        Product("K, B K N", "B=2 K=40 N=35"),
        Product("B M K, K", "B=2 M=35 K=40"),
        Product("K, B N K", "B=2 K=40 N=35", transposeB: true),
        Product("M K, K", "M=35 K=40"),
        Equation("ij->ji", "I J", "I=30 J=17"),
        Equation("bij->b", "B I J", "B=3 I=30 J=17"),
        Equation("bij->", "B I J", "B=3 I=30 J=17"),
        Equation("bij->bj", "B I J", "B=3 I=30 J=17"),
        Equation("bhid,bhjd->bhij", "B H I D, B H J D", "B=2 H=3 I=20 J=20 D=17"),
        Equation("bhij,bhjd->bihd", "B H I J, B H J D", "B=2 H=3 I=17 J=17 D=17"),
        Equation("bi,bj->bij", "B I, B J", "B=3 I=20 J=20"),
        Equation("bi,bi->bi", "B I, B I", "B=3 I=200"),
        Equation("bi,bi->", "B I, B I", "B=3 I=200"),
        Equation("bik,jl->jb", "B I K, J L", "B=6 I=4 K=3 J=9 L=8"),
        Equation("ijk,kl->lij", "I J K, K L", "I=4 J=5 K=17 L=18"),
        new("Linear", "B L I, O I, O", "B=2 L=40 I=65 O=35", i => [Ops.Linear(i[0], i[1], i[2])]) { HasOtherWays = true },
    ];

    private static OperatorCase Product(string shapes, string sizes, bool transposeA = false, bool transposeB = false) =>
        new("MatMul", shapes, sizes, i => [Ops.MatMul(i[0], i[1], transposeA, transposeB)])
        {
            Note = $"{shapes}; {sizes}{(transposeA ? "; transposed a" : "")}{(transposeB ? "; transposed b" : "")}",
        };

    private static OperatorCase Equation(string equation, string shapes, string sizes) => new(
        "Einsum", shapes, sizes, i => [i.Length == 1 ? Ops.Einsum(equation, i[0]) : Ops.Einsum(equation, i[0], i[1])])
    {
        Note = $"{equation}; {sizes}",
    };
}
