using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Labels;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Core;
using Mamba.Tests.Models;

namespace Mamba.Fuzz;

/// <summary>Readers of volumes, of data sets in one file, and of annotations.</summary>
internal static class DataReaders
{
    private const int SmallPicture = 1 << 12;

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["nifti", "cifar-pickle", "npz", "coco", "yolo", "yolo-names", "wav", "csv-signal"];

    /// <summary>The reader of this name; null if there is none.</summary>
    public static Reader? Find(string name) => name switch
    {
        "nifti" => new(name, [.. Nifti()], new GzipFormat(), ReadNifti, e => e is ImageException, 10_000),
        "cifar-pickle" => new(
            name, [.. Enum.GetValues<PickleStyle>().Select(style => CifarPickles.Batch(style, "labels", [3], new byte[3072]))],
            new Format { Words = [.. PickleWords()] }, ReadPickle, e => e is DatasetException, 300),
        "npz" => new(
            name, [NpzSamples.Set(packed: false), NpzSamples.Set(packed: true)],
            new NpzFormat
            {
                Text = true,
                Words = Words("'", "(", ")", ",", "'descr'", "'shape'", "<i8", "|u1", "False", "True", "PK\u0001\u0002"),
            },
            ReadNpz, e => e is DatasetException, 10_000),
        "coco" => new(
            name, [CocoSamples.File()], new JsonFormat(prefixed: false)
            {
                Text = true,
                Words = Words("\"", "null", "[", "]", "{", "}", ",", ":", "1e400", "\\ud800", "\"segmentation\":[[", "\"counts\":\"", "-1"),
            }, ReadCoco, e => e is DatasetException, 2000),
        "yolo" => new(
            name, ["0 0 0 1 0 1 1\n1 0.25 0 0.75 0 0.75 0.5 0.25 0.5 \n"u8.ToArray(), []],
            new Format { Text = true, Words = Words(" ", "\n", "\t", ".", "-", "e", "0 ", "NaN", "0.5 ") }, ReadYolo,
            e => e is DatasetException, 300),
        "yolo-names" => new(
            name,
            [
                "names: [cat, 'big dog', \"a, b\"]\nnc: 3"u8.ToArray(), "names:\n  - cat # the first\n  - it's\n"u8.ToArray(),
                "names:\n  0: cat\n  1: 'dog''s'\n\nnc: 2"u8.ToArray(), "names: {0: cat, 1: dog}"u8.ToArray(),
            ],
            new Format { Text = true, Words = Words("'", "\"", "[", "]", "{", "}", ",", ":", "#", "\n  - ", "\n  0: ", "names:", " ") },
            ReadNames, e => e is DatasetException, 2000),
        "wav" => new(
            name, [.. Wavs()], new WebpFormat { Words = Words("RIFF", "WAVE", "fmt ", "data", "LIST", "\u00FF\u00FF\u00FF\u00FF") },
            ReadWav, e => e is DatasetException, 20),
        "csv-signal" => new(
            name,
            [
                "x,y\n1,2\n3,-4.5e1\n"u8.ToArray(), "0.25\r\n1\r\n"u8.ToArray(), ",0,1\n0,2,3\n1,4,5\n"u8.ToArray(),
                "\"\",\"x\",\"time (s)\"\n\"1\",0.5,0\n\"2\",7,0.25\n"u8.ToArray(), [],
            ],
            new Format { Text = true, Words = Words(",", ";", "\t", "\n", "\r\n", "1e400", "NaN", "-", ".", " ", "\"") }, ReadCsv,
            e => e is DatasetException, 500),
        _ => null,
    };

    private static byte[][] Words(params string[] words) => [.. words.Select(Encoding.Latin1.GetBytes)];

    private static IEnumerable<byte[]> Nifti()
    {
        double[] ramp = [.. Enumerable.Range(0, 24).Select(i => (double)i)];
        foreach (bool second in new[] { false, true })
            foreach (bool big in new[] { false, true })
                foreach (int type in new[] { 2, 4, 16, 1024 })
                    yield return NiftiSamples.File(new() { Second = second, Big = big, Type = type, Slope = 2, Extensions = 16 }, ramp);
        yield return NiftiSamples.Gzip(NiftiSamples.File(new NiftiSamples.Spec(), ramp));
    }

    private static string ReadNifti(byte[] bytes)
    {
        Volume volume = NiftiFile.Read("file", new MemoryStream(bytes, writable: false));
        Check((long)volume.X * volume.Y * volume.Z == volume.Values.Length, "values differ from the size");
        byte[] mask = NiftiHeader.ForMask(volume.Header);
        Volume again = NiftiFile.Read("file", new MemoryStream([.. mask, .. new byte[volume.Values.Length]], writable: false));
        Check((volume.X, volume.Y, volume.Z, volume.Spacing) == (again.X, again.Y, again.Z, again.Spacing), "a mask of another geometry");
        return $"{volume.Header.Length}";
    }

