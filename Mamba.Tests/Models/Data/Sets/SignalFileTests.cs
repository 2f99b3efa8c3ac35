using System.Buffers.Binary;
using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Signals in WAVE files and in text, whole and damaged, and folders of them.</summary>
internal sealed class SignalFileTests
{
    private static readonly float[] s_values = [-1f, 0f, 0.5f, -0.25f];

    private static readonly (int Encoding, int Bits, byte[] Data)[] s_encodings =
    [
        (1, 8, [0, 128, 192, 96]),
        (1, 16, [.. new short[] { -32768, 0, 16384, -8192 }.SelectMany(BitConverter.GetBytes)]),
        (1, 24, [0, 0, 0x80, 0, 0, 0, 0, 0, 0x40, 0, 0, 0xE0]),
        (1, 32, [.. new[] { int.MinValue, 0, 1 << 30, -(1 << 29) }.SelectMany(BitConverter.GetBytes)]),
        (3, 32, [.. s_values.SelectMany(BitConverter.GetBytes)]),
        (3, 64, [.. s_values.SelectMany(value => BitConverter.GetBytes((double)value))]),
    ];

    [Test]
    public void Every_encoding_gives_its_values([Range(0, 5)] int which, [Values] bool extensible, [Values(1, 2)] int channels)
    {
        (int encoding, int bits, byte[] data) = s_encodings[which];
        byte[] file = WavSamples.File(encoding, bits, channels, data, WavSamples.Chunk("LIST", [1, 2, 3]), extensible);
        Signal signal = Wav(file);
        Assert.That(signal.Values, Is.EqualTo(s_values));
        Assert.That((signal.Channels, signal.Length, signal.Rate), Is.EqualTo((channels, 4 / channels, 8000)));
    }

