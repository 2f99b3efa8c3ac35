using Mamba.Core;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// Holds every operator of <see cref="OperatorTable"/> to the rule of fault 1: a backward step reads what it has saved, and keeps no
/// address. What is saved does not depend on the width, so one is enough.
/// </summary>
internal sealed class RecomputedInputsTests
{
    public static IEnumerable<OperatorCase> Cases => OperatorTable.All;

    [TestCaseSource(nameof(Cases))]
    public void Gradients_are_the_same_where_inputs_are_computed_again(OperatorCase op)
    {
        Tensor[] inputs = op.Inputs();
        for (int result = 0, count = 1; result < count; result++)
        {
            for (int i = 0; i < inputs.Length; i++)
            {
                inputs[i].RequiresGrad = !op.Frozen.Contains(i);
                inputs[i].ZeroGrad();
            }
            float[] cotangent;
            using (Tape tape = new())
            {
                Tensor[] results = op.Call(inputs);
                count = results.Length;
                Tensor y = results[result];
                if (!y.NeedsGrad) continue; // places, comparisons
                cotangent = Numbers.Uniform(y.Count, 5);
                tape.Backward(y, Tensor.From(cotangent, y.Shape.ToArray()));
            }
            // This result may not depend on every input.
            foreach (Tensor x in inputs) x.RequiresGrad = x.RequiresGrad && x.Grad is not null;
            int place = result;
            RecomputedInputs.GiveTheSameGradients(given => op.Call(given)[place], inputs, cotangent);
        }
    }
}
