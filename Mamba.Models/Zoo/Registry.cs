using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Words;

namespace Mamba.Models.Zoo;

/// <summary>A model of the zoo: its name, its task, and its training in the paper.</summary>
/// <param name="Name">The name on the command line and in weight files.</param>
/// <param name="Task">The task.</param>
/// <param name="Recipe">The paper's training.</param>
/// <param name="Build">Declares a model in a scope.</param>
public sealed record ModelEntry(string Name, ModelTask Task, TrainingRecipe Recipe, Func<Scope, ModelConfig, VisionModel> Build)
{
    /// <summary>Default height and width of the images.</summary>
    public int ImageSize { get; init; } = 256;

    /// <summary>The smallest height and width of an image; see <see cref="VisionModel.SmallestSide"/>.</summary>
    public int SmallestSide { get; init; } = 1;

    /// <summary>The configuration of the paper.</summary>
    public ModelConfig Config { get; init; } = new();

    /// <summary>Throws for images that are too small for the model.</summary>
    /// <param name="height">Rows of the images.</param>
    /// <param name="width">Columns of the images.</param>
    /// <exception cref="ArgumentException">They are too small.</exception>
    public void ThrowIfTooSmall(int height, int width)
    {
        if (Math.Min(height, width) < SmallestSide)
            throw new ArgumentException($"size {height}x{width}: {Name} takes images from {SmallestSide}x{SmallestSide} on");
    }

    /// <summary>Creates the model with initial values.</summary>
    /// <param name="config">Its configuration; <see cref="Config"/> if null.</param>
    /// <param name="seed">The seed of the initial values.</param>
    /// <returns>A new model.</returns>
    /// <exception cref="ArgumentException">The configuration does not fit the model.</exception>
    public VisionModel Create(ModelConfig? config = null, ulong seed = 0) => Create(new ParameterStore(seed), config ?? Config);

    /// <summary>Creates the model with its parameters in a store.</summary>
    /// <param name="store">An empty store.</param>
    /// <param name="config">Its configuration.</param>
    /// <returns>A new model.</returns>
    /// <exception cref="ArgumentException">
    /// The configuration does not fit the model, or has a width for a layer that does not exist.
    /// </exception>
    public VisionModel Create(ParameterStore store, ModelConfig config)
    {
        VisionModel model = Build(new Scope(store), config);
        store.ThrowIfWidthsUnread();
        return model;
    }
}

/// <summary>All models by name: those of the zoo, and those added by a program.</summary>
public static class Registry
{
    private const int ImageNetClasses = 1000;

    private static readonly int[] s_narrow = [8, 16, 24, 32, 48, 64];
    private static readonly int[] s_wide = [16, 32, 64, 128, 256, 512];
    private static readonly ModelConfig s_performer =
        new(Classes: 10) { Patch = 4, DropPath = 0, Features = VisionTransformer.DefaultFeatures };
    private static readonly Lock s_adding = new();
    private static volatile ModelEntry[] s_own = [];

