using System.CommandLine;
using System.IO.Compression;
using System.Text;
using BitMiracle.LibTiff.Classic;
using Mamba.Cli;
using Mamba.Cli.Commands;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Verification;
using Mamba.Models.Zoo;
using Mamba.Tests.Core;
using Mamba.Tests.Models;
using Mamba.Tests.Support;

namespace Mamba.Fuzz;

/// <summary>A reader of files under test.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Seeds">Valid files.</param>
/// <param name="Format">What the mutations know of them.</param>
/// <param name="Read">Reads a file whole, checks what is promised of the result, and says in a few words what it found.</param>
/// <param name="Expects">Whether an exception is the reader's own.</param>
/// <param name="Factor">How many times the file's bytes it may allocate, beside <see cref="Constant"/>.</param>
internal sealed record Reader(
    string Name, IReadOnlyList<byte[]> Seeds, Format Format, Func<byte[], string> Read, Func<Exception, bool> Expects, long Factor)
{
    /// <summary>The bytes that any reader may allocate whatever the file's length: messages, stack traces, tables.</summary>
    public const long Constant = 1 << 20;

    private static readonly string[] s_metadata = ["model", "config", "labels", "normalization", "data"];

    /// <summary>The names of all readers.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "safetensors", "torch", "png", "jpeg", "tiff", "bmp", "gif", "webp", "tga", "pnm", "idx", "cifar", "recipe", "metadata", "model",
        "golden", "eval-part", .. DataReaders.Names,
    ];

    /// <summary>The reader of this name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static Reader Find(string name) => name switch
    {
        "safetensors" => Weights(
            name,
            new JsonFormat(prefixed: true)
            {
                Text = true,
                Words = Words(
                    "\"F16\"", "\"BF16\"", "\"F64\"", "\"__metadata__\":", "[", "]", "{", "}", ",", ":", "null", "-1", "\\ud800", "\"a\"",
                    "\"\""),
            },
            Safetensors()),
        "torch" => Weights(name, new TorchFormat { Words = TorchWords() }, Torch()),
        "png" => Pictures(name, new PngFormat(), 10_000, Png()),
        "jpeg" => Pictures(name, new JpegFormat(), 20_000, Jpeg()),
        "tiff" => Pictures(name, new TiffFormat(), 300_000, Tiff()),
        "bmp" => Pictures(name, new Format(), 40_000, Bmp()),
        "gif" => Pictures(name, new Format { Words = [[0x2C], [0x21, 0xF9, 4], [0x3B]] }, 60_000, Gif()),
        "webp" => Pictures(name, new WebpFormat(), 1L << 32, Webp()), // any size that is allowed may come from a few bytes
        "tga" => Pictures(name, new Format(), 2_000, Tga()),
        "pnm" => Pictures(
            name, new Format { Text = true, Words = Words("P1 ", "P2 ", "P3 ", "P4 ", "P5 ", "P6 ", "#", "\n", "255 ", "65535 ") }, 200,
            Netpbm()),
        "idx" => new(name, [Idx(3, 2, 5, 4), Idx(3, 1, 28, 28), Idx(1, 20)], new IdxFormat(), ReadIdx, e => e is DatasetException, 1100),
        "cifar" => new(name, [new byte[3073], new byte[2 * 3073]], new Format(), ReadCifar, e => e is DatasetException, 4),
        "recipe" => Recipes(name),
        "metadata" => new(
            name, [.. Models().Select(Metadata)], new JsonFormat(prefixed: false)
            {
                Text = true,
                Words = Words("\"", "null", "[", "]", "{", "}", ",", ":", "|", "32768", "1e39", "1e400", "vit", "\\ud800", "\"official\""),
            }, ReadMetadata, e => e is CheckpointException, 2000),
        "golden" => new(
            name, [.. Goldens()], new JsonFormat(prefixed: false)
            {
                Text = true,
                Words = Words(
                    "\"", "null", "[", "]", "{", "}", ",", ":", "1e400", "\"cases\":", "\"shape\":[", "\"samples\":[[", "\"alias_of\":\"",
                    "\"mode\":\"train\"", "\\ud800"),
            }, ReadGolden, e => e is CheckpointException, 300),
        "eval-part" => new(
            name, [.. EvalPartSeeds()], new JsonFormat(prefixed: false)
            {
                Text = true,
                Words = Words(
                    "\"", "null", "[", "]", "{", "}", ",", ":", "-1", "1e400", "\"NaN\"", "9223372036854775807", "unet", "\\ud800"),
            }, ReadEvalPart, e => e is IOException, 2000),
        "model" => new(
            name, [.. Models()],
            new JsonFormat(prefixed: true)
            {
                Text = true,
                Words = Words("\\\"", "null", "[", "]", "{", "}", "32768", "1024", "1e39", "vit", "resnet20", "unet", "official"),
            },
            ReadModel, e => e is CheckpointException, 2000),
        _ => DataReaders.Find(name) ?? throw new ArgumentException($"no reader '{name}'; expected {string.Join(", ", Names)}"),
    };

    private static byte[][] Words(params string[] words) => [.. words.Select(Encoding.UTF8.GetBytes)];

    private static Reader Weights(string name, Format format, IEnumerable<byte[]> seeds) => new(name, [.. seeds], format, bytes =>
    {
        using WeightFile file = WeightFile.Read("file", new MemoryStream(bytes, writable: false));
        try
        {
            foreach (string tensor in file.Names)
            {
                float[] values = file.ReadFloats(tensor);
                using CountingStream copy = new();
                file.CopyTo(tensor, copy);
                Check(
                    values.Length == new Shape(file.Shape(tensor)).Count && copy.Length == file.ByteCount(tensor),
                    "values differ from the shape");
            }
        }
        catch (CheckpointException e)
        {
            throw new InvalidOperationException("opened, and thus checked, but not to be read: " + e.Message, e);
        }
        return $"{file.Form} {Math.Min(file.Names.Count, 4)} tensors {Math.Min(file.Metadata.Count, 4)} entries";
    }, e => e is CheckpointException, 300);

    private static Reader Pictures(string name, Format format, long factor, IEnumerable<byte[]> seeds) =>
        new(name, [.. seeds], format, bytes =>
    {
        string file = name == "tga" ? "file.tga" : "file";
        Image image = ImageFile.Decode(file, bytes);
        long pixels = (long)image.Width * image.Height;
        Check(image.Bytes == pixels * image.Channels * (image.Is16Bit ? 2 : 1) && pixels <= Image.MaxPixels, "pixels differ from the size");
        if (pixels > 1 << 16) return "large";
        Image again = ImageFile.Decode(file, bytes);
        // Damaged codes that a JPEG's tables lack become arbitrary pixels.
        Check(
            name == "jpeg" || (image.Is16Bit
                ? image.Samples16.AsSpan().SequenceEqual(again.Samples16)
                : image.Pixels.AsSpan().SequenceEqual(again.Pixels)),
            "pixels differ from one time to the next");
        RawMask mask = ImageFile.DecodeMask(file, bytes);
        Check(mask.Width == image.Width && mask.Height == image.Height && mask.Values.Length == pixels, "a mask of another size");
        return $"{image.Channels} channels {(image.Is16Bit ? "wide" : "")} {mask.Encoding}";
    }, e => e is ImageException, factor);

    private static void Check(bool holds, string otherwise)
    {
        if (!holds) throw new InvalidOperationException(otherwise);
    }

    private static IEnumerable<byte[]> EvalPartSeeds()
    {
        const string start = """{"job":"a5","part":"1/1","images":2,"batchSize":2,"skipped":0,"milliseconds":4.5,"vectors":"V512",""",
            place = "\"unit\":\"images\",\"where\":\"all\",\"volumes\":false}",
            batch = """ "distanceUnit":"px","notes":["n"],"measured":[{"batch":0,"first":0,"loss":0.5,"images":[""";
        yield return Utf8(
            start + "\"heading\":{\"model\":\"ul-vm-unet\"," + place + ",\"labels\":[\"lesion\"],\"classes\":1," + batch
            + """{"name":"a","group":null,"counts":[10,12,11,16,3,5,4,16],"distances":["NaN",2.5]},"""
            + """{"name":"b","group":"p","counts":[16,16,16,16,0,0,0,16],"distances":["NaN","NaN"],"volumeDistances":[1,2]}]}]}""");
        yield return Utf8(
            start + "\"heading\":{\"model\":\"vit\"," + place + ",\"labels\":[\"cat\",\"dog\"],\"classes\":2," + batch
            + """{"name":"a","group":null,"counts":[0,1,1],"distances":[]},"""
            + """{"name":"b","group":null,"counts":[1,1,1],"distances":[]}]}]}""");

        static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
    }

    /// <summary>Reads a part and joins it, as <c>eval --merge</c> does.</summary>
    private static string ReadEvalPart(byte[] bytes)
    {
        EvalPartDocument document = EvalParts.Parse("file", bytes, new JobPart(1, 1));
        Evaluation joined = new EvalParts("folder").Join([document], perImage: true);
        Check(joined.Images == document.Images, "images are missing");
        return joined.Scores.GetType().Name;
    }

    private static IEnumerable<byte[]> Safetensors()
    {
        yield return Prefixed(
            """{"__metadata__":{"format":"pt","k":"v"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"""
            + """ "b":{"dtype":"I16","shape":[],"data_offsets":[24,26]}}""", 26);
        yield return Prefixed(
            """{"x.weight":{"dtype":"F16","shape":[2,2],"data_offsets":[4,12]},"""
            + """ "x.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"""
            + """ "e":{"dtype":"U8","shape":[0,7],"data_offsets":[0,0]}}  """, 12);
        yield return Prefixed(
            """{"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"u":{"dtype":"BOOL","shape":[3],"data_offsets":[8,11]}}""", 11);
        yield return Prefixed("{}", 0);
    }

    private static byte[] Prefixed(string header, int data)
    {
        byte[] text = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes((long)text.Length), .. text, .. new byte[data]];
    }

    private static IEnumerable<byte[]> Torch()
    {
        string tensors = CheckpointsBytes.Pairs(
            CheckpointsBytes.OrderedDictionary, ("w", CheckpointsBytes.Tensor("FloatStorage", "0", 6, 0, [3, 2], [1, 3])),
            ("v", CheckpointsBytes.Tensor("HalfStorage", "1", 2, 1, [], [])));
        string whole = CheckpointsBytes.Pairs(
            CheckpointsBytes.Dictionary, ("epoch", "K\u0001"), ("lr", "G?\u00f0\0\0\0\0\0\0"), ("state_dict", tensors));
        yield return CheckpointsBytes.Zip(whole, ("0", new byte[24]), ("1", new byte[4]));
        yield return CheckpointsBytes.Stream(whole, ("0", 6, new byte[24]), ("1", 2, new byte[4]));
        string one = CheckpointsBytes.Pairs(
            CheckpointsBytes.Dictionary, ("a", CheckpointsBytes.Tensor("LongStorage", "0", 1, 0, [1], [1])));
        yield return CheckpointsBytes.Zip(one, ("0", new byte[8]));
        yield return CheckpointsBytes.Stream(one, ("0", 1, new byte[8]));
        string python2 = "ccollections\nOrderedDict\n(](](" + CheckpointsBytes.Text("w") + CheckpointsBytes.Tensor(
            "ByteStorage", "0", 4, 0, [4], [1]) + "eetR";
        yield return CheckpointsBytes.Zip(python2, ("0", new byte[4]));
        yield return CheckpointsBytes.Zip(CheckpointsBytes.Pairs(CheckpointsBytes.Dictionary,
            ("rows", NumpyArray("f4", "\u0089", new string('x', 24))), ("columns", NumpyArray("i4", "\u0088", new string('x', 24))),
            ("text", NumpyArray("u4", "\u0089", null)), ("loss", NumpyScalar("f8", 8)), ("steps", NumpyScalar("u8", 8)),
            ("name", NumpyScalar("O8", 1))));
        string buffer = "cnumpy._core.numeric\n_frombuffer\n(\u0096\u0008\0\0\0\0\0\0\0"
            + $"{new string('x', 8)}{NumpyType("f4")}{CheckpointsBytes.Tuple(2)}{CheckpointsBytes.Text("C")}tR";
        yield return CheckpointsBytes.Zip(CheckpointsBytes.Pairs(CheckpointsBytes.Dictionary, ("a", buffer)));
        string group = CheckpointsBytes.Pairs(
            CheckpointsBytes.OrderedDictionary, ("w", CheckpointsBytes.Tensor("FloatStorage", "0", 4, 0, [4], [1])));
        string optimizer = CheckpointsBytes.Pairs(CheckpointsBytes.Dictionary, ("state", group), ("param_groups", "]"));
        string networks = CheckpointsBytes.Pairs(CheckpointsBytes.Dictionary, ("generator", group));
        string hyper = "cargparse\nNamespace\n)\u0081}(" + CheckpointsBytes.Text("lr") + "K\u0001ub";
        yield return CheckpointsBytes.Zip(
            CheckpointsBytes.Pairs(CheckpointsBytes.Dictionary, ("optimizer", optimizer), ("hyper", hyper), ("nets", networks)),
            ("0", new byte[16]));
        string nested = CheckpointsBytes.Pairs(
            CheckpointsBytes.Dictionary, ("model", networks), ("seed", CheckpointsBytes.Integer(long.MaxValue)));
        yield return CheckpointsBytes.Zip(CheckpointsBytes.Pairs(CheckpointsBytes.Dictionary, ("state_dict", nested)), ("0", new byte[16]));
        string inner = CheckpointsBytes.Pairs(CheckpointsBytes.Dictionary, ("nets", networks));
        yield return CheckpointsBytes.Stream(inner, ("0", 4, new byte[16]));
    }

    private static string NumpyType(string code) =>
        $"cnumpy\ndtype\n({CheckpointsBytes.Text(code)}\u0089\u0088tR(K\u0003{CheckpointsBytes.Text("<")}NNNtb";

    private static string NumpyScalar(string code, int bytes) =>
        $"cnumpy.core.multiarray\nscalar\n({NumpyType(code)}C{(char)bytes}{new string('\u0001', bytes)}tR";

    /// <summary>Six elements of four bytes; without content, as text that is decoded to bytes.</summary>
    private static string NumpyArray(string code, string columnMajor, string? content)
    {
        string bytes = content is null
            ? $"c_codecs\nencode\n({CheckpointsBytes.Text(new string('\u00ff', 24))}{CheckpointsBytes.Text("latin1")}tR"
            : $"C{(char)content.Length}{content}";
        return $"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n{CheckpointsBytes.Tuple(0)}C\u0001btR"
            + $"(K\u0001{CheckpointsBytes.Tuple(2, 3)}{NumpyType(code)}{columnMajor}{bytes}tb";
    }

    private static byte[][] TorchWords() =>
    [
        .. new[]
        {
            "N", "\u0088", "\u0089", "K\u0001", "]", "}", ")", "(", "t", "a", "e", "s", "u", "0", "q\0", "q\u0001", "h\0", "h\u0001",
            "\u0094", "R", "b", "Q", "\u0085", "\u0086", "\u0087", ".", "\u0093",
            "ccollections\nOrderedDict\n", "ctorch._utils\n_rebuild_tensor_v2\n", "ctorch\nFloatStorage\n", "c_codecs\nencode\n",
            "cbuiltins\nset\n", "cbuiltins\nbytes\n", "ctorch._utils\n_rebuild_parameter\n",
            "ctorch._utils\n_rebuild_tensor_v3\n", "ctorch.storage\nUntypedStorage\n", "ctorch\nfloat8_e4m3fn\n", "ctorch\nSize\n",
            "ctorch\ndevice\n",
            "cnumpy\ndtype\n", "cnumpy\nndarray\n", "cnumpy.core.multiarray\nscalar\n", "cnumpy.core.multiarray\n_reconstruct\n",
            "cnumpy._core.numeric\n_frombuffer\n", "ccollections\ndefaultdict\n", "ccollections\nCounter\n", "cargparse\nNamespace\n",
                "ccopyreg\n_reconstructor\n",
            CheckpointsBytes.Text("storage"), CheckpointsBytes.Text("state_dict"), CheckpointsBytes.Text("latin1"),
            CheckpointsBytes.Integer(0), CheckpointsBytes.Integer(long.MaxValue), CheckpointsBytes.Tuple(1, 2),
            "ctorch._tensor\n_rebuild_from_type_v2\n",
            CheckpointsBytes.Text("f4"), CheckpointsBytes.Text("u8"), CheckpointsBytes.Text("param_groups"),
                CheckpointsBytes.Text("model"), "C\u0004xxxx",
            CheckpointsBytes.PersistentId("FloatStorage", "0", 6), CheckpointsBytes.Tensor("FloatStorage", "0", 6, 0, [2], [3]),
            CheckpointsBytes.Tensor("FloatStorage", "0", 6, 0, [1 << 20], [0]),
        }.Select(Encoding.Latin1.GetBytes), "PK\x03\x04"u8.ToArray(), "PK\x01\x02"u8.ToArray(), "PK\x05\x06"u8.ToArray(),
        "PK\x06\x06"u8.ToArray(), "PK\x06\x07"u8.ToArray(),
    ];

    private static IEnumerable<byte[]> Png()
    {
        foreach ((int depth, int type, int samples) in new[]
        {
            (1, 0, 1), (2, 3, 1), (4, 0, 1), (8, 0, 1), (8, 2, 3), (8, 3, 1), (16, 0, 1), (8, 6, 4), (16, 4, 2),
        })
            foreach (int interlaced in new[] { 0, 1 })
            {
                // Filters of all kinds, stored without compression so that they can be corrupted.
                byte[] rows = new byte[interlaced == 0 ? 5 * (1 + (7 * samples * depth + 7) / 8) : 400];
                for (int i = 0; i < 5 && interlaced == 0; i++) rows[i * (rows.Length / 5)] = (byte)i;
                byte[]? palette = type == 3 ? [.. Enumerable.Range(0, 12).Select(v => (byte)(20 * v))] : null;
                if (type == 3 && depth == 2) Array.Clear(rows);
                yield return Tests.Support.Pictures.Png(
                    7, 5, depth, type, interlaced, rows, palette,
                    interlaced == 0 ? CompressionLevel.NoCompression : CompressionLevel.Fastest);
            }
    }

    private static IEnumerable<byte[]> Jpeg()
    {
        yield return Tests.Support.Pictures.Jpeg(Tests.Support.Pictures.Smooth(11, 9, 1), 1);
        yield return Tests.Support.Pictures.Jpeg(Tests.Support.Pictures.Smooth(20, 17, 3), 2);
        foreach (byte[] sample in JpegSamples.All) yield return sample;
    }

    private static IEnumerable<byte[]> Tiff()
    {
        Image gray = Tests.Support.Pictures.Smooth(9, 7, 1), color = Tests.Support.Pictures.Smooth(9, 7, 3);
        yield return Tests.Support.Pictures.PaddedTiff(color, 3);
        yield return Tests.Support.Pictures.PaddedTiff(gray, 7);
        foreach (Compression compression in new[] { Compression.NONE, Compression.LZW, Compression.PACKBITS, Compression.ADOBE_DEFLATE })
        {
            yield return Tests.Support.Pictures.Tiff(9, 7, 3, 8, Photometric.RGB, compression, y => color.Pixels[(27 * y)..(27 * y + 27)]);
            yield return Tests.Support.Pictures.Tiff(9, 7, 1, 1, Photometric.MINISWHITE, compression, y => [(byte)(0x35 << (y % 3)), 0x80]);
        }
        yield return Tests.Support.Pictures.Tiff(9, 7, 4, 16, Photometric.RGB, Compression.LZW, y =>
            [.. Enumerable.Range(0, 72).Select(i => (byte)(i * y))]);
        foreach (bool tiled in new[] { false, true }) yield return Tests.Support.Pictures.SpecialTiff(color, tiled);
        Image wider = Tests.Support.Pictures.Smooth(16, 16, 3);
        yield return Tests.Support.Pictures.Tiff(
            16, 16, 3, 8, Photometric.RGB, Compression.JPEG, y => wider.Pixels[(48 * y)..(48 * y + 48)], 8);
        yield return Tests.Support.Pictures.Tiff(
            16, 7, 1, 1, Photometric.MINISBLACK, Compression.CCITTFAX4, y => [(byte)(0x35 << (y % 3)), 0x80]);
        yield return Tests.Support.Pictures.Tiff(
            8, 3, 1, 12, Photometric.MINISBLACK, Compression.NONE, y => [.. Enumerable.Repeat((byte)y, 12)]);
        yield return Tests.Support.Pictures.TiffStack(5, 3, [new byte[15], new byte[15]]);
    }

    private static IEnumerable<byte[]> Bmp()
    {
        foreach (int bits in new[] { 1, 4, 8, 24, 32 })
            yield return Tests.Support.Pictures.Bmp(
                7, 5, bits, bits == 8, bits > 8 ? [] : [.. Enumerable.Range(0, 4 << bits).Select(i => (byte)i)],
                (y, stride) => [.. Enumerable.Range(0, stride).Select(i => (byte)(i * y))]);
    }

    private static byte[] Encoded(Image image, SixLabors.ImageSharp.Formats.IImageEncoder encoder)
    {
        using SixLabors.ImageSharp.Image picture = image.Channels == 1
            ? SixLabors.ImageSharp.Image.LoadPixelData<SixLabors.ImageSharp.PixelFormats.L8>(image.Pixels, image.Width, image.Height)
            : SixLabors.ImageSharp.Image.LoadPixelData<SixLabors.ImageSharp.PixelFormats.Rgb24>(image.Pixels, image.Width, image.Height);
        MemoryStream file = new();
        picture.Save(file, encoder);
        return file.ToArray();
    }

    private static IEnumerable<byte[]> Gif()
    {
        byte[] one = Encoded(Tests.Support.Pictures.Smooth(11, 9, 3), new SixLabors.ImageSharp.Formats.Gif.GifEncoder());
        yield return one;
        yield return Encoded(Tests.Support.Pictures.Smooth(7, 5, 1), new SixLabors.ImageSharp.Formats.Gif.GifEncoder());
        byte[] interlaced = [.. one];
        interlaced[Array.IndexOf(interlaced, (byte)0x2C, 13 + 3 * (2 << (one[10] & 7))) + 9] |= 0x40;
        yield return interlaced;
    }

    private static IEnumerable<byte[]> Webp()
    {
        foreach (int channels in new[] { 1, 3 })
            foreach (var form in new[]
            {
                SixLabors.ImageSharp.Formats.Webp.WebpFileFormatType.Lossless, SixLabors.ImageSharp.Formats.Webp.WebpFileFormatType.Lossy,
            })
                yield return Encoded(
                    Tests.Support.Pictures.Smooth(20, 17, channels),
                    new SixLabors.ImageSharp.Formats.Webp.WebpEncoder { FileFormat = form });
    }

    private static IEnumerable<byte[]> Tga()
    {
        foreach (var bits in Enum.GetValues<SixLabors.ImageSharp.Formats.Tga.TgaBitsPerPixel>())
            foreach (var packing in Enum.GetValues<SixLabors.ImageSharp.Formats.Tga.TgaCompression>())
                yield return Encoded(
                    Tests.Support.Pictures.Smooth(9, 7, bits == SixLabors.ImageSharp.Formats.Tga.TgaBitsPerPixel.Pixel8 ? 1 : 3),
                    new SixLabors.ImageSharp.Formats.Tga.TgaEncoder { BitsPerPixel = bits, Compression = packing });
    }

    private static IEnumerable<byte[]> Netpbm() =>
    [
        [.. "P6 3 2 255\n"u8, .. new byte[18]], [.. "P5 3 2 4095\n"u8, .. new byte[12]], [.. "P4 11 2\n"u8, 1, 2, 3, 4],
        "P1 3 2 # a comment\n101 1 0 1"u8.ToArray(), "P2 2 2 15\n0 3 15 7"u8.ToArray(), "P3 1 1 255 7 8 9"u8.ToArray(),
    ];

    private static byte[] Idx(byte dimensions, params int[] sizes) =>
        [
            0, 0, 8, dimensions, .. sizes.SelectMany(size => BitConverter.GetBytes(size).Reverse()),
            .. new byte[sizes.Aggregate(1, (product, size) => product * size)],
        ];

    private static string ReadIdx(byte[] bytes)
    {
        int dimensions = bytes.Length > 3 && bytes[3] == 1 ? 1 : 3;
        (ReadOnlyMemory<byte> values, int[] sizes) = Mnist.ReadIdx(
            "file", new MemoryStream(bytes, writable: false), 0x800u + (uint)dimensions, dimensions);
        Check(values.Length == sizes.Aggregate(1L, (product, size) => product * size), "values differ from the sizes");
        return $"{dimensions} dimensions";
    }

    private static string ReadCifar(byte[] bytes)
    {
        byte[] records = Cifar10.ReadRecords("file", new MemoryStream(bytes, writable: false));
        Check(records.Length == bytes.Length && records.Length % 3073 == 0, "records of another size");
        return "records";
    }

    private static Reader Recipes(string name)
    {
        Terminal silent = new(TextWriter.Null, TextWriter.Null);
        Command train = TrainCommand.Create(silent, CancellationToken.None);
        System.CommandLine.ParseResult typed = train.Parse([]);
        return new Reader(name,
        [
            .. Recipe.Names.Select(recipe => Encoding.UTF8.GetBytes(
                $$"""{"note":"of {{recipe}}","model":"{{recipe}}","epochs":3,"lr":1e-4,"""
                + """ "optimizer":"adam","size":"64x64","init":null}""")),
            """{"augment":"","seed":18446744073709551615,"data":"@file","mixup":0.5,"out":"--help","label-smoothing":0}"""u8.ToArray(),
        ], new JsonFormat(prefixed: false)
        {
            Text = true,
            Words = Words(
            "@file", "--help", "--", "-", "=", "\"\"", "\\ud800", "null", "true", "[", "{", "}", "\\u0000", "\"batch\":", "\"depth\":",
            "\"schedule\":\"step\",")
        }, bytes =>
        {
            System.CommandLine.ParseResult all = Recipe.Apply("file", bytes, typed, silent);
            return $"{all.CommandResult.Children.Count()} options";
        }, e => e is ArgumentException, 2000);
    }

    private static IEnumerable<byte[]> Models()
    {
        string path = Path.GetTempFileName();
        try
        {
            foreach (ModelEntry entry in new[] { "vim", "resnet20", "unet" }.Select(Registry.Find))
            {
                bool tokens = entry.Config.ImageSize is not null;
                ModelConfig small = entry.Config with
                {
                    InputChannels = 1,
                    Classes = entry.Task == ModelTask.Classification ? 2 : 1,
                    Width = 2,
                    Depth = entry.Name == "resnet20" ? 3 : 1,
                    ImageSize = tokens ? 8 : null,
                    Patch = tokens ? 4 : null,
                };
                ModelInfo info = new(
                    entry.Name, small, small.Classes == 1 ? ["a"] : ["a", "b"], Normalization.None(1),
                    new RunData(SplitProtocol.Image, 0, null, 8, 8));
                ModelFile.Save(path, entry.Create(small), info);
                yield return File.ReadAllBytes(path);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string ReadModel(byte[] bytes)
    {
        using WeightFile file = WeightFile.Read("file", new MemoryStream(bytes, writable: false));
        ModelFile.Load(file);
        return "model";
    }

    /// <summary>
    /// The texts that describe a model, apart from its weights: they are read without a model being made, and so at speed.
    /// </summary>
    private static byte[] Metadata(byte[] file)
    {
        using WeightFile weights = WeightFile.Read("file", new MemoryStream(file, writable: false));
        return Encoding.UTF8.GetBytes(string.Join('|', s_metadata.Select(key => weights.Metadata[key])));
    }

    private static string ReadMetadata(byte[] bytes)
    {
        string[] texts = Encoding.UTF8.GetString(bytes).Split('|');
        ModelInfo info = ModelFile.Describe("file", s_metadata.Zip(texts).ToDictionary(entry => entry.First, entry => entry.Second));
        Check(
            info.Labels.Count == info.Config.Classes && info.Normalization.Fits(info.Config.InputChannels)
                && info.Data is { Height: >= 1 and <= RunData.MaxSide, Width: >= 1 and <= RunData.MaxSide },
            "a description that contradicts itself");
        return $"{info.Config.ImageSize is null} {info.Config.Patch is null} {info.Config.Width is null} {info.Config.Depth is null}";
    }

    private static IEnumerable<byte[]> Goldens()
    {
        const string Digest = """{"shape":[1,1,4],"mean":0.5,"l2":2.0,"samples":[[0,0.25],[3,-1e-3]]}""";
        const string Head = """{"model":"unet","config":{"classes":1},"parameters":12,"tensors":["""
            + """{"name":"a.weight","shape":[3,4],"low":-0.5,"high":0.5,"kind":"parameter"},"""
            + """{"name":"b.weight","shape":[3,4],"alias_of":"a.weight"}],"cases":[""";
        const string Evaluate = """{"mode":"eval","input":{"name":"input.0","shape":[1,3,4,4],"low":0.0,"high":1.0},"output":"""
            + Digest + ""","tolerance":{"output":0.0001}}""";
        const string Train = """{"mode":"train","input":{"name":"input.t","shape":[2,3,4,4],"low":0,"high":1},"output":"""
            + Digest + ""","cotangent":{"name":"c","shape":[1,1,4],"low":-1,"high":1},"loss":1e-3,"input_grad":"""
            + Digest + ""","grads":{"a.weight":""" + Digest + ""","x":null},"buffers_after":{"m":""" + Digest
            + """},"tolerance":{"output":1e-4,"grads":0.01,"input_grad":1e-3,"buffers":1e-4}}""";
        const string Optimize = """{"mode":"optimize","input":{"name":"input.o","shape":[2,3,4,4],"low":0,"high":1},"""
            + """ "target":{"name":"t","shape":[2,1,4,4],"low":0,"high":1,"then":"ge 0.75"},"loss":"dice","""
            + """ "optimizer":{"name":"adam","lr":3e-4,"betas":[0.9,0.999],"eps":1e-08,"weight_decay":0.0},"""
            + """ "losses":[0.64,0.61],"tolerance":{"losses":0.0015}}""";
        foreach (string cases in new[] { "", Evaluate, Evaluate + "," + Evaluate, Train, Optimize })
            yield return Encoding.UTF8.GetBytes(Head + cases + "]}");
    }

    private static string ReadGolden(byte[] bytes)
    {
        ModelGoldenFile file = ModelGoldenFile.Read("file", bytes);
        foreach (ModelGoldenCase golden in file.Cases)
        {
            IEnumerable<Digest?> digests =
            [
                golden.Output, golden.InputGradient, .. golden.Buffers.Select(b => b.Digest), .. golden.Gradients.Select(g => g.Digest),
            ];
            Check(
                digests.All(digest =>
                    digest is null || digest.Samples.All(sample => sample.Index >= 0 && sample.Index < digest.Shape.Count)),
                "a sample outside of its tensor");
            FilledTensor?[] made = [golden.Input, golden.Cotangent, golden.Training?.Target];
            Check(made.All(tensor => tensor is null || tensor.Shape.Count <= ModelGoldenFile.MaxInput), "a tensor above its limit");
        }
        IEnumerable<string> modes = file.Cases.Select(g => g.Mode is "eval" or "train" or "optimize" ? g.Mode : "other").Distinct();
        return $"{Math.Min(file.Tensors.Count, 4)} tensors {string.Join(' ', modes)}";
    }

    /// <summary>Counts what is written to it.</summary>
    private sealed class CountingStream : Stream
    {
        private long _length;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _length;

        public override long Position { get => _length; set => throw new NotSupportedException(); }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => _length += count;
    }
}
