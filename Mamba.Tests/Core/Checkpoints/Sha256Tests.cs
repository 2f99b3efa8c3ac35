using System.Security.Cryptography;
using System.Text;
using Mamba.Core.Checkpoints;

namespace Mamba.Tests.Core;

/// <summary>Our SHA-256 against the examples of FIPS 180-4 and against the platform's.</summary>
internal sealed class Sha256Tests
{
    // NIST, Cryptographic Standards and Guidelines, examples of SHA-256.
    [TestCase("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [TestCase("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")]
    [TestCase(
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")]
    public void The_examples_of_the_standard_hold(string message, string digest) =>
        Assert.That(Convert.ToHexStringLower(Sha256.HashData(Encoding.ASCII.GetBytes(message))), Is.EqualTo(digest));

    [Test]
    public void A_million_letters_a_have_the_digest_of_the_standard() => Assert.That(
        Convert.ToHexStringLower(Sha256.HashData(Enumerable.Repeat((byte)'a', 1_000_000).ToArray())),
        Is.EqualTo("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));

    [Test]
    public void Every_length_around_the_blocks_agrees_with_the_platform()
    {
        byte[] message = new byte[300];
        new Random(1).NextBytes(message);
        for (int length = 0; length <= message.Length; length++)
            Assert.That(
                Sha256.HashData(message.AsSpan(0, length)), Is.EqualTo(SHA256.HashData(message.AsSpan(0, length))), $"{length} bytes");
    }

    [Test]
    public void Pieces_of_any_size_and_a_stream_give_the_digest_of_the_whole()
    {
        byte[] message = new byte[200_000];
        new Random(2).NextBytes(message);
        byte[] expected = SHA256.HashData(message);
        foreach (int piece in new[] { 1, 7, 63, 64, 65, 1000 })
        {
            Sha256 hash = new();
            for (int at = 0; at < message.Length; at += piece) hash.Append(message.AsSpan(at, Math.Min(piece, message.Length - at)));
            Assert.That(hash.Finish(), Is.EqualTo(expected), $"pieces of {piece}");
        }
        Assert.That(Sha256.HashData(new MemoryStream(message)), Is.EqualTo(expected));
    }

    [Test]
    public void A_digest_is_taken_once()
    {
        Sha256 hash = new();
        hash.Finish();
        Assert.That(() => hash.Append([1]), Throws.InvalidOperationException);
        Assert.That(hash.Finish, Throws.InvalidOperationException);
    }
}