    /// <summary>The models of the zoo, in listing order.</summary>
    public static IReadOnlyList<ModelEntry> Models { get; } =
    [
        UltraLight("ul-vm-unet", new UltraLightVmUnetVariant(s_narrow, MambaChunks: 4)),
        UltraLight("ul-vm-unet-v1", new UltraLightVmUnetVariant(s_wide[..5], MambaChunks: 4)),
        UltraLight("ul-vm-unet-v2", new UltraLightVmUnetVariant(s_narrow, MambaChunks: 8)),
        UltraLight("ul-vm-unet-v3", new UltraLightVmUnetVariant(s_wide[..5], MambaChunks: 8)),
        UltraLight("ul-vm-unet-v4", new UltraLightVmUnetVariant(s_wide, MambaChunks: 8, PyramidPlacement.EveryLayer)),
        UltraLight("ul-vm-unet-v5", new UltraLightVmUnetVariant(s_wide, MambaChunks: 8)),
        UltraLight("ul-vm-unet-v6", new UltraLightVmUnetVariant(s_wide, MambaChunks: 8, PyramidPlacement.Bottleneck)),
        new("unet", ModelTask.Segmentation, TrainingRecipe.UNet, (scope, config) => new UNet(scope, config))
        {
            Config = new() { Width = UNet.DefaultWidth, Depth = UNet.DefaultDepth },
        },
        ResNetSegmentation("resnet18-seg", ResNetVariant.ResNet18),
        ResNetSegmentation("resnet50-seg", ResNetVariant.ResNet50),
        new("segformer", ModelTask.Segmentation, TrainingRecipe.SegFormer, (scope, config) => new SegFormer(scope, config))
        {
            ImageSize = 224, Config = new() { Width = SegFormer.DefaultWidth },
        },
        UMamba("umambabot", TrainingRecipe.UMambaBot, pyramidPooling: false),
        UMamba("umambabot-pp", TrainingRecipe.UMambaBotPyramid, pyramidPooling: true),
        ResNetClassifier("resnet18", ResNetVariant.ResNet18, classes: ImageNetClasses, imageSize: 224),
        ResNetClassifier("resnet50", ResNetVariant.ResNet50, classes: ImageNetClasses, imageSize: 224),
        ResNetClassifier("resnet20", ResNetVariant.ResNet20, classes: 10, imageSize: 32),
        new("resnet8", ModelTask.Classification, TrainingRecipe.ResNet8, (scope, config) => new ResNet8(scope, config))
        {
            ImageSize = 32, Config = new(Classes: 10) { Width = ResNet8.DefaultWidth },
        },
        OfTokens(
            "vim", (scope, config) => new VisionMamba(scope, config),
            new ModelConfig(Classes: 10) { Patch = 4, DropPath = 0.1, Mixer = MixerKind.Mamba }),
        OfTokens(
            "vim-patch8-1000", (scope, config) => new VisionMamba(scope, config),
            new ModelConfig(Classes: 1000) { Patch = 8, DropPath = 0.1, Mixer = MixerKind.Mamba }),
        OfTokens("vit", (scope, config) => new VisionTransformer(scope, config), new ModelConfig(Classes: 10) { Patch = 4, DropPath = 0 }),
        OfTokens(
            "vit-patch8", (scope, config) => new VisionTransformer(scope, config),
            new ModelConfig(Classes: 10) { Patch = 8, DropPath = 0 }),
        OfTokens("performer", (scope, config) => new VisionTransformer(scope, config, FavorKernel.Softmax), s_performer),
        OfTokens("performer-relu", (scope, config) => new VisionTransformer(scope, config, FavorKernel.Relu), s_performer),
        Plain("alexnet", (scope, config) => new AlexNet(scope, config), AlexNet.Smallest, AlexNet.DefaultWidth, AlexNet.DefaultDropout),
        Plain("vgg11", (scope, config) => new Vgg(scope, config), Vgg.Smallest, Vgg.DefaultWidth, Vgg.DefaultDropout),
        Normed("googlenet", (scope, config) => new GoogLeNet(scope, config), new() { Dropout = GoogLeNet.DefaultDropout }) with
        {
            SmallestSide = GoogLeNet.Smallest,
        },
        Normed("inception-v3", (scope, config) => new InceptionV3(scope, config), new() { Dropout = InceptionV3.DefaultDropout }) with
        {
            ImageSize = 299, SmallestSide = InceptionV3.Smallest,
        },
        Normed(
            "mobilenet-v2", (scope, config) => new MobileNetV2(scope, config),
            new() { Width = MobileNetV2.DefaultWidth, Dropout = MobileNetV2.DefaultDropout }),
        Normed("efficientnet-b0", (scope, config) => new EfficientNet(scope, config), new()
        {
            Width = EfficientNet.DefaultWidth,
            Dropout = EfficientNet.DefaultDropout,
            DropPath = EfficientNet.DefaultDropPath,
        }),
        Normed("regnet-x-400mf", (scope, config) => new RegNet(scope, config, RegNetVariant.X400), new()),
        Normed("regnet-y-400mf", (scope, config) => new RegNet(scope, config, RegNetVariant.Y400), new()),
    ];

