using System.Text;

namespace Mamba.Tests.Core;

/// <summary>How a pickle stores the bytes of an array.</summary>
internal enum PickleStyle
{
    /// <summary>As the published files: strings of Python 2.</summary>
    Python2,

    /// <summary>Bytes of Python 3, protocol 3 and later.</summary>
    Bytes,

    /// <summary>Text that is encoded to bytes, Python 3 with protocol 2.</summary>
    Encoded,
}

/// <summary>Batches of CIFAR's Python versions, opcode by opcode.</summary>
internal static class CifarPickles
{
    public static byte[] Batch(PickleStyle style, string labelKey, int[] labels, byte[] pixels)
    {
        string list = "](" + string.Concat(labels.Select(l => CheckpointsBytes.Integer(l))) + "e";
        string type = $"cnumpy\ndtype\n({Key(style, "u1")}K\0K\u0001tR(K\u0003{Key(style, "|")}"
            + "NNNJ\u00ff\u00ff\u00ff\u00ffJ\u00ff\u00ff\u00ff\u00ffK\0tb";
        string array = $"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n{CheckpointsBytes.Tuple(0)}{Key(style, "b")}tR"
            + $"(K\u0001{CheckpointsBytes.Tuple(labels.Length > 0 ? pixels.Length / 3072 : 0, 3072)}{type}\u0089{Content(style, pixels)}tb";
        return CheckpointsBytes.Pickle($"}}q\u0001({Key(style, "batch_label")}{Key(style, "one")}{Key(style, labelKey)}{list}"
            + $"{Key(style, "data")}{array}{Key(style, "filenames")}]({Key(style, "a.png")}eu");
    }

    public static byte[] Meta(PickleStyle style, string key, IEnumerable<string> names) => CheckpointsBytes.Pickle(
        $"}}({Key(style, "num_vis")}M\0\u000c{Key(style, key)}]({string.Concat(names.Select(n => Key(style, n)))}eu");

    private static string Key(PickleStyle style, string text) =>
        style == PickleStyle.Python2 ? $"U{(char)text.Length}{text}" : CheckpointsBytes.Text(text);

    private static string Content(PickleStyle style, byte[] bytes)
    {
        string length = Encoding.Latin1.GetString(BitConverter.GetBytes(bytes.Length)), text = Encoding.Latin1.GetString(bytes);
        return style switch
        {
            PickleStyle.Python2 => $"T{length}{text}",
            PickleStyle.Bytes => $"B{length}{text}",
            _ => $"c_codecs\nencode\n({CheckpointsBytes.Text(text)}{CheckpointsBytes.Text("latin1")}tR",
        };
    }
}
