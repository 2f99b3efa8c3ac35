using Mamba.Models.Data;
using Mamba.Models.Data.Formats;

namespace Mamba.Tests.Support;

/// <summary>A folder for one test, removed afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("mamba-tests-").FullName;

    public string Write(string name, byte[] bytes)
    {
        string path = Path.Combine(Root, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    public string Write(string name, Image image)
    {
        string path = Path.Combine(Root, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        ImageFile.SavePng(path, image);
        return path;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