    /// <summary>
    /// Adds a custom model: its weight files can then be read, and runs and studies can train it, like the models of the zoo. It stays for
    /// the life of the process, and is not in <see cref="Models"/>.
    /// </summary>
    /// <param name="entry">The model.</param>
    /// <exception cref="ArgumentException">There is already a model with this name.</exception>
    public static void Add(ModelEntry entry)
    {
        lock (s_adding)
        {
            if (Known(entry.Name) is { } other && !ReferenceEquals(other, entry))
                throw new ArgumentException($"there is a model '{entry.Name}' already; expected another name");
            s_own = [.. s_own.Where(own => own.Name != entry.Name), entry];
        }
    }

    /// <summary>Finds a model by name.</summary>
    /// <param name="name">Its name.</param>
    /// <returns>The model.</returns>
    /// <exception cref="ArgumentException">There is none; the message names the most similar one and lists all.</exception>
    public static ModelEntry Find(string name)
    {
        if (Known(name) is { } entry) return entry;
        string nearest = Models.MinBy(m => EditDistance.Between(m.Name, name))!.Name;
        throw new ArgumentException(
            $"unknown model '{name}'; did you mean '{nearest}'? Models: {string.Join(", ", Models.Select(m => m.Name))}");
    }

    private static ModelEntry? Known(string name)
    {
        foreach (ModelEntry entry in Models)
            if (entry.Name == name) return entry;
        return Array.Find(s_own, own => own.Name == name);
    }

    private static ModelEntry UltraLight(string name, UltraLightVmUnetVariant variant) =>
        new(name, ModelTask.Segmentation, TrainingRecipe.UltraLight, (scope, config) => new UltraLightVmUnet(scope, config, variant))
        {
            Config = new() { Mixer = MixerKind.Mamba },
        };

    private static ModelEntry UMamba(string name, TrainingRecipe recipe, bool pyramidPooling) =>
        new(name, ModelTask.Segmentation, recipe, (scope, config) => new UMambaBot(scope, config, pyramidPooling))
        {
            Config = new() { Width = UMambaBot.DefaultWidth },
        };

    private static ModelEntry ResNetSegmentation(string name, ResNetVariant variant) =>
        new(name, ModelTask.Segmentation, TrainingRecipe.ResNetSegmenter, (scope, config) => new ResNetSegmenter(scope, config, variant))
        {
            Config = new() { Width = variant.Width },
        };

    private static ModelEntry ResNetClassifier(string name, ResNetVariant variant, int classes, int imageSize) =>
        new(name, ModelTask.Classification, TrainingRecipe.Classification, (scope, config) => new ResNet(scope, config, variant))
        {
            ImageSize = imageSize,
            Config = new(Classes: classes) { Width = variant.Width, Depth = variant.Cifar ? variant.Blocks.Sum() : null },
        };

    /// <summary>An ImageNet classifier without batch norm, with large linear layers.</summary>
    private static ModelEntry Plain(
        string name, Func<Scope, ModelConfig, VisionModel> build, int smallestSide, int width, double dropout) =>
        new(name, ModelTask.Classification, TrainingRecipe.PlainConvolutions, build)
        {
            ImageSize = 224,
            SmallestSide = smallestSide,
            Config = new(Classes: ImageNetClasses) { Width = width, Dropout = dropout },
        };

    /// <summary>An ImageNet classifier of convolutions with batch norm.</summary>
    private static ModelEntry Normed(string name, Func<Scope, ModelConfig, VisionModel> build, ModelConfig config) =>
        new(name, ModelTask.Classification, TrainingRecipe.NormedConvolutions, build)
        {
            ImageSize = 224,
            Config = config with { Classes = ImageNetClasses },
        };

    /// <summary>The paper's classifiers of small images. Its ViM kept the authors' default drop-path of 0.1.</summary>
    private static ModelEntry OfTokens(string name, Func<Scope, ModelConfig, VisionModel> build, ModelConfig config) =>
        new(name, ModelTask.Classification, TrainingRecipe.Classification, build)
        {
            ImageSize = 32,
            Config = config with { ImageSize = 32, Width = 168, Depth = 8 },
        };
}
