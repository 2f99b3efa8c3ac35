using System.CommandLine;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba train</c>: from a folder of images, or from nothing, to weights.</summary>
internal static class TrainCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string?> resume = Options.Text("--resume", "DIR", "Go on with the run in this folder, from its newest checkpoint and with its own options, to the same weights as if it had not been interrupted.");
        Option<string?> recipe = Options.Text("--recipe", "FILE", $"Options from a file: args.json of any run, or one of the paper's: {string.Join(", ", Recipe.Names)}. What is typed comes first.");
        Option<string?> model = Options.Text("--model", "NAME", "The model, see 'mamba models'. Default: ul-vm-unet.");
        Option<string?> data = Options.Text("--data", "DIR",
            "Pairs NAME.ext and NAME_mask.ext (tif, png, jpg, bmp); CIFAR-10's binary files; MNIST's idx files; a folder a class; or 'synthetic'. Default: synthetic.");
        Option<SplitProtocol?> protocol = Options.Choice<SplitProtocol>("--protocol",
            "Deal images at random (slice), as the paper does with slices; whole patients; the parts that the makers of the data gave, validating on test images as the paper does where they gave no others (official); or those, with a tenth of the training held out to validate (holdout). Default: official where there is one, else slice.");
        Option<int?> epochs = Options.Integer("--epochs", $"Passes over the training images. Default: {TrainingRecipe.PaperEpochs}, as the paper; {TrainDefaults.SyntheticEpochs} on synthetic data.", 1, 1_000_000);
        Option<int?> batch = Options.Integer("--batch", "Images a step. Default: the model's recipe.", 1, 4096);
        Option<double?> rate = Options.Number("--lr", "The learning rate. Default: the model's recipe.");
        Option<ScheduleKind?> schedule = Options.Choice<ScheduleKind>("--schedule", "The learning rate over the run. Default: constant; cosine on synthetic data.");
        Option<OptimizerKind?> optimizer = Options.Choice<OptimizerKind>("--optimizer", "Default: the model's recipe.");
        Option<double?> decay = Options.Number("--weight-decay", "Default: the model's recipe.", orZero: true);
        Option<LossKind?> loss = Options.Choice<LossKind>("--loss", "Default: the model's recipe.");
        Option<double?> smoothing = Options.Share("--label-smoothing", "Share of a class's certainty that all classes get. Default: 0.");
        Option<double?> mixUp = Options.Number("--mixup", "Mix pairs of images by a share drawn from Beta(X, X). Default: none.");
        Option<double?> average = Options.Share("--ema", "Keep an average of the weights with this decay, for instance 0.999, and measure that. Default: none.");
        Option<double?> dropPath = Options.Share("--drop-path", "Rate at which the last block is skipped in training, less for those before. Default: the model's.");
        Option<double?> clip = Options.Number("--clip-norm", "Bound of the gradients' norm. Default: none.");
        Option<int?> patience = Options.Integer("--patience", "Stop after so many epochs without a better validation score. Default: never.", 1);
        Option<AugmentKind?> augment = Options.Choice<AugmentKind>("--augment",
            "Change training images: flips and the like (basic, also without a word), or crop, flip and RandAugment(2, 9). Default: none for segmentation, randaugment for classification, as the paper.", AugmentKind.Basic);
        Option<NormalizationKind?> normalize = Options.Choice<NormalizationKind>("--normalize", "Scaling of the input: none is 0 to 1, half is -1 to 1, the others have a data set's constants. Default: none for segmentation, cifar for classification, as the paper.");
        Option<ulong?> seed = Options.Seed("Seed of split, weights, order and augmentation. Default: 0.");
        Option<(int Height, int Width)?> size = Options.Size("Rows and columns of the model's input; images are resized to it. Default: the model's.");
        Option<int?> channels = Options.Integer("--channels", "Channels of the input, 1 or 3. Default: 3; those of the images for classification.", 1, 3);
        Option<int?> patch = Options.Integer("--patch", "Rows and columns of a patch, where the model has patches.", 1, 1024);
        Option<int?> width = Options.Integer("--width", "Width of the model, where it can be chosen.", 1, 1 << 14);
        Option<int?> depth = Options.Integer("--depth", "Number of the model's blocks, where it can be chosen.", 1, 1024);
        Option<string?> init = Options.Text("--init", "FILE", "Weights to start from, safetensors or PyTorch's: what fits by name and shape is taken, the rest is drawn. Default: all drawn.");
        Option<int?> limit = Options.Integer("--limit", $"Images in all, chosen at random before splitting. Default: all; {TrainDefaults.SyntheticImages} of synthetic data.", 1);
        Option<int?> cache = Options.Integer("--cache-mb", "Memory for decoded images, in MiB. Default: 2048.", 0, 1 << 20);
        Option<OnBadImage?> onBadImage = Options.OnBadImage();
        Option<CheckpointInterval?> every = Options.Interval("--checkpoint-every", "Write a checkpoint after each epoch and, within an epoch, after this time: 30s, 5m, 1h; or 'epoch', for after epochs alone. Default: 5m.");
        Option<int?> keep = Options.Integer("--keep", "Checkpoints that are kept, beside the best weights. Default: 2.", 1, 1000);
        Option<NonFiniteAction?> onNonFinite = Options.Choice<NonFiniteAction>("--on-nonfinite", "When a loss or a gradient is infinite or no number, stop before the step, or skip it. Default: stop.");
        Option<bool> checkNumerics = Options.CheckNumerics();
        Option<int?> threads = Options.Threads();
        Option<string?> output = Options.Text("--out", "DIR", "The run folder. Default: runs/train/MODEL[-n].");
        Command command = new(
            "train",
            "Train a model. Writes args.json, results.csv, curves.svg, weights/, samples/ and summary.md. Ctrl-C stops after the running step and saves; --resume goes on from there.\n\n" +
            "Example: mamba train --data lgg-mri --protocol patient --epochs 20\n" +
            "         mamba train --recipe vim --data cifar-10-batches-bin\n" +
            "         mamba train --resume runs/train/vim")
        {
            resume, recipe, model, data, protocol, epochs, batch, rate, schedule, optimizer, decay, loss, smoothing, mixUp, average, dropPath, clip, patience, augment, normalize,
            seed, size, channels, patch, width, depth, init, limit, cache, onBadImage,
            every, keep, onNonFinite, checkNumerics, threads, output,
        };
        command.SetAction(typed =>
        {
            string? folder = typed.GetValue(resume);
            if (folder is not null) ResumedRun.ThrowIfMixed(typed, resume, threads, checkNumerics);
            using ResumedRun? resumed = folder is null ? null : new ResumedRun(folder, terminal);
            if (resumed is { State: { Finished: true } end })
            {
                terminal.WriteLine($"{folder}: the run is finished, after {end.Epochs.Count} epochs; nothing is changed");
                return ExitCode.Success;
            }
            string? file = folder is null ? typed.GetValue(recipe) : RunFolder.ArgumentsOf(folder);
            ParseResult parsed = file is null ? typed : Recipe.Apply(file, typed, terminal);
            ModelEntry entry = Registry.Find(parsed.GetValue(model) ?? "ul-vm-unet");
            TrainingRecipe defaults = entry.Recipe;
            bool classifies = entry.Task == ModelTask.Classification;
            string name = parsed.GetValue(data) ?? RunArguments.Synthetic;
            bool synthetic = name == RunArguments.Synthetic;
            ulong seedValue = parsed.GetValue(seed) ?? 0;
            (int rows, int columns) = parsed.GetValue(size) ?? (entry.ImageSize, entry.ImageSize);
            int? most = parsed.GetValue(limit) ?? (synthetic ? TrainDefaults.SyntheticImages : null);
            IImageData images = Options.OpenData(name, entry.Task, seedValue, most, rows, columns, stop);
            OnBadImage badImage = parsed.GetValue(onBadImage) ?? OnBadImage.Fail;
            RunArguments arguments = new()
            {
                Model = entry.Name,
                Data = synthetic ? name : Path.GetFullPath(name), // so that the run can go on from any folder
                Protocol = parsed.GetValue(protocol) ?? (images.Part(0) is null ? SplitProtocol.Image : SplitProtocol.Official),
                Epochs = parsed.GetValue(epochs) ?? (synthetic ? TrainDefaults.SyntheticEpochs : TrainingRecipe.PaperEpochs),
                Batch = parsed.GetValue(batch) ?? defaults.Batch,
                LearningRate = parsed.GetValue(rate) ?? (synthetic && !classifies ? TrainDefaults.SyntheticLearningRate : defaults.LearningRate),
                Schedule = parsed.GetValue(schedule) ?? (synthetic ? ScheduleKind.Cosine : ScheduleKind.Constant),
                Optimizer = parsed.GetValue(optimizer) ?? defaults.Optimizer,
                WeightDecay = parsed.GetValue(decay) ?? defaults.WeightDecay,
                Loss = parsed.GetValue(loss) ?? defaults.Loss,
                LabelSmoothing = parsed.GetValue(smoothing) ?? 0,
                MixUp = parsed.GetValue(mixUp),
                AverageDecay = parsed.GetValue(average),
                ClipNorm = parsed.GetValue(clip),
                Patience = parsed.GetValue(patience),
                Augment = parsed.GetValue(augment) ?? (classifies ? AugmentKind.RandAugment : AugmentKind.None),
                Normalization = parsed.GetValue(normalize) ?? (classifies ? NormalizationKind.Cifar : NormalizationKind.None),
                Seed = seedValue,
                Threads = Options.Apply(parsed, threads),
                Height = rows,
                Width = columns,
                Config = entry.Config with
                {
                    InputChannels = parsed.GetValue(channels) ?? (classifies ? BadImage.FirstReadable(images, badImage, stop).Image.Channels : entry.Config.InputChannels),
                    Classes = classifies ? images.Labels.Count : entry.Config.Classes,
                    ImageSize = Chosen("--size", parsed.GetValue(size) is null ? null : (int?)rows, entry.Config.ImageSize, required: false),
                    Patch = Chosen("--patch", parsed.GetValue(patch), entry.Config.Patch),
                    Width = Chosen("--width", parsed.GetValue(width), entry.Config.Width),
                    Depth = Chosen("--depth", parsed.GetValue(depth), entry.Config.Depth),
                    DropPath = Chosen("--drop-path", parsed.GetValue(dropPath), entry.Config.DropPath),
                },
                Init = parsed.GetValue(init) is { } weights ? Path.GetFullPath(weights) : null,
                Limit = most,
                OnBadImage = badImage,
                CacheBytes = (parsed.GetValue(cache) ?? 2048L) << 20,
                CheckpointEvery = parsed.GetValue(every) ?? TrainDefaults.CheckpointEvery,
                Keep = parsed.GetValue(keep) ?? 2,
                OnNonFinite = parsed.GetValue(onNonFinite) ?? NonFiniteAction.Stop,
            };
            if (arguments.Config.ImageSize is not null && rows != columns) throw new ArgumentException($"--size is {rows}x{columns}; {entry.Name} takes square images");
            if (arguments.MixUp is not null && !classifies) throw new ArgumentException($"--mixup is for classification; {entry.Name} is for segmentation");
            return new TrainingRun(terminal, arguments, images) { Output = parsed.GetValue(output), Resumed = resumed, CheckNumerics = parsed.GetValue(checkNumerics) }.Execute(stop);

            // A choice that the model does not have is refused, unless it means something else there, too.
            T? Chosen<T>(string option, T? value, T? own, bool required = true) where T : struct => value is null || own is not null ? value ?? own
                : required ? throw new ArgumentException($"{option} cannot be chosen for {entry.Name}") : null;
        });
        return command;
    }
}