    [Test]
    public void A_stream_of_unknown_length_ends_with_its_file()
    {
        byte[] file = WavSamples.Pcm16([1, 2, 3]);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(file.Length - 6 - 4), uint.MaxValue);
        Assert.That(Wav(file).Length, Is.EqualTo(3));
    }

    [Test]
    public void A_cut_file_is_refused_wherever_it_is_cut()
    {
        byte[] file = WavSamples.Pcm16([1, 2, 3]);
        for (int length = 0; length < file.Length; length++)
            Assert.That(() => Wav(file[..length]), Throws.TypeOf<DatasetException>().With.Message.StartsWith("file: "), $"{length} bytes");
    }

    [TestCase(20, 2, "encoding 2"), TestCase(20, 0xFFFE, "encoding 65534"), TestCase(34, 12, "of 12 bits"), TestCase(22, 0, "0 channels")]
    [TestCase(22, 65, "65 channels"), TestCase(32, 4, "blocks of 4"), TestCase(16, 2, "chunk"), TestCase(0, 0x4141, "no WAVE file")]
    [TestCase(8, 0x4141, "no WAVE file"), TestCase(12, 0x4141, "before the chunk 'fmt '"), TestCase(36, 0x4141, "no chunk 'data'")]
    [TestCase(42, 0x7FFF, "promises"), TestCase(40, 5, "multiple of 2")]
    public void A_wrong_field_is_refused_by_name(int at, int value, string message)
    {
        byte[] file = WavSamples.Pcm16([1, 2, 3]);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), (ushort)value);
        Assert.That(() => Wav(file), Throws.TypeOf<DatasetException>().With.Message.Contains(message));
    }

    [Test]
    public void Values_that_are_not_finite_are_refused()
    {
        byte[] data = [.. new[] { 0f, float.NaN }.SelectMany(BitConverter.GetBytes)];
        Assert.That(() => Wav(WavSamples.File(3, 32, 1, data)), Throws.TypeOf<DatasetException>().With.Message.Contains("value 1"));
    }

    [TestCase("1,2\n3,4\n", 2, new[] { 1f, 2, 3, 4 }), TestCase("\uFEFFx;y\r\n1;2\r\n\r\n3;-4e1", 2, new[] { 1f, 2, 3, -40 })]
    [TestCase("0.5\n1\n", 1, new[] { 0.5f, 1 }), TestCase("", 1, new float[0]), TestCase("u\tv\n1\t2\n", 2, new[] { 1f, 2 })]
    [TestCase("\"U; rel\",\"I, rel\"\n1,2\n", 2, new[] { 1f, 2 }), TestCase("\"0.5\",\"-7e1\"\n", 2, new[] { 0.5f, -70 })]
    // The names that pandas gives the columns of an array; numbers that are no such names are values.
    [TestCase("0,1\n0.5,2\n", 2, new[] { 0.5f, 2 }), TestCase("0,1,2\n3,4,5\n", 3, new[] { 3f, 4, 5 })]
    [TestCase("0\n1\n", 1, new[] { 0f, 1 }), TestCase("1,2\n", 2, new[] { 1f, 2 }), TestCase("0,1.0\n", 2, new[] { 0f, 1 })]
    public void Text_gives_a_line_a_sample(string text, int channels, float[] values)
    {
        Signal signal = Csv(text);
        Assert.That(signal.Channels, Is.EqualTo(channels));
        Assert.That(signal.Values, Is.EqualTo(values));
    }

    [TestCase("1,2\n3\n", "line 2"), TestCase("1\nx\n", "'x'"), TestCase("a\nb\n1\n", "'b'"), TestCase("1\nNaN\n", "'NaN'")]
    [TestCase("1\n1e400\n", "'1e400'"), TestCase("1,\n", "''"), TestCase("\t1\n\t2\n", "''")]
    // Decimal commas and separators of thousands would be read as channels.
    [TestCase("0,5;0,7\n", "line 1 has a semicolon where a comma"), TestCase("1;2\n3,5;4\n", "line 2 has a comma where a semicolon")]
    [TestCase("1,2\n3\t4\n", "decimals with a point"), TestCase("a;b\n0,5\t1\n", "line 2 has a tab")]
    [TestCase("1,25\n1,05\n", "line 2: '1,05' looks like a decimal comma")]
    // A first line of data gone wrong is no header.
    [TestCase("0x10\n2\n", "line 1: '0x10'"), TestCase("1 000\n2\n", "line 1: '1 000'"), TestCase("NA\n1\n", "line 1: 'NA'")]
    [TestCase("-inf,x\n1,2\n", "line 1: '-inf'"), TestCase("-\n1\n", "line 1: '-'"), TestCase("x,3d\n1,2\n", "line 1: 'x'")]
    [TestCase(",0\n0.5,1\n", "gives no name to the first column"), TestCase("\"0,5\"\n", "'\"0,5\"' is no finite number")]
    [TestCase("+.5s\n1\n", "'+.5s'"), TestCase("volts\n1,2\n", "the first line has 1 names, line 2 2 values")]
    public void Text_that_is_no_signal_is_refused_by_line(string text, string message) =>
        Assert.That(() => Csv(text), Throws.TypeOf<DatasetException>().With.Message.Contains(message));

    [TestCase("x;y\n1;2\n", true), TestCase("1\n", false), TestCase(",time (s),\"a, b\"\n0,1,2\n", true), TestCase("#t\n1\n", true)]
    public void A_line_of_names_is_skipped_and_told(string text, bool header) => Assert.That(Csv(text).HasHeader, Is.EqualTo(header));

    // What R and pandas write beside the values.
    [TestCase("\"\",\"x\"\n\"1\",0.5\n\"2\",7\n", 1, "the first column counts the rows")]
    [TestCase(",0,1\n0,0.5,7\n1,0.5,7\n", 2, "the first column counts the rows")]
    [TestCase(",0\n20,0.5\n21,7\n", 1, "the first column counts the rows")]
    [TestCase("time (s),x\n0,0.5\n0.25,7\n", 1, "the column 'time' tells the row")]
    [TestCase("Timestamp,x\n1700000000.001,0.5\n1700000000.002,7\n", 1, "the column 'Timestamp' tells the row")]
    [TestCase(",t\n0,0.5\n1,7\n", 1, "the first column counts the rows")]
    public void A_column_that_tells_the_row_is_left_out(string text, int channels, string note)
    {
        Signal signal = Csv(text);
        Assert.That((signal.Channels, signal.Length, signal.Notes.Count), Is.EqualTo((channels, 2, 2)));
        Assert.That((signal.Values[0], signal.Values[^1]), Is.EqualTo((0.5f, 7f)));
        Assert.That(signal.Notes[1], Does.StartWith(note));
    }

    [TestCase(",a\n5,1\n3,2\n", 2), TestCase("time,x\n2,1\n2,3\n", 2)]
    [TestCase("t\n1\n2\n", 1), TestCase("times,x\n1,1\n2,3\n", 2), TestCase("x,T\n0.5,-2\n7,-1\n", 2)]
    public void A_column_that_may_be_a_channel_is_one(string text, int channels)
    {
        Assert.That(Csv(text).Channels, Is.EqualTo(channels));
        Assert.That(Csv(text).Notes, Is.EqualTo(new[] { "the first line names the channels, and is skipped" }));
    }

    [Test]
    public void A_first_line_of_numbers_is_told()
    {
        Assert.That(Csv("0,1\n5,6.5\n").Notes, Is.EqualTo(new[] { "the first line numbers the channels 0, 1, ..., and is skipped" }));
        Signal whole = Csv("0,1\n1,1\n"); // which two binary channels may begin with
        Assert.That((whole.Notes.Count, whole.HasHeader, whole.Channels), Is.EqualTo((0, false, 2)));
        Assert.That(whole.Values, Is.EqualTo(new[] { 0f, 1, 1, 1 }));
    }

    [Test]
    public void A_column_tells_the_row_in_all_files_or_in_none_and_a_models_channels_decide()
    {
        using TemporaryFolder folder = new();
        folder.Write("a/1.csv", "time,x\n1,0.5\n2,7\n"u8.ToArray());
        folder.Write("b/1.csv", "time,x\n1,0.5\n2,7\n"u8.ToArray());
        Assert.That(new SignalFolder(folder.Root).Channels, Is.EqualTo(1));
        folder.Write("b/2.csv", "time,x\n1,0.5\n1,7\n"u8.ToArray()); // a clock that stood still
        Assert.That(new SignalFolder(folder.Root).Channels, Is.EqualTo(2));
        foreach (int channels in new[] { 1, 2 })
            Assert.That(new SignalFolder(folder.Root, ["a", "b"], channels, CancellationToken.None).Channels, Is.EqualTo(channels));
        Assert.That(Signal.Load(Path.Combine(folder.Root, "b/2.csv"), channels: 1).Values, Is.EqualTo(new[] { 0.5f, 7 }));
    }

    [Test]
    public void The_classes_of_a_model_tell_classes_from_parts()
    {
        using TemporaryFolder folder = new();
        foreach (string file in new[] { "my_test/dog/1.csv", "my_test/train/1.csv" }) folder.Write(file, "1\n2\n"u8.ToArray());
        SignalFolder below = new(folder.Root, ["dog", "train"], null, CancellationToken.None);
        Assert.That(below.Signals.Select(entry => entry.Label), Is.EqualTo(new[] { 0, 1 }));
        using TemporaryFolder outer = new();
        foreach (string file in new[] { "dog/s1/1.csv", "train/s1/1.csv" }) outer.Write(file, "1\n2\n"u8.ToArray());
        SignalFolder classes = new(outer.Root, ["dog", "train"], null, CancellationToken.None);
        Assert.That(
            classes.Signals.Select(entry => (entry.Label, entry.Part)), Is.EqualTo(new (int, SplitPart?)[] { (0, null), (1, null) }));
    }

    [Test]
    public void More_channels_than_there_may_be_are_refused() => Assert.That(
        () => Csv(string.Join(',', Enumerable.Repeat("1", 65))), Throws.TypeOf<DatasetException>().With.Message.Contains("65 values"));

    [Test]
    public void Folders_that_are_no_classes_are_refused()
    {
        using TemporaryFolder folder = new();
        folder.Write("a/1.csv", "1\n2\n"u8.ToArray());
        Refuse("1 classes");
        string other = folder.Write("b/1.csv", "1,2\n"u8.ToArray());
        Refuse("2 channels");
        File.Delete(other);
        folder.Write("b/1.wav", WavSamples.Pcm16([1]));
        Refuse("8000 Hz");
        File.Delete(Path.Combine(folder.Root, "b", "1.wav"));
        string empty = folder.Write("b/1.csv", []);
        Refuse("no samples");
        File.Delete(empty);
        folder.Write("b/1.csv", "3"u8.ToArray());
        Assert.That(new SignalFolder(folder.Root).Signals, Has.Count.EqualTo(2));
        folder.Write("1.csv", "3"u8.ToArray());
        Refuse("outside of any class");
        Assert.That(
            () => new SignalFolder(Path.Combine(folder.Root, "none")),
            Throws.TypeOf<DatasetException>().With.Message.Contains("no such folder"));

        void Refuse(string message) => Assert.That(
            () => new SignalFolder(folder.Root), Throws.TypeOf<DatasetException>().With.Message.Contains(message));
    }

    [TestCase("1 recordings of a part outside of any class: test/1.csv", "train/cat/1.csv", "train/dog/1.csv", "test/1.csv")]
    [TestCase("1 recordings outside of the parts: more/c/1.csv", "train/cat/1.csv", "train/dog/1.csv", "more/c/1.csv")]
    [TestCase(
        "folders train_a, train_b are no classes", "train_a/no/1.csv", "train_a/yes/1.csv", "train_b/no/1.csv", "train_b/yes/1.csv")]
    [TestCase("folders inputs, labels are no classes", "inputs/1.csv", "labels/1.csv")]
    [TestCase(
        "no recordings in train of 1 of the 2 classes: b; expected training recordings of each class", "train/a/1.csv", "test/a/1.csv",
        "test/b/1.csv")]
    public void Folders_that_may_mean_something_else_are_refused(string message, params string[] files)
    {
        using TemporaryFolder folder = new();
        foreach (string file in files) folder.Write(file, "1\n2\n"u8.ToArray());
        Assert.That(
            () => new SignalFolder(folder.Root),
            Throws.TypeOf<DatasetException>().With.Message.StartsWith($"{folder.Root}: {message}"));
    }

    [Test]
    public void What_a_folder_lacks_and_what_is_not_read_is_told()
    {
        using TemporaryFolder folder = new();
        foreach (string file in new[] { "training/a/1.csv", "training/b/1.csv", "Testing/a/1.csv" })
            folder.Write(file, "time,x\n1,2\n"u8.ToArray());
        foreach (string file in new[] { "training/a/2.flac", "training/b/2.FLAC", "training/b/3.tsv", "README.md" }) folder.Write(file, []);
        SignalFolder signals = new(folder.Root);
        Assert.That(signals.Signals.Select(entry => entry.Part), Is.EqualTo(new[] { SplitPart.Test, SplitPart.Train, SplitPart.Train }));
        Assert.That(
            signals.Notes,
            Is.EqualTo(new[]
            {
                "no recordings in Testing of 1 of the 2 classes: b", "3 files of other kinds passed over: 2 .flac, 1 .tsv",
            }));
        Assert.That(
            signals.TextNotes,
            Is.EqualTo(new[]
            {
                "the first line names the channels, and is skipped (3 files)",
                "the column 'time' tells the row, and is left out (3 files)",
            }));
        SignalFolder known = new(folder.Root, ["a", "b", "c"], null, CancellationToken.None);
        Assert.That(known.Missing, Is.EqualTo(new[] { "c" }));
        Assert.That(known.Notes, Is.EqualTo(signals.Notes.Skip(1)), "the classes of a model need not be there");
    }

    [Test]
    public void Folders_that_classes_have_in_common_are_told()
    {
        using TemporaryFolder folder = new();
        foreach (string file in new[] { "spk1/no/1.csv", "spk1/yes/1.csv", "spk2/no/1.csv", "spk2/yes/1.csv" })
            folder.Write(file, "1\n2\n"u8.ToArray());
        SignalFolder signals = new(folder.Root);
        Assert.That(signals.Labels, Is.EqualTo(new[] { "spk1", "spk2" }));
        Assert.That(
            signals.Notes,
            Is.EqualTo(new[]
            {
                "folders spk1, spk2 all hold folders no, yes, so that those may be the classes; expected CLASS/NAME, if they are",
            }));
    }

    [Test]
    public void Recordings_are_found_once_whatever_leads_back()
    {
        using TemporaryFolder folder = new();
        foreach (string file in new[] { "b/1.WAV", "a/c/1.csv", "a/1.txt", ".hidden/1.csv" }) folder.Write(file, []);
        Directory.CreateSymbolicLink(Path.Combine(folder.Root, "again"), folder.Root);
        Assert.That(SignalFolder.Find(folder.Root), Is.EqualTo(new[] { "a/c/1.csv", "b/1.WAV" }));
    }

    private static Signal Wav(byte[] bytes) => WavFile.Read("file", new MemoryStream(bytes, writable: false));

    private static Signal Csv(string text) => CsvSignal.Read("file", new MemoryStream(Encoding.UTF8.GetBytes(text), writable: false));
}
