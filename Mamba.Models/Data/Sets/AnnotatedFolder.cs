using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Labels;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Images whose masks are outlines: COCO's annotations (a JSON file per part, beside the images or in <c>annotations/</c>) or YOLO's
/// polygons (<c>labels/NAME.txt</c> for <c>images/NAME.ext</c>). Where objects overlap the later one counts.
/// </summary>
public sealed class AnnotatedFolder : IImageFolder
{
    private readonly string _root;
    private readonly DataOptions _options;
    private readonly Entry[] _entries;
    private readonly string[]? _patients;
    private readonly string[] _notes;
    private readonly ReadNotes _read;

    private AnnotatedFolder(
        string root, DataOptions options, Entry[] entries, IReadOnlyList<string> classes, string[] notes, ReadNotes read)
    {
        (_root, _options, _entries, _notes, _read) = (root, options, entries, notes, read);
        _patients = Patients.Of(root, [.. entries.Select(entry => entry.Name)], options);
        Labels = classes.Count == 1 ? classes : ["background", .. classes];
    }

    /// <inheritdoc/>
    public string Layout { get; private init; } = "";

    /// <inheritdoc/>
    /// <remarks>Files that were read may have added to it.</remarks>
    public IReadOnlyList<string> Notes => [.. _notes, .. _read.Lines];

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Segmentation;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; private init; }

    /// <inheritdoc/>
    public int Count => _entries.Length;

    /// <inheritdoc/>
    public bool KnowsPatients => _patients is not null;

    /// <summary>The annotations of a folder; null if it has none of either kind.</summary>
    /// <param name="files">The folder.</param>
    /// <param name="options">What tells patients apart.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">Annotations are malformed or do not fit together.</exception>
    internal static AnnotatedFolder? Find(FolderListing files, DataOptions options, CancellationToken cancellation)
    {
        (string root, List<string> pictures, List<string> documents) = (files.Root, files.Pictures, files.OfKind([".json"]));
        HashSet<string> texts = [.. files.OfKind([".txt"])];
        if (Coco(root, pictures, documents, options, cancellation) is { } coco) return coco;
        return pictures.Any(picture => texts.Contains(TextOf(picture))) ? Yolo(root, pictures, texts, options, cancellation) : null;
    }

    /// <inheritdoc/>
    public string Name(int index) => _entries[index].Name;

    /// <inheritdoc/>
    public string Patient(int index) => _patients?[index] ?? Name(index);

    /// <inheritdoc/>
    public SplitPart? Part(int index) => _entries[index].Part;

    /// <inheritdoc/>
    public int? Stratum(int index) => _entries[index].Objects > 0 ? 1 : 0;

    /// <inheritdoc/>
    public string ImagePath(int index) => Path.Combine(_root, _entries[index].Image);

    /// <inheritdoc/>
    public string? TruthPath(int index) => _entries[index].Truth is { } truth ? Path.Combine(_root, truth) : null;

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public SegmentationSample Load(int index)
    {
        Entry entry = _entries[index];
        Image image = ImageFile.LoadNoted(ImagePath(index), note => _read.Add(entry.Image, note)).Image;
        if (entry.Size is var (width, height) && (width != image.Width || height != image.Height))
            throw new DatasetException(
                $"{ImagePath(index)} is {image.Width} x {image.Height}, but {width} x {height} in its annotations; expected equal sizes.");
        return new SegmentationSample(image, new LabelMap(image.Width, image.Height, entry.ClassMap(image.Width, image.Height)));
    }

    /// <inheritdoc/>
    public IImageFolder Without(IReadOnlySet<int> samples)
    {
        Entry[] rest = [.. _entries.Where((_, i) => !samples.Contains(i))];
        return rest.Length == 0 ? throw new DatasetException($"{_root}: none of {Count} images is left")
            : new AnnotatedFolder(_root, _options, rest, [], _notes, _read) { Layout = Layout, Labels = Labels };
    }

    private static AnnotatedFolder? Coco(
        string root, IReadOnlyList<string> pictures, List<string> documents, DataOptions options, CancellationToken cancellation)
    {
        ILookup<string, string> byFile = pictures.ToLookup(picture => Path.GetFileName(picture));
        List<Entry> entries = [];
        IReadOnlyList<string>? classes = null;
        int absent = 0;
        foreach (string document in documents)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!CocoAnnotations.IsCoco(Path.Combine(root, document))) continue;
            CocoAnnotations annotations = CocoAnnotations.Load(Path.Combine(root, document));
            if (classes is not null && !classes.SequenceEqual(annotations.Classes))
                throw new DatasetException(
                    $"{root}: {document} has the categories {string.Join(", ", annotations.Classes)}, another file "
                        + $"{string.Join(", ", classes)}");
            classes = annotations.Classes;
            SplitPart? part = new PictureFile(document).Part ?? FolderNames.PartOf(Path.GetFileNameWithoutExtension(document));
            foreach (CocoPicture picture in annotations.Pictures)
            {
                if (FileOf(document, picture.FileName, byFile) is not { } file) absent++;
                else
                    entries.Add(new Entry(
                        Path.ChangeExtension(file, null), file, part, picture.Objects, (_, _) => picture.ClassMap())
                    {
                        Size = (picture.Width, picture.Height),
                        Truth = document,
                    });
            }
        }
        if (classes is null) return null;
        string[] notes = absent == 0 ? [] : [$"{absent} images of the annotations are not in the folder; left out"];
        return Made(root, entries, classes, "COCO annotations", notes, options);
    }

    private static AnnotatedFolder Yolo(
        string root, IReadOnlyList<string> pictures, HashSet<string> texts, DataOptions options, CancellationToken cancellation)
    {
        string names = YoloNames.Find(root) ?? throw new DatasetException(
            $"{root}: YOLO labels without the names of their classes; expected data.yaml or classes.txt in {root}");
        string[] classes = YoloNames.Load(names);
        List<Entry> entries = [];
        int background = 0;
        foreach (string picture in pictures)
        {
            cancellation.ThrowIfCancellationRequested();
            string text = TextOf(picture);
            // As Ultralytics has it, an image without a file has no object.
            YoloPolygons? polygons = texts.Contains(text) ? YoloPolygons.Load(Path.Combine(root, text), classes.Length) : null;
            if (polygons is null) background++;
            entries.Add(new Entry(
                Path.ChangeExtension(picture, null), picture, new PictureFile(picture).Part, polygons?.Objects ?? 0,
                (width, height) => polygons?.ClassMap(width, height) ?? new byte[width * height])
            {
                Truth = polygons is null ? null : text,
            });
        }
        string[] notes = background == 0 ? [] : [$"{background} images without a label file taken for background"];
        return Made(root, entries, classes, "YOLO polygons", notes, options);
    }

    private static AnnotatedFolder Made(
        string root, List<Entry> entries, IReadOnlyList<string> classes, string layout, string[] notes, DataOptions options)
    {
        if (entries.Count == 0) throw new DatasetException($"{root}: {layout}, but none of their images is in the folder");
        if (entries.GroupBy(entry => entry.Name).FirstOrDefault(group => group.Skip(1).Any()) is { } twice)
            throw new DatasetException($"{root}: '{twice.Key}' is annotated twice; expected each image once");
        bool split = entries.Select(entry => entry.Part).Distinct().Skip(1).Any();
        Entry[] sorted = [.. entries.OrderBy(e => e.Name, StringComparer.Ordinal).Select(e => split ? e : e with { Part = null })];
        return new AnnotatedFolder(root, options, sorted, classes, notes, new ReadNotes())
        {
            Layout = $"{layout} of {string.Join(", ", classes)}",
        };
    }

    /// <summary>The file of a picture: beside its annotations, or the only one of that name.</summary>
    private static string? FileOf(string document, string name, ILookup<string, string> byFile)
    {
        string plain = name.Replace('\\', '/');
        string[] files = [.. byFile[Path.GetFileName(plain)]];
        string folder = Path.GetDirectoryName(document)!.Replace(Path.DirectorySeparatorChar, '/');
        return files.FirstOrDefault(file => file == (folder.Length == 0 ? plain : $"{folder}/{plain}"))
            ?? (files.Length == 1 ? files[0]
                : files.FirstOrDefault(file => SamePart(file) && file.EndsWith(plain, StringComparison.Ordinal)));

        bool SamePart(string file) => new PictureFile(file).Part == FolderNames.PartOf(Path.GetFileNameWithoutExtension(document));
    }

    /// <summary>images/a.png has labels/a.txt, the innermost of such folders.</summary>
    private static string TextOf(string picture)
    {
        string[] parts = picture.Split('/');
        int images = Array.FindLastIndex(parts[..^1], folder => folder.Equals("images", StringComparison.OrdinalIgnoreCase));
        if (images >= 0) parts[images] = "labels";
        return Path.ChangeExtension(string.Join('/', parts), ".txt");
    }

    private sealed record Entry(string Name, string Image, SplitPart? Part, int Objects, Func<int, int, byte[]> ClassMap)
    {
        /// <summary>The size that the annotations say; null if they say none.</summary>
        public (int Width, int Height)? Size { get; init; }

        /// <summary>The file of its annotations; null if it has none.</summary>
        public string? Truth { get; init; }
    }
}
