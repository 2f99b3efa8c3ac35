using System.Buffers.Binary;
using System.Text;

namespace Mamba.Tests.Cli;

/// <summary>The events that <c>mamba train --tensorboard</c> writes, read by the definitions of the formats.</summary>
[NonParallelizable]
internal sealed class TensorBoardTests : CliTest
{
    [Test, Exercises("train", "--tensorboard", "--epochs")]
    public void The_events_are_records_with_checksums_and_hold_the_columns_of_the_results()
    {
        string[] train = ["train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--limit", "20", "--threads", "1"];
        Succeeds([.. train, "--epochs", "2", "--out", In("plain")]);
        Assert.That(Directory.GetFiles(In("plain"), "events.*"), Is.Empty);
        Succeeds([.. train, "--epochs", "2", "--tensorboard", "--out", In("run")]);
        Assert.That(Argument("run", "tensorboard"), Is.EqualTo("true"));
        Assert.That(Last("run"), Is.EqualTo(Last("plain")), "what is written changes no bit");

        string path = Directory.GetFiles(In("run"), "events.out.tfevents.*").Single();
        List<Message> events = [.. Records(File.ReadAllBytes(path)).Select(Message.Parse)];
        Assert.That(Encoding.UTF8.GetString(events[0].Bytes(3)), Is.EqualTo("brain.Event:2"));
        string[] measures = [.. File.ReadLines(In("run", "results.csv")).First().Split(',')[3..^3]];
        string[] tags = ["loss/train", "loss/val", "lr", .. measures.Select(name => $"val/{name}")];
        Assert.That(events, Has.Count.EqualTo(1 + 2 * tags.Length));
        for (int epoch = 1; epoch <= 2; epoch++)
            foreach ((int i, string tag) in tags.Index())
            {
                Message scalar = events[1 + (epoch - 1) * tags.Length + i], value = Message.Parse(Message.Parse(scalar.Bytes(5)).Bytes(1));
                Assert.That(scalar.Varint(2), Is.EqualTo((ulong)epoch));
                Assert.That(Encoding.UTF8.GetString(value.Bytes(1)), Is.EqualTo(tag));
                string column = i switch { 0 => "train_loss", 1 => "val_loss", 2 => "lr", _ => measures[i - 3] };
                float number = BinaryPrimitives.ReadSingleLittleEndian(value.Bytes(2));
                Assert.That(number, Is.EqualTo(Results("run", column)[epoch - 1]).Within(1e-5), tag);
            }
    }

    [Test]
    public void The_checksum_is_that_of_the_standard() =>
        Assert.That(Crc32C("123456789"u8.ToArray()), Is.EqualTo(0xE3069283), "the check value of CRC-32C");

    /// <summary>Length, checksum, data, checksum: the format of TFRecord.</summary>
    private static IEnumerable<byte[]> Records(byte[] file)
    {
        int at = 0;
        for (; at < file.Length;)
        {
            int length = checked((int)BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(at)));
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)), Is.EqualTo(Masked(file[at..(at + 8)])));
            byte[] data = file[(at + 12)..(at + 12 + length)];
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)), Is.EqualTo(Masked(data)));
            yield return data;
            at += 16 + length;
        }
        Assert.That(at, Is.EqualTo(file.Length));
    }

    private static uint Masked(byte[] data)
    {
        uint crc = Crc32C(data);
        return unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8);
    }

    /// <summary>By its definition, bit after bit: the remainder of a division by the polynomial of Castagnoli.</summary>
    private static uint Crc32C(byte[] data)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in data)
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (((crc ^ (uint)(b >> bit)) & 1) != 0 ? 0x82F63B78u : 0);
        return ~crc;
    }

    /// <summary>The fields of a protocol buffer.</summary>
    private sealed class Message
    {
        private readonly Dictionary<int, byte[]> _bytes = [];
        private readonly Dictionary<int, ulong> _numbers = [];

        public static Message Parse(byte[] data)
        {
            Message message = new();
            for (int at = 0; at < data.Length;)
            {
                ulong key = Number(data, ref at);
                int field = (int)(key >> 3);
                switch (key & 7)
                {
                    case 0:
                        message._numbers[field] = Number(data, ref at);
                        break;
                    case 1:
                        message._bytes[field] = data[at..(at += 8)];
                        break;
                    case 2:
                        int length = (int)Number(data, ref at);
                        message._bytes[field] = data[at..(at += length)];
                        break;
                    case 5:
                        message._bytes[field] = data[at..(at += 4)];
                        break;
                    default:
                        throw new AssertionException($"kind {key & 7} of field {field}");
                }
            }
            return message;
        }

        public byte[] Bytes(int field) => _bytes[field];

        public ulong Varint(int field) => _numbers[field];

        private static ulong Number(byte[] data, ref int at)
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte b = data[at++];
                value |= (ulong)(b & 0x7F) << shift;
                if (b < 0x80) return value;
            }
        }
    }
}
