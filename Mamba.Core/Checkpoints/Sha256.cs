using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// SHA-256 (FIPS 180-4, section 6.2) in managed code. .NET's class loads the system's OpenSSL and ends the process where there is none, as
/// in a minimal container or on a small board.
/// </summary>
/// <example><code>
/// string digest = Convert.ToHexStringLower(Sha256.HashData(stream));
/// </code></example>
public sealed class Sha256
{
    /// <summary>Bytes per digest.</summary>
    public const int HashSizeInBytes = 32;

    private const int BlockBytes = 64;

    // The first 32 bits of the fractional parts of the cube roots of the first 64 primes (section 4.2.2).
    private static readonly uint[] s_constants =
    [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ];

    // The first 32 bits of the fractional parts of the square roots of the first eight primes (section 5.3.3).
    private readonly uint[] _state = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
    private readonly byte[] _pending = new byte[BlockBytes];
    private long _bytes;
    private bool _finished;

    /// <summary>Hashes the next bytes of the message.</summary>
    /// <param name="message">Any number of bytes.</param>
    /// <exception cref="InvalidOperationException">The digest was already computed.</exception>
    public void Append(ReadOnlySpan<byte> message)
    {
        if (_finished) throw new InvalidOperationException("Sha256.Append: the digest was taken already; start a new Sha256.");
        int pending = (int)(_bytes % BlockBytes);
        _bytes += message.Length;
        if (pending > 0)
        {
            int taken = Math.Min(message.Length, BlockBytes - pending);
            message[..taken].CopyTo(_pending.AsSpan(pending));
            message = message[taken..];
            if (pending + taken < BlockBytes) return;
            Compress(_pending);
        }
        for (; message.Length >= BlockBytes; message = message[BlockBytes..]) Compress(message);
        message.CopyTo(_pending);
    }

    /// <summary>The digest of all bytes appended.</summary>
    /// <returns>32 bytes.</returns>
    /// <exception cref="InvalidOperationException">The digest was already computed.</exception>
    public byte[] Finish()
    {
        // A one bit, zeros up to 8 bytes before the end of a block, and the length in bits (section 5.1.1).
        Span<byte> padding = stackalloc byte[BlockBytes + 8];
        padding.Clear();
        padding[0] = 0x80;
        long bits = _bytes * 8;
        int zeros = (int)((BlockBytes + 55 - _bytes % BlockBytes) % BlockBytes);
        BinaryPrimitives.WriteInt64BigEndian(padding[(1 + zeros)..], bits);
        Append(padding[..(9 + zeros)]);
        _finished = true;
        byte[] digest = new byte[HashSizeInBytes];
        for (int i = 0; i < _state.Length; i++) BinaryPrimitives.WriteUInt32BigEndian(digest.AsSpan(4 * i), _state[i]);
        return digest;
    }

    /// <summary>The digest of a message in memory.</summary>
    /// <param name="message">Any number of bytes.</param>
    /// <returns>32 bytes.</returns>
    public static byte[] HashData(ReadOnlySpan<byte> message)
    {
        Sha256 hash = new();
        hash.Append(message);
        return hash.Finish();
    }

    /// <summary>The digest of the rest of a stream.</summary>
    /// <param name="message">The stream, read to its end.</param>
    /// <param name="cancellation">Stops between blocks.</param>
    /// <returns>32 bytes.</returns>
    /// <exception cref="IOException">The stream cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public static byte[] HashData(Stream message, CancellationToken cancellation = default)
    {
        Sha256 hash = new();
        byte[] piece = new byte[1 << 16];
        for (int read; (read = message.Read(piece)) > 0;)
        {
            cancellation.ThrowIfCancellationRequested();
            hash.Append(piece.AsSpan(0, read));
        }
        return hash.Finish();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Compress(ReadOnlySpan<byte> block)
    {
        Span<uint> w = stackalloc uint[64];
        for (int t = 0; t < 16; t++) w[t] = BinaryPrimitives.ReadUInt32BigEndian(block[(4 * t)..]);
        for (int t = 16; t < 64; t++)
        {
            uint x = w[t - 15], y = w[t - 2];
            uint small0 = BitOperations.RotateRight(x, 7) ^ BitOperations.RotateRight(x, 18) ^ (x >> 3);
            uint small1 = BitOperations.RotateRight(y, 17) ^ BitOperations.RotateRight(y, 19) ^ (y >> 10);
            w[t] = small1 + w[t - 7] + small0 + w[t - 16];
        }
        uint[] s = _state;
        (uint a, uint b, uint c, uint d, uint e, uint f, uint g, uint h) = (s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
        for (int t = 0; t < 64; t++)
        {
            uint big1 = BitOperations.RotateRight(e, 6) ^ BitOperations.RotateRight(e, 11) ^ BitOperations.RotateRight(e, 25);
            uint big0 = BitOperations.RotateRight(a, 2) ^ BitOperations.RotateRight(a, 13) ^ BitOperations.RotateRight(a, 22);
            uint t1 = h + big1 + ((e & f) ^ (~e & g)) + s_constants[t] + w[t];
            uint t2 = big0 + ((a & b) ^ (a & c) ^ (b & c));
            (h, g, f, e, d, c, b, a) = (g, f, e, d + t1, c, b, a, t1 + t2);
        }
        s[0] += a;
        s[1] += b;
        s[2] += c;
        s[3] += d;
        s[4] += e;
        s[5] += f;
        s[6] += g;
        s[7] += h;
    }
}