    private static IEnumerable<byte[]> PickleWords() =>
        new[]
        {
            "N", "\u0088", "\u0089", "K\u0001", "]", "}", ")", "(", "t", "a", "e", "s", "u", "0", "q\0", "h\0", "\u0094", "R", "b",
            "\u0085", "\u0086", ".", "cnumpy\ndtype\n", "cnumpy\nndarray\n", "cnumpy.core.multiarray\n_reconstruct\n", "c_codecs\nencode\n",
            "U\u0004data", "U\u0006labels", "U\u0002u1", CheckpointsBytes.Text("latin1"), CheckpointsBytes.Tuple(1, 3072), "C\u0004xxxx",
        }.Select(Encoding.Latin1.GetBytes);

    private static string ReadPickle(byte[] bytes)
    {
        byte[] records = CifarRecords.ReadPickle("file", new MemoryStream(bytes, writable: false), "labels", 10);
        Check(records.Length > 0 && records.Length % 3073 == 0 && records[0] < 10, "records of another size");
        return "records";
    }

    private static string ReadNpz(byte[] bytes)
    {
        MedMnist data = new("file", new MemoryStream(bytes, writable: false));
        Check(Enumerable.Range(0, data.Count).All(i => data.Load(i).Label < data.Labels.Count), "a label beyond the classes");
        return $"{Math.Min(data.Count, 4)} pictures of {Math.Min(data.Labels.Count, 4)} classes";
    }

    private static string ReadCoco(byte[] bytes)
    {
        CocoAnnotations coco = CocoAnnotations.Read("file", bytes);
        foreach (CocoPicture picture in coco.Pictures.Take(4).Where(picture => picture.Width * picture.Height <= SmallPicture))
            Check(picture.ClassMap().All(value => value <= coco.Classes.Count), "a class beyond the names");
        return $"{Math.Min(coco.Pictures.Count, 4)} pictures of {Math.Min(coco.Classes.Count, 4)} classes";
    }

    private static string ReadYolo(byte[] bytes)
    {
        YoloPolygons polygons = YoloPolygons.Read("file", bytes, 2);
        Check(polygons.ClassMap(16, 9).All(value => value <= 2), "a class beyond the names");
        return $"{Math.Min(polygons.Objects, 4)} objects";
    }

    private static string ReadNames(byte[] bytes)
    {
        string[] names = YoloNames.Read("data.yaml", bytes);
        Check(names.Length is >= 1 and <= 255, "no names");
        return $"{Math.Min(names.Length, 4)} names";
    }

    private static IEnumerable<byte[]> Wavs()
    {
        foreach (bool extensible in new[] { false, true })
            foreach ((int encoding, int bits) in new[] { (1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64) })
                yield return WavSamples.File(encoding, bits, 2, new byte[6 * bits], WavSamples.Chunk("LIST", [1, 2, 3]), extensible);
    }

    private static string ReadWav(byte[] bytes) => Describe(WavFile.Read("file", new MemoryStream(bytes, writable: false)));

    private static string ReadCsv(byte[] bytes) => Describe(CsvSignal.Read("file", new MemoryStream(bytes, writable: false)));

    private static string Describe(Signal signal)
    {
        Check(signal.Length * signal.Channels == signal.Values.Length && signal.Values.All(float.IsFinite), "values differ from the size");
        return $"{signal.Channels} channels";
    }

    private static void Check(bool holds, string otherwise)
    {
        if (!holds) throw new InvalidOperationException(otherwise);
    }

    /// <summary>A file that is sometimes packed, or unpacked to be spoiled inside.</summary>
    private sealed class GzipFormat : Format
    {
        public override byte[] Repair(byte[] file, Random random) =>
            random.Next(4) == 0 && file is not [0x1F, 0x8B, ..] ? NiftiSamples.Gzip(file) : file;
    }

    /// <summary>An archive of arrays: what is spoiled inside gets a new directory and new checksums.</summary>
    private sealed class NpzFormat : Format
    {
        public override byte[] Repair(byte[] file, Random random)
        {
            List<(string, byte[])> arrays = [];
            byte[][] parts = [.. Split(file).Select(range => file[range])];
            string[] names = ["train_images", "train_labels", "test_images", "test_labels"];
            for (int i = 0; i < Math.Min(parts.Length, names.Length); i++) arrays.Add((names[i], parts[i]));
            return arrays.Count < names.Length ? file : NpzSamples.Npz(random.Next(2) == 0, [.. arrays]);
        }

        public override List<Range> Parts(byte[] file) => Split(file);

        /// <summary>From the magic number of an array to the next one, or to the header of an entry before it.</summary>
        private static List<Range> Split(byte[] file)
        {
            List<Range> parts = [];
            for (int at = Next(file, 0); at < file.Length;)
            {
                int next = Next(file, at + 2), entry = file.AsSpan(at..next).IndexOf("PK"u8);
                parts.Add(at..(entry < 0 ? next : at + entry));
                at = next;
            }
            return parts;
        }

        private static int Next(byte[] file, int from)
        {
            int at = file.AsSpan(from).IndexOf([(byte)0x93, (byte)'N']);
            return at < 0 ? file.Length : from + at;
        }
    }
}
