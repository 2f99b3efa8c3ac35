using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>
/// Knowledge distillation (Hinton et al. 2015): the loss of a student is (1 - a) times that of the task, plus a times T^2 KL(teacher / T ||
/// student / T), the mean over images or pixels. Of classes these are softmaxes. Of a mask of one class, the distributions of lesion and
/// background in each pixel, which a sigmoid gives.
/// </summary>
/// <param name="teacher">The teacher, frozen; it sees the batches of the student.</param>
/// <param name="temperature">T, above 0.</param>
/// <param name="weight">a, from 0 to 1.</param>
public sealed class Distillation(VisionModel teacher, double temperature, double weight)
{
    /// <summary>The temperature where none is given: the upper end of what Hinton et al. found best for their smallest student.</summary>
    public const double DefaultTemperature = 4;

    /// <summary>The weight of the teacher where none is given: as much as the task's.</summary>
    public const double DefaultWeight = 0.5;

    // Log-odds of a probability are bounded by 13.8; beyond, float32 has no digits left next to 1.
    private const float LeastProbability = 1e-6f;

    /// <summary>Refuses a teacher that would not see what it was trained on, or that decides something else.</summary>
    /// <param name="path">The teacher's file, for messages.</param>
    /// <param name="teacher">What the file says.</param>
    /// <param name="student">What the student's file will say.</param>
    /// <exception cref="ArgumentException">They differ; the message says in what, and what the teacher has.</exception>
    public static void ThrowIfUnfit(string path, ModelInfo teacher, ModelInfo student)
    {
        ArgumentNullException.ThrowIfNull(teacher);
        ArgumentNullException.ThrowIfNull(student);
        bool byName = student.Entry.Task == ModelTask.Classification || student.Labels.Count > 1;
        string? difference =
            teacher.Entry.Task != student.Entry.Task ? $"is for {Word(teacher)}, and {student.Model} is for {Word(student)}"
            : teacher.Labels.Count != student.Labels.Count || (byName && !teacher.Labels.SequenceEqual(student.Labels))
                ? $"has the classes {string.Join(", ", teacher.Labels)}; the data has {string.Join(", ", student.Labels)}"
            : teacher.Config.InputChannels != student.Config.InputChannels
                ? $"takes {teacher.Config.InputChannels} channels; expected --channels {teacher.Config.InputChannels}"
            : (teacher.Data.Height, teacher.Data.Width) != (student.Data.Height, student.Data.Width)
                ? $"was trained on {teacher.Data.Height} x {teacher.Data.Width}; "
                    + $"expected --size {teacher.Data.Height}x{teacher.Data.Width}"
            : !teacher.Normalization.Mean.SequenceEqual(student.Normalization.Mean)
                || !teacher.Normalization.Std.SequenceEqual(student.Normalization.Std)
                ? "was trained with another normalization; expected its --normalize"
            : teacher.Intensity != student.Intensity ? $"was trained with another intensity; expected --intensity {teacher.Intensity}"
            : null;
        if (difference is not null) throw new ArgumentException($"--teacher: {path} {difference}");

        static string Word(ModelInfo info) => RunArguments.Name(info.Entry.Task);
    }

    /// <summary>Mixes the loss of the task with the divergence from the teacher.</summary>
    /// <param name="task">The loss of the task, a scalar.</param>
    /// <param name="objective">What the student is trained for.</param>
    /// <param name="images">The batch.</param>
    /// <param name="prediction">What the student makes of it.</param>
    /// <param name="output">Whether that is logits or probabilities.</param>
    /// <returns>A scalar. An open tape records it; the teacher gets no gradient.</returns>
    public Tensor Loss(Tensor task, Objective objective, Tensor images, Tensor prediction, ModelOutput output)
    {
        Tensor divergence = Ops.Distillation(Logits(prediction, output), Targets(objective, images), (float)temperature);
        return Ops.Add(Ops.Scale(task, (float)(1 - weight)), Ops.Scale(divergence, (float)weight));
    }

    private Tensor Targets(Objective objective, Tensor images)
    {
        using RecordingPause _ = Tape.Pause();
        using MemoryScope scope = new();
        return scope.Return(Logits(objective.Predict(teacher, images), teacher.Output));
    }

    /// <summary>
    /// The logits of the classes, last. Of one class, those of background and lesion: softmax(0, x) is 1 - sigmoid(x) and sigmoid(x).
    /// </summary>
    private static Tensor Logits(Tensor x, ModelOutput output)
    {
        if (x.Shape.Rank != 4 || x.Shape[3] > 1) return x;
        if (output == ModelOutput.Probabilities)
        {
            Tensor p = Ops.Clamp(x, LeastProbability, 1 - LeastProbability);
            Tensor rest = Ops.Subtract(Tensor.Full(1f, p.Shape), p);
            x = Ops.Subtract(Ops.Log(p), Ops.Log(rest));
        }
        return Ops.Concat([Tensor.Zeros(x.Shape), x]);
    }
}
