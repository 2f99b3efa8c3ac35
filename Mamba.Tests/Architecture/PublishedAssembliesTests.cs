using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Mamba.Tests.Architecture;

/// <summary>
/// The native libraries that assemblies call. What is published brings .NET's own with it, and no other is there on a bare system.
/// MAMBA_PUBLISHED names the folder of a self-contained, trimmed build: what is left in it can be reached.
/// </summary>
internal sealed class PublishedAssembliesTests
{
    // .NET's own, without System.Security.Cryptography.Native.OpenSsl, which loads the system's OpenSSL.
    private static readonly string[] s_allowed = ["libSystem.Native", "libSystem.IO.Compression.Native", "QCall", "libclrinterop"];

    // Of Windows itself, called there alone: Spectre.Console asks what its console can show.
    private const string Windows = "kernel32.dll";

    private static readonly string[] s_packages =
    [
        "CommunityToolkit.HighPerformance", "Google.Protobuf", "Mamba.Core", "Mamba.Models", "Microsoft.ML.Tokenizers", "OxyPlot",
        "SixLabors.ImageSharp", "Spectre.Console", "Spectre.Console.Ansi", "System.CommandLine", "System.IO.Hashing",
        "System.Numerics.Tensors", "mamba",
    ];

    [TestCaseSource(nameof(s_packages))]
    public void Packages_call_no_native_code(string name) =>
        Assert.That(
            NativeLibraries(Path.Combine(AppContext.BaseDirectory, name + ".dll")).Where(call => call.Library != Windows), Is.Empty);

    [Test]
    public void A_published_program_calls_libraries_of_dotnet_alone()
    {
        if (Environment.GetEnvironmentVariable("MAMBA_PUBLISHED") is not { Length: > 0 } folder)
        {
            Assert.Ignore("MAMBA_PUBLISHED names no published program.");
            return;
        }
        string[] assemblies = Directory.GetFiles(folder, "*.dll");
        Assert.That(assemblies, Has.Length.GreaterThan(20), folder);
        Assert.That(
            assemblies.SelectMany(NativeLibraries).Where(call => call.Library != Windows && !s_allowed.Contains(call.Library)), Is.Empty);
    }

    [Test]
    public void The_search_finds_calls() =>
        Assert.That(NativeLibraries(typeof(object).Assembly.Location).Select(call => call.Library), Does.Contain("libSystem.Native"));

    private static IEnumerable<(string Assembly, string Library, string Method)> NativeLibraries(string path)
    {
        using FileStream file = File.OpenRead(path);
        using PEReader image = new(file);
        if (!image.HasMetadata) return [];
        MetadataReader reader = image.GetMetadataReader();
        return [.. from handle in reader.MethodDefinitions
                   let method = reader.GetMethodDefinition(handle)
                   let import = method.GetImport()
                   where !import.Module.IsNil
                   let library = reader.GetModuleReference(import.Module)
                   select (Path.GetFileName(path), reader.GetString(library.Name), reader.GetString(method.Name))];
    }
}
