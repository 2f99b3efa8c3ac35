using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Mamba.Examples;

public sealed class MambaCifar(Scope root)
{
    private readonly Conv2d _patchEmbed = new(root / "patch_embed", new ConvConfig(Inputs: 3, Outputs: 64, Kernel: 4) { Stride = 4 });
    private readonly MambaMixer _block1 = new(root / "block1" / "mamba", new MambaConfig(DModel: 64));
    private readonly MambaMixer _block2 = new(root / "block2" / "mamba", new MambaConfig(DModel: 64));
    private readonly Linear _classifier = new(root / "classifier", inputs: 64, outputs: 10);

    public Tensor Forward(Tensor images) // (B, 32, 32, 3) in [-1, 1]
    {
        Tensor tokens = _patchEmbed.Forward(images).Reshape(images.Shape[0], 64, 64); // (B, 8, 8, 64) -> (B, 8 * 8, 64)
        tokens = _block2.Forward(_block1.Forward(tokens));
        return _classifier.Forward(Ops.Mean(tokens, [1])); // (B, 10)
    }

    public void Load(string path)
    {
        using WeightFile file = WeightFile.Open(path);
        root.Store.Load(file);
    }

    public int[] Predict(Tensor images)
    {
        root.Store.Training = false;
        using MemoryScope scope = new();
        Tensor logits = Forward(images);
        return [.. Enumerable.Range(0, logits.Shape[0]).Select(b => TensorPrimitives.IndexOfMax(logits.Span.Slice(b * 10, 10)))];
    }

    public float TrainStep(Optimizer optimizer, Tensor images, int[] labels)
    {
        root.Store.Training = true;
        root.Store.ZeroGrad();
        using Tape tape = new();
        Tensor loss = Ops.CrossEntropy(Forward(images), labels);
        tape.Backward(loss);
        optimizer.Step();
        return loss.Item();
    }
}
