namespace Mamba.Tests.Architecture;

/// <summary>A part of the sources: some folders or files that may know each other, and the other parts that they may know.</summary>
/// <param name="Name">What messages call it.</param>
/// <param name="Paths">Folders or files of its project. The longest path that fits decides where a file belongs.</param>
/// <param name="Knows">Names of parts above it in the table. Parts of a project below its own are known without a word.</param>
internal sealed record SourcePart(string Name, string[] Paths, string[] Knows);

/// <summary>A project and its parts, from the lowest to the highest.</summary>
/// <param name="Name">Its folder and root namespace.</param>
/// <param name="Parts">A part knows only parts that stand before it.</param>
internal sealed record SourceProject(string Name, SourcePart[] Parts);

/// <summary>Which part of the sources may know which: the one place where this is written down.</summary>
internal static class Layers
{
    private static readonly string[] s_kernel = ["Shapes", "Vectors", "Memory", "Kernels.Targets"];

    /// <summary>The projects, from the lowest to the highest: each knows those before it.</summary>
    public static IReadOnlyList<SourceProject> Projects { get; } =
    [
        new("Mamba.Core",
        [
            new("Shapes",
                [
                    "Shape.cs", "ShapeException.cs", "Size2d.cs", "Padding2d.cs", "MultiplyAdds.cs", "RandomState.cs", "RandomStream.cs",
                ],
                []),
            new("Vectors", ["Simd"], []),
            new("Memory",
                [
                    "Memory/Buffer.cs", "Memory/BufferPool.cs", "Memory/Scratch.cs", "Memory/IWeightPacking.cs", "Memory/PackedForms.cs",
                    "Memory/InputQuantization.cs", "Memory/StoredWeight.cs", "Memory/WeightFormat.cs",
                    "Memory/MappedFile.cs",
                ],
                ["Shapes"]),

            // Kernels know pointers and sizes; they know neither tensors nor the tape.
            new("Kernels.Targets", ["Kernels/GradientTarget.cs"], ["Vectors"]),
            new("Kernels.Elementwise", ["Kernels/Elementwise"], s_kernel),
            new("Kernels.Layout", ["Kernels/Layout"], s_kernel),
            new("Kernels.Losses", ["Kernels/Losses"], s_kernel),
            new("Kernels.Optimizers", ["Kernels/Optimizers"], s_kernel),
            new("Kernels.Pooling", ["Kernels/Pooling"], s_kernel),
            new("Kernels.Reductions", ["Kernels/Reductions"], [.. s_kernel, "Kernels.Elementwise"]),
            new("Kernels.Indexing", ["Kernels/Indexing"], [.. s_kernel, "Kernels.Reductions"]),
            new("Kernels.Norms", ["Kernels/Norms"], [.. s_kernel, "Kernels.Elementwise"]),
            new("Kernels.Scan", ["Kernels/Scan"], [.. s_kernel, "Kernels.Elementwise"]),
            new("Kernels.Spectral", ["Kernels/Spectral"], s_kernel),
            new("Kernels.Products", ["Kernels/Products"], [.. s_kernel, "Kernels.Elementwise", "Kernels.Layout"]),
            new("Kernels.Mamba3", ["Kernels/Mamba3"], [.. s_kernel, "Kernels.Elementwise", "Kernels.Products"]),
            new("Kernels.StateSpace", ["Kernels/StateSpace"], [.. s_kernel, "Kernels.Products"]),
            new("Kernels.Convolution", ["Kernels/Convolution"], [.. s_kernel, "Kernels.Elementwise", "Kernels.Products"]),
            new("Kernels.Quantized", ["Kernels/Quantized"], [.. s_kernel, "Kernels.Products", "Kernels.Convolution"]),
            new("Kernels.Attention", ["Kernels/Attention"], [.. s_kernel, "Kernels.Products", "Kernels.Reductions"]),
            new("Kernels.Duality", ["Kernels/Duality"], [.. s_kernel, "Kernels.Elementwise", "Kernels.Products"]),

            // A tensor, its memory and the tape that records it are one thing: each knows the others.
            new("Tensors",
                [
                    "Tensor.cs", "TensorList.cs", "Tape.cs", "Recording.cs", "RecordingPause.cs", "BackwardStep.cs", "Check.cs",
                        "GradientWatch.cs", "NonFiniteException.cs",
                    "NumericsCheck.cs", "TimeLimit.cs", "Workers.cs", "Memory",
                ],
                ["Shapes", "Memory", "Vectors", "Kernels.Targets"]),
            new("Ops", ["Ops"], ["Shapes", "Vectors", "Memory", "Tensors", "Kernels.*"]),
            new("Measurement", ["Measurement"], ["Memory", "Vectors", "Tensors"]),
            new("Checkpoints", ["Checkpoints"], ["Shapes", "Memory", "Tensors"]),
            new("Nn", ["Nn"], ["Shapes", "Memory", "Tensors", "Ops", "Checkpoints"]),
            new("Optim", ["Optim"], ["Shapes", "Vectors", "Memory", "Tensors", "Kernels.Optimizers", "Nn"]),
        ]),
        new("Mamba.Models",
        [
            new("Words", ["Words"], []),
            new("Tasks", ["Tasks"], []),
            new("Recipes", ["Recipes"], []),

            // Data and zoo know nothing of each other.
            new("Data", ["Data"], ["Tasks"]),
            new("Metrics", ["Metrics"], ["Data"]),
            new("Data.Formats", ["Data/Formats"], ["Data"]),
            new("Data.Labels", ["Data/Labels"], ["Data"]),
            new("Data.Augmentation", ["Data/Augmentation"], ["Words", "Data"]),
            new("Data.Splits", ["Data/Splits"], ["Data"]),
            new("Data.Sets", ["Data/Sets"], ["Tasks", "Data", "Data.Formats", "Data.Labels"]),
            new("Data.Loading", ["Data/Loading"], ["Tasks", "Data", "Data.Augmentation", "Data.Splits"]),
            new("Blocks", ["Blocks"], []),
            new("Zoo", ["Zoo"], ["Words", "Tasks", "Recipes", "Blocks"]),
            new("Language", ["Language"], ["Words", "Blocks"]),

            new("Files", ["Files"], ["Tasks", "Recipes", "Data", "Data.Labels", "Data.Splits", "Data.Loading", "Zoo"]),
            new("Compression", ["Compression"], ["Zoo", "Files"]),
            new("Training", ["Training"], ["Words", "Tasks", "Metrics", "Recipes", "Data", "Data.*", "Zoo", "Files"]),
            new("Measurement", ["Measurement"], ["Tasks", "Blocks", "Zoo", "Training"]),
            new("Sequences", ["Sequences"], ["Words", "Data", "Data.Sets", "Metrics", "Blocks", "Language", "Training"]),
            new("Verification", ["Verification"], ["Blocks", "Zoo", "Language", "Sequences"]),
            new("Studies", ["Studies"], ["Words", "Tasks", "Recipes", "Metrics", "Data", "Data.*", "Zoo", "Files", "Training"]),
            new("Inference", ["Inference"], ["Tasks", "Data", "Data.Loading", "Zoo", "Files"]),
            new("Explanation", ["Explanation"], ["Tasks", "Data", "Data.Loading", "Zoo", "Files"]),
        ]),
        new("Mamba.Cli",
        [
            new("Terminal", ["Terminal.cs", "PlainText.cs", "ExitCode.cs", "LineErrors.cs", "Csv.cs"], []),
            new("Reports", ["Reports"], ["Terminal"]),
            new("Commands", ["Commands"], ["Terminal", "Reports"]),
            new("Program", ["Program.cs", "CommandLine.cs", "StopSignals.cs"], ["Terminal", "Commands"]),
            new("Cluster", ["Cluster"], ["Terminal", "Commands", "Program"]), // a program of its own
        ]),
    ];

    /// <summary>Folders whose files have another namespace than the folder's, and why.</summary>
    public static IReadOnlyDictionary<string, string> Namespaces { get; } = new Dictionary<string, string>
    {
        ["Mamba.Core/Ops"] = "Mamba.Core", // the operators are one class, Ops, which everybody who has a tensor needs
        ["Mamba.Core/Nn/StateSpace"] = "Mamba.Core.Nn", // layers are found in one namespace
        ["Mamba.Tests/Core"] = "Mamba.Tests.Core", // a namespace Mamba.Tests.Core.Ops would hide the class Ops
        ["Mamba.Tests/Models"] = "Mamba.Tests.Models", // as for Core
    };
}
