using System.IO.Hashing;
using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;

namespace Mamba.Models.Training;

/// <summary>What tells the images of a split from others: names, classes, and the content of files. They are read once.</summary>
/// <param name="data">The data set.</param>
/// <param name="split">Its parts.</param>
public sealed class SplitContent(IImageData data, Split split)
{
    private readonly Dictionary<string, string> _truths = [], _images = [];
    private byte[]? _content;

    /// <summary>
    /// A hash of all images, whatever part they are in: of their names, the names of classes, and the content of images, masks and
    /// annotations.
    /// </summary>
    /// <exception cref="IOException">An image or a mask cannot be read.</exception>
    public string Digest
    {
        get
        {
            ReadImages();
            IEnumerable<string> images = split[SplitPart.All].Distinct().Select(Describe).Order(StringComparer.Ordinal);
            return Hash(string.Join('\n', data.Labels.Concat(images)));
        }
    }

    /// <summary>A hash of the names of each part.</summary>
    public string Names => Hash(string.Concat(
        new[] { split.Train, split.Val, split.Test }.Select(part => $"{string.Join('\0', part.Select(data.Name))}\n")));

    /// <summary>Writes what <see cref="RunArguments.Identity"/> covers besides options.</summary>
    /// <param name="text">Where to.</param>
    /// <param name="form">As this version has it, or an older one.</param>
    internal void Write(Stream text, IdentityForm form)
    {
        bool byName = form == IdentityForm.Names;
        foreach (SplitPart part in new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test })
            text.Write(Encoding.UTF8.GetBytes(
                $"\n{part}\n{string.Join('\n', split[part].Select(i => byName ? data.Name(i) : data.Fingerprint(i)))}"));
        if (form < IdentityForm.Masks || data is not IImageFolder folder) return;
        foreach (string path in split[SplitPart.All].Select(folder.TruthPath).OfType<string>().Distinct())
            text.Write(Convert.FromHexString(TruthOf(path)));
        if (form == IdentityForm.Content) text.Write(ReadImages());
    }

    private static string Hash(string text) => Convert.ToHexStringLower(Sha256.HashData(Encoding.UTF8.GetBytes(text)));

    /// <summary>An image, its class and the content of its files, in a line.</summary>
    private string Describe(int image)
    {
        string line = data.Fingerprint(image).Replace('\n', '\0');
        if (data.Task == ModelTask.Classification) line += FormattableString.Invariant($"\0{data.Stratum(image)}");
        if (data is not IImageFolder folder) return line;
        return $"{line}\0{_images[folder.ImagePath(image)]}\0{(folder.TruthPath(image) is { } path ? TruthOf(path) : "")}";
    }

    private string TruthOf(string path)
    {
        if (_truths.TryGetValue(path, out string? known)) return known;
        using FileStream file = File.OpenRead(path);
        return _truths[path] = Convert.ToHexString(Sha256.HashData(file));
    }

    /// <summary>Reads the files of all images.</summary>
    /// <returns>A hash of all: a fast one, since images may be many gigabytes, and nobody forges them.</returns>
    private byte[] ReadImages()
    {
        if (_content is not null || data is not IImageFolder folder) return _content ?? [];
        XxHash128 all = new(), one = new();
        byte[] buffer = new byte[1 << 16];
        foreach (string path in split[SplitPart.All].Select(folder.ImagePath).Distinct())
        {
            using FileStream file = File.OpenRead(path);
            for (int read; (read = file.Read(buffer)) > 0;)
            {
                all.Append(buffer.AsSpan(0, read));
                one.Append(buffer.AsSpan(0, read));
            }
            _images[path] = Convert.ToHexString(one.GetHashAndReset());
        }
        return _content = all.GetCurrentHash();
    }
}
