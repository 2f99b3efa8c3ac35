using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>Every option of the convolutions, with input and weight of one shape where a case is about them being one tensor.</summary>
    public static OperatorCase[] ConvolutionForms =>
    [
        Conv2d("B H W C, O C 5 3, O", "B=2 H=13 W=18 C=9 O=11", new() { Padding = new(0, 1, 2, 1), Stride = (2, 1), Dilation = (1, 2) }),
        Conv2d("B H W C, O C 3 2, O", "B=2 H=9 W=20 C=33 O=34", new() { Padding = Padding2d.Same, Activation = Activation.Silu }),
        Conv2d("B H W 6, O 3 3 3, O", "B=2 H=11 W=12 O=40", new() { Padding = 1, Groups = 2, Activation = Activation.LeakyRelu }),
        Conv2d("B H W C, C 1 5 5, C", "B=2 H=21 W=12 C=19", new() { Padding = 2, Groups = 19, Stride = 2 }),
        Conv2d("B H W 6, 12 1 3 3, 12", "B=2 H=10 W=12", new() { Padding = 1, Groups = 6, Activation = Activation.Relu }),
        Conv2d("B H W C, O C 1 1, O", "B=2 H=18 W=17 C=70 O=40", new() { Stride = 2 }),
        Conv2d("B H W C, O C 1 1, O", "B=2 H=12 W=11 C=70 O=40", new() { Activation = Activation.Relu }),
        Conv2d("B H W C, O C 1 1, O", "B=2 H=6 W=7 C=200 O=35", new() { ShortSums = true, Activation = Activation.Relu6 }),
        Conv2d("B H W C, O C 3 3", "B=1 H=40 W=40 C=64 O=32", new() { Padding = 1 }),
        Conv2d("B H W C, O C 3 3, O", "B=2 H=24 W=24 C=16 O=2", new() { Padding = (1, 0), Activation = Activation.Relu }),
        Conv2d("O C W 3, O C W 3, O", "O=3 C=3 W=7", new() { Padding = (3, 1) }, refused: "C W O"),
        Conv2d("O 2 W 4, O 2 W 4, O", "O=6 W=5", new() { Padding = (3, 2), Groups = 2 }, refused: "W O"),
        Conv2d("C 1 K C, C 1 K C, C", "C=5 K=3", new() { Padding = (1, 2), Groups = 5 }, refused: "C K"),
        Conv2d("C 1 3 C, C 1 3 C, C", "C=17", new() { Padding = (1, 8), Groups = 17, Activation = Activation.Relu }, refused: "C"),
        Conv2d("O C 3 3, O C 3 3, O", "O=3 C=3", new() { Padding = 2, Dilation = 2, Activation = Activation.Relu }, refused: "O C"),
        Conv2d("O C 2 2, O 2 C 2, O", "O=4 C=2", new() { Padding = 1, Stride = 2 }, refused: "O C"),
        Conv1d("B L 8, O 4 K, O", "B=2 L=200 O=18 K=5", new() { Padding = 2, Stride = 2, Groups = 2 }),
        Conv1d("B L C, O C K", "B=2 L=150 C=17 O=18 K=3", new() { Padding = Padding2d.Same, Dilation = 3, Activation = Activation.Relu }),
        Conv1d("B L C, C 1 K, C", "B=2 L=150 C=20 K=4", new() { Padding = new(0, 3, 0, 0), Groups = 20 }),
        Conv1d("O 2 4, O 2 4, O", "O=4", new() { Padding = 3, Groups = 2 }, refused: "O"),
        Conv1d("C 1 C, C 1 C, C", "C=5", new() { Padding = 2, Groups = 5 }, refused: "C"),
        Transposed2d("B H W C, C O 3 3, O", "B=2 H=9 W=10 C=18 O=17", new() { Stride = 2, Padding = 1, OutputPadding = 1 }),
        Transposed2d("B H W C, C O 2 3", "B=2 H=9 W=7 C=5 O=6", new() { Dilation = (1, 2), Stride = (1, 3), Activation = Activation.Relu }),
        Transposed2d("B H W 6, 6 5 4 4, 10", "B=2 H=7 W=8", new() { Stride = 2, Padding = new(1, 0, 1, 2), Groups = 2 }),
        Transposed2d("B H W C, C 1 4 4, C", "B=2 H=7 W=8 C=20", new() { Stride = 2, Padding = 1, Groups = 20 }),
        Transposed2d("C O W 3, C O W 3, O", "C=3 O=4 W=5", new() { Padding = 1 }, refused: "C O W"),
        Transposed2d("C 1 W C, C 1 W C, C", "C=4 W=5", new() { Groups = 4 }, refused: "C W"),
        Transposed1d("B L C, C O K, O", "B=2 L=120 C=9 O=17 K=4", new() { Stride = 2, Padding = 1 }),
        Transposed1d("B L 4, 4 3 K, 6", "B=2 L=50 K=3", new() { Stride = 3, OutputPadding = 2, Groups = 2, Dilation = 2 }),
        Transposed1d("C O C, C O C, O", "C=4 O=6", new() { Padding = 1, Activation = Activation.Silu }, refused: "C O"),
        new("CausalConv1d", "C 1 K, C 1 K, C", "C=4 K=4", i => [Ops.CausalConv1d(i[0], i[1], i[2], Activation.Relu)]) { Refused = "C K" },
        new("CausalConv1d", "B L C, C 1 4", "B=2 L=130 C=33",
            i => [Ops.CausalConv1d(i[0], i[1], null, Activation.Gelu, reverse: true)]),
    ];

    private static OperatorCase Conv2d(string shapes, string sizes, ConvOptions options, string? refused = null) =>
        Convolution("Conv2d", shapes, sizes, refused, options, i => Ops.Conv2d(i[0], i[1], Optional(i, 2), options));

    private static OperatorCase Conv1d(string shapes, string sizes, ConvOptions options, string? refused = null) =>
        Convolution("Conv1d", shapes, sizes, refused, options, i => Ops.Conv1d(i[0], i[1], Optional(i, 2), options));

    private static OperatorCase Transposed2d(string shapes, string sizes, ConvOptions options, string? refused = null) =>
        Convolution(
            "ConvTranspose2d", shapes, sizes, refused, options, i => Ops.ConvTranspose2d(i[0], i[1], Optional(i, 2), options));

    private static OperatorCase Transposed1d(string shapes, string sizes, ConvOptions options, string? refused = null) =>
        Convolution(
            "ConvTranspose1d", shapes, sizes, refused, options, i => Ops.ConvTranspose1d(i[0], i[1], Optional(i, 2), options));

    /// <summary>The last input, where a case has so many.</summary>
    private static Tensor? Optional(Tensor[] inputs, int index) => index < inputs.Length ? inputs[index] : null;

    /// <summary>As in PyTorch, the batch alone may be empty.</summary>
    private static OperatorCase Convolution(
        string name, string shapes, string sizes, string? refused, ConvOptions options, Func<Tensor[], Tensor> call)
    {
        OperatorCase of = new(name, shapes, sizes, i => [call(i)]);
        return of with
        {
            Refused = refused ?? string.Join(' ', of.Dimensions.Where(d => d != "B")),
            Note = $"{shapes}; {sizes}; stride {options.Stride}, {options.Padding}, dilation {options.Dilation}, groups {options.Groups}, "
                + $"{options.Activation}",
        };
    }
}
