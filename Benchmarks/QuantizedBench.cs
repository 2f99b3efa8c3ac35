using Mamba.Core;
using Mamba.Core.Memory;

namespace Mamba.Benchmarks;

/// <summary>Convolutions and products with int8 codes, beside the same in float32: of frozen weights both, as in inference.</summary>
public class QuantizedBench : OperatorBench
{
    private const string Codes = "int8";

    public override IEnumerable<OperatorPass> Passes => [OperatorPass.Forward];

    public override IEnumerable<OperatorCase> Cases => new[] { "float32", Codes }.SelectMany(kind => new OperatorCase[]
    {
        Conv(kind, "ul-vm-unet encoder3", 64, 16, 24, 3),
        Conv(kind, "unet encoder2", 128, 64, 64, 3),
        Conv(kind, "unet bottleneck", 16, 512, 512, 3),
        Conv(kind, "resnet18 layer1", 64, 64, 64, 3),
        Conv(kind, "resnet50 layer1", 64, 256, 64, 1),
        Conv(kind, "segformer fuse", 56, 1024, 256, 1),
        Linear(kind, "vim in_proj, 16 images", 16 * 65, 192, 768),
        Linear(kind, "vit mlp, 16 images", 16 * 65, 256, 512),
        Linear(kind, "one token", 1, 768, 3072),
    });

    protected override Tensor Input(int index, int[] shape)
    {
        Tensor tensor = base.Input(index, shape);
        // Inputs are in [-1/2, 1/2): code 127 stands for the end.
        bool coded = Case.Name.StartsWith(Codes, StringComparison.Ordinal);
        if (index == 1) tensor.Freeze(coded ? new InputQuantization { Scale = 1 / 254f } : null);
        return tensor;
    }

    private static OperatorCase Conv(string kind, string name, int side, int inputs, int outputs, int kernel)
    {
        ConvOptions options = new() { Padding = kernel / 2 };
        return new OperatorCase(
            $"{kind}, {name}: {side}x{side} {inputs} -> {outputs}, {kernel}x{kernel}", x => Ops.Conv2d(x[0], x[1], options: options),
            [1, side, side, inputs], [outputs, inputs, kernel, kernel]);
    }

    private static OperatorCase Linear(string kind, string name, int rows, int inputs, int outputs) => new(
        $"{kind}, {name}: {rows} x {inputs} -> {outputs}", x => Ops.Linear(x[0], x[1]), [rows, inputs], [outputs, inputs]);
}
