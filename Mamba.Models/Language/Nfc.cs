using System.Buffers.Text;
using System.Text;

namespace Mamba.Models.Language;

/// <summary>
/// Normalization form C of Unicode (UAX #15): one code point for a letter and its accents. <see cref="string.Normalize()"/> needs the
/// system's ICU. These programs go without it, and there it returns a text as it is.
/// </summary>
internal static partial class Nfc
{
    private const int FirstMark = 0x300; // below, nothing composes with what is before it
    private const int SBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7, LCount = 19, VCount = 21, TCount = 28; // Hangul

    /// <summary>The text in form C.</summary>
    public static string Normalize(string text)
    {
        int plain = 0;
        while (plain < text.Length && text[plain] < FirstMark) plain++;
        if (plain == text.Length) return text;
        List<int> points = [];
        for (int i = 0; i < text.Length; i++)
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
                Decompose(char.ConvertToUtf32(text[i], text[++i]), points);
            else Decompose(text[i], points);
        Order(points);
        StringBuilder composed = new(text.Length);
        int count = Compose(points);
        for (int i = 0; i < count; i++)
            if (points[i] < 0x10000) composed.Append((char)points[i]);
            else composed.Append(char.ConvertFromUtf32(points[i]));
        return composed.ToString();
    }

    private static void Decompose(int point, List<int> into)
    {
        if (point - SBase is >= 0 and < LCount * VCount * TCount and var syllable)
        {
            into.Add(LBase + syllable / (VCount * TCount));
            into.Add(VBase + syllable / TCount % VCount);
            if (syllable % TCount != 0) into.Add(TBase + syllable % TCount);
        }
        else if (point >= s_tables.Points[0] && Find(s_tables.Points, point) is var at && s_tables.Points[at] == point)
        {
            Decompose(s_tables.First[at], into);
            if (s_tables.Second[at] != 0) Decompose(s_tables.Second[at], into);
        }
        else into.Add(point);
    }

    /// <summary>Sorts the marks of each base by their class; those of one class keep their order.</summary>
    private static void Order(List<int> points)
    {
        for (int i = 1; i < points.Count; i++)
        {
            int point = points[i], kind = Class(point), at = i;
            if (kind == 0) continue;
            for (; at > 0 && Class(points[at - 1]) > kind; at--) points[at] = points[at - 1];
            points[at] = point;
        }
    }

    /// <summary>Composes in place.</summary>
    /// <returns>How many points are left.</returns>
    private static int Compose(List<int> points)
    {
        int count = 0, starter = -1, last = 0;
        foreach (int point in points.ToArray())
        {
            int kind = Class(point);
            // A mark is blocked by one of its class, or of a higher one, between it and the base.
            if (starter >= 0 && (starter == count - 1 || last < kind) && Pair(points[starter], point) is var whole and not 0)
            {
                points[starter] = whole;
                continue;
            }
            if (kind == 0) starter = count;
            last = kind;
            points[count++] = point;
        }
        return count;
    }

    /// <summary>The composition of two points; 0 if there is none.</summary>
    private static int Pair(int first, int second)
    {
        if (first - LBase is >= 0 and < LCount and var l && second - VBase is >= 0 and < VCount and var v)
            return SBase + (l * VCount + v) * TCount;
        if (first - SBase is >= 0 and < LCount * VCount * TCount and var syllable && syllable % TCount == 0
            && second - TBase is > 0 and < TCount and var t) return first + t;
        for (int at = s_tables.Heads[Tables.Bucket(first, second)]; at >= 0; at = s_tables.Next[at])
            if (s_tables.First[at] == first && s_tables.Second[at] == second) return s_tables.Points[at];
        return 0;
    }

    private static int Class(int point)
    {
        if (point < FirstMark) return 0;
        int run = Find(s_tables.Runs, point);
        return point < s_tables.RunEnds[run] ? s_tables.Classes[run] : 0;
    }

    /// <summary>The last place whose value is not above the one asked for; that of the first is not.</summary>
    private static int Find(int[] sorted, int value)
    {
        int low = 0, high = sorted.Length;
        while (high - low > 1)
            if (sorted[(low + high) / 2] <= value) low = (low + high) / 2;
            else high = (low + high) / 2;
        return low;
    }

    private static readonly Tables s_tables = new();

    private sealed class Tables
    {
        private const int Buckets = 1 << 11;

        private readonly byte[] _data;
        private int _at;

        public Tables()
        {
            _data = new byte[Data.Length];
            _ = Base64.DecodeFromUtf8(Data, _data, out _, out _);
            Array.Fill(Heads, -1);
            for (int i = 0, point = 0, first = 0, second = 0; i < EntryCount; i++)
            {
                (int step, int form) = Math.DivRem(Number(), 3);
                Points[i] = point += step;
                First[i] = first += Signed();
                if (form == 0) continue; // a single character
                Second[i] = second += Signed();
                if (form == 1) continue; // never composed
                ref int head = ref Heads[Bucket(first, second)];
                (Next[i], head) = (head, i);
            }
            for (int i = 0, end = 0; i < RunCount; i++)
            {
                Runs[i] = end + Number();
                RunEnds[i] = end = Runs[i] + Number();
                Classes[i] = _data[_at++];
            }
        }

        public int[] Points { get; } = new int[EntryCount];

        public int[] First { get; } = new int[EntryCount];

        public int[] Second { get; } = new int[EntryCount];

        public int[] Next { get; } = new int[EntryCount];

        public int[] Heads { get; } = new int[Buckets];

        public int[] Runs { get; } = new int[RunCount];

        public int[] RunEnds { get; } = new int[RunCount];

        public byte[] Classes { get; } = new byte[RunCount];

        public static int Bucket(int first, int second) => (first * 31 + second * 7) & (Buckets - 1);

        private int Number()
        {
            int number = 0, shift = 0;
            for (; _data[_at] >= 128; shift += 7) number |= (_data[_at++] & 127) << shift;
            return number | _data[_at++] << shift;
        }

        private int Signed() => Number() is var n && (n & 1) == 0 ? n / 2 : -(n + 1) / 2;
    }
}
