using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba train</c>: from a folder of images, or from nothing, to weights.</summary>
internal static class TrainCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string?> model = Options.Text("--model", "NAME", "The model, see 'mamba models'. Default: ul-vm-unet.");
        Option<string?> data = Options.Text("--data", "DIR", "A folder of pairs NAME.ext and NAME_mask.ext (tif, png, jpg, bmp), or 'synthetic'. Default: synthetic.");
        Option<SplitProtocol?> protocol = Options.Choice("--protocol", "Deal slices at random, as the paper does, or whole patients. Default: slice.", ("slice", SplitProtocol.Slice), ("patient", SplitProtocol.Patient));
        Option<int?> epochs = Options.Integer("--epochs", $"Passes over the training images. Default: {TrainingRecipe.PaperEpochs}, as the paper; {TrainDefaults.SyntheticEpochs} on synthetic data.", 1, 1_000_000);
        Option<int?> batch = Options.Integer("--batch", "Images a step. Default: the model's recipe.", 1, 4096);
        Option<double?> rate = Options.Number("--lr", "The learning rate. Default: the model's recipe, 3e-4.");
        Option<ScheduleKind?> schedule = Options.Choice("--schedule", "The learning rate over the run. Default: constant; cosine on synthetic data.", ("constant", ScheduleKind.Constant), ("step", ScheduleKind.Step), ("cosine", ScheduleKind.Cosine));
        Option<OptimizerKind?> optimizer = Options.Choice("--optimizer", "Default: the model's recipe.", ("adam", OptimizerKind.Adam), ("adamw", OptimizerKind.AdamW), ("sgd", OptimizerKind.Sgd));
        Option<double?> decay = Options.Number("--weight-decay", "Default: the model's recipe.", orZero: true);
        Option<SegmentationLoss?> loss = Options.Choice("--loss", "Default: the model's recipe.", ("bce-dice", SegmentationLoss.BceDice), ("dice", SegmentationLoss.Dice), ("bce", SegmentationLoss.BceWithLogits));
        Option<double?> clip = Options.Number("--clip-norm", "Bound of the gradients' norm. Default: none.");
        Option<int?> patience = Options.Integer("--patience", "Stop after so many epochs without a better validation Dice. Default: never.", 1);
        Option<bool> augment = Options.Flag("--augment", "Flip, turn and change brightness and contrast of training images.");
        Option<ulong?> seed = Options.Seed("Seed of split, weights, order and augmentation. Default: 0.");
        Option<(int Height, int Width)?> size = Options.Size("Rows and columns of the model's input; images are resized to it. Default: 256x256.");
        Option<int?> limit = Options.Integer("--limit", $"Images in all, chosen at random before splitting. Default: all; {TrainDefaults.SyntheticImages} of synthetic data.", 1);
        Option<int?> cache = Options.Integer("--cache-mb", "Memory for decoded images, in MiB. Default: 2048.", 0, 1 << 20);
        Option<int?> threads = Options.Threads();
        Option<string?> output = Options.Text("--out", "DIR", "The run folder. Default: runs/train/MODEL[-n].");
        Command command = new(
            "train",
            "Train a model. Writes args.json, results.csv, curves.svg, weights/, samples/ and summary.md. Ctrl-C stops after the running step and saves.\n\n" +
            "Example: mamba train --data lgg-mri --protocol patient --epochs 20")
        {
            model, data, protocol, epochs, batch, rate, schedule, optimizer, decay, loss, clip, patience, augment, seed, size, limit, cache, threads, output,
        };
        command.SetAction(parsed =>
        {
            ModelEntry entry = Registry.Find(parsed.GetValue(model) ?? "ul-vm-unet");
            TrainingRecipe recipe = entry.Recipe;
            string name = parsed.GetValue(data) ?? RunArguments.Synthetic;
            bool synthetic = name == RunArguments.Synthetic;
            (int height, int width) = parsed.GetValue(size) ?? (entry.ImageSize, entry.ImageSize);
            RunArguments arguments = new()
            {
                Model = entry.Name,
                Data = name,
                Protocol = parsed.GetValue(protocol) ?? SplitProtocol.Slice,
                Epochs = parsed.GetValue(epochs) ?? (synthetic ? TrainDefaults.SyntheticEpochs : TrainingRecipe.PaperEpochs),
                Batch = parsed.GetValue(batch) ?? recipe.Batch,
                LearningRate = parsed.GetValue(rate) ?? (synthetic ? TrainDefaults.SyntheticLearningRate : recipe.LearningRate),
                Schedule = parsed.GetValue(schedule) ?? (synthetic ? ScheduleKind.Cosine : ScheduleKind.Constant),
                Optimizer = parsed.GetValue(optimizer) ?? recipe.Optimizer,
                WeightDecay = parsed.GetValue(decay) ?? recipe.WeightDecay,
                Loss = parsed.GetValue(loss) ?? recipe.Loss,
                ClipNorm = parsed.GetValue(clip),
                Patience = parsed.GetValue(patience),
                Augment = parsed.GetValue(augment),
                Seed = parsed.GetValue(seed) ?? 0,
                Threads = Options.Apply(parsed, threads),
                Height = height,
                Width = width,
                Limit = parsed.GetValue(limit) ?? (synthetic ? TrainDefaults.SyntheticImages : null),
                CacheBytes = (parsed.GetValue(cache) ?? 2048L) << 20,
            };
            return new TrainingRun(terminal, entry, arguments, parsed.GetValue(output)).Execute(stop);
        });
        return command;
    }
}
