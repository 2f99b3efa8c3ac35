using System.Numerics;
using System.Runtime.CompilerServices;
using Mamba.Core;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Synthetic brain MRI slices with tumours, so that everything runs without data. The channels are T1 before contrast, FLAIR and T1 after
/// contrast. A patient has twenty slices from the base of the skull to its top. A quarter of the slices has no lesion; the others have one
/// to three of irregular shape. A lesion is bright in FLAIR, darker before contrast, and sometimes has a bright rim after it. Fat, vessels,
/// choroid plexus and the caps of the ventricles are bright without being lesions.
/// </summary>
/// <remarks>
/// A slice is a function of the seed, its index and its size alone. Distances are in units of the head's half axes: 1 is the skin.
/// </remarks>
public sealed class SyntheticLesions : IImageData
{
    /// <summary>Slices of one patient.</summary>
    public const int SlicesPerPatient = 20;

    // Intensities of 255 in T1 before contrast, FLAIR, T1 after contrast.
    private static readonly Vector3 s_air = new(4, 4, 4), s_fat = new(150, 170, 155), s_bone = new(26, 20, 28), s_fluid = new(38, 30, 42);
    private static readonly Vector3 s_white = new(112, 92, 120), s_gray = new(86, 112, 100);
    private static readonly Vector3 s_cap = new(0, 42, 0), s_vessel = new(10, 45, 105);

    private readonly ulong _seed;
    private readonly int _height, _width;

    /// <summary>Describes the set. Images are made on request.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="count">The number of slices.</param>
    /// <param name="height">Rows of a slice.</param>
    /// <param name="width">Columns of a slice.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive, or a side is below 16.</exception>
    public SyntheticLesions(ulong seed, int count, int height = 256, int width = 256)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 16);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 16);
        (_seed, Count, _height, _width) = (seed, count, height, width);
    }

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Segmentation;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; } = ["lesion"];

    /// <inheritdoc/>
    public int Count { get; }

    /// <inheritdoc/>
    public string Name(int index) => $"{Patient(index)}/slice_{index % SlicesPerPatient + 1:D2}";

    /// <inheritdoc/>
    public string Patient(int index) => $"patient_{index / SlicesPerPatient + 1:D4}";

    /// <inheritdoc/>
    public bool KnowsPatients => true;

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public SegmentationSample Load(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        RandomStream random = new(_seed, $"synthetic/slice/{index}");
        RandomStream patient = new(_seed, $"synthetic/patient/{index / SlicesPerPatient}");
        Head head = new(patient, index % SlicesPerPatient / (SlicesPerPatient - 1f));
        Noise shape = new(random, 5, _width), tissue = new(random, 11, _width), folds = new(random, 17, _width);
        Noise texture = new(random, 60, _width), border = new(random, 13, _width);
        Blob[] vessels = [.. Enumerable.Range(0, 3 + random.NextInt(4)).Select(_ => Blob.Vessel(random))];
        Blob[] lesions = random.NextDouble() < 0.25
            ? []
            : [.. Enumerable.Range(0, LesionCount(random)).Select(_ => Blob.Lesion(random))];

        Image image = new(_width, _height, 3);
        LabelMap mask = new(_width, _height);
        RandomStream grains = new(_seed, $"synthetic/grain/{index}");
        float unit = 2f / Math.Min(_width, _height);
        for (int y = 0; y < _height; y++)
        {
            float row = (y + 0.5f) / _height, v = (y + 0.5f - _height / 2f) * unit;
            shape.MoveTo(row);
            tissue.MoveTo(row);
            folds.MoveTo(row);
            texture.MoveTo(row);
            border.MoveTo(row);
            for (int x = 0; x < _width; x++)
            {
                float u = (x + 0.5f - _width / 2f) * unit;
                Vector2 p = head.Place(u, v);
                float r = p.LengthSquared() > 1.2f ? 2 : p.Length() + 0.035f * shape[x];
                Vector3 color = s_air;
                if (r < 1.03f)
                {
                    float grain = texture[x];
                    if (r > 0.84f) color = Shell(r, grain);
                    else
                    {
                        (float lesion, Vector3 contrast) = Lesion(lesions, p, r, border[x], grain);
                        if (lesion >= 0.5f) mask.Classes[y * _width + x] = 1;
                        color = Brain(p, r, head, tissue[x], folds[x], grain, 1 - lesion) + contrast;
                        foreach (ref readonly Blob vessel in vessels.AsSpan())
                            if (vessel.Near(p)) color += vessel.Ramp(vessel.Distance(p)) * s_vessel;
                    }
                    color *= head.Gain * (1 + 0.13f * (head.Bias.X * u + head.Bias.Y * v) + 0.05f * shape[x]);
                }
                Store(image.Pixels.AsSpan((y * _width + x) * 3, 3), color, grains.NextBits());
            }
        }
        return new SegmentationSample(image, mask);
    }

    private static int LesionCount(RandomStream random) => random.NextDouble() switch { < 0.6 => 1, < 0.88 => 2, _ => 3 };

    /// <summary>How much of the pixel is lesion, and what that adds to its color.</summary>
    private static (float Inside, Vector3 Contrast) Lesion(Blob[] lesions, Vector2 p, float r, float border, float grain)
    {
        float most = 0;
        Vector3 contrast = default;
        foreach (ref readonly Blob lesion in lesions.AsSpan())
        {
            if (!lesion.Near(p)) continue;
            float distance = lesion.Distance(p) + 0.42f * border + 0.08f * grain, inside = lesion.Ramp(distance) * Step(0.84f, 0.80f, r);
            if (inside <= most) continue;
            most = inside;
            contrast = inside * ((1 + 0.2f * grain) * lesion.Contrast + Step(0.5f, 0.9f, distance) * lesion.Rim);
        }
        return (most, contrast);
    }

    /// <summary>Skin and fat, bone, and the fluid under it.</summary>
    private static Vector3 Shell(float r, float grain)
    {
        Vector3 inner = Vector3.Lerp(s_fluid, s_bone, Step(0.87f, 0.89f, r));
        Vector3 outer = Vector3.Lerp(inner, s_fat * (1 + 0.15f * grain), Step(0.93f, 0.955f, r));
        return Vector3.Lerp(outer, s_air, Step(0.985f, 1.01f, r));
    }

    /// <summary>White and gray matter, folds and ventricles. Fluid is visible in proportion to <paramref name="clear"/>.</summary>
    private static Vector3 Brain(Vector2 p, float r, in Head head, float tissue, float fold, float grain, float clear)
    {
        float gray = Math.Clamp(0.35f + 1.3f * tissue + 0.75f * Step(0.55f, 0.78f, r), 0, 1);
        Vector3 color = Vector3.Lerp(s_white, s_gray, gray) * (1 + 0.07f * grain);
        float side = Math.Abs(p.X), along = Math.Abs(p.Y);
        float sulcus = r < 0.5f ? 0 : Step(0.5f, 0.76f, r) * Step(0.11f, 0.02f, Math.Abs(fold));
        float fissure = side > 0.04f ? 0 : Step(0.022f, 0.008f, side + 0.01f * tissue) * Step(0.3f, 0.45f, along);
        float fluid = Math.Max(Math.Max(sulcus, fissure) * 0.8f, Step(0.79f, 0.84f, r));
        if (head.Ventricle < 0.02f || side > 0.4f || along > 0.75f) return Vector3.Lerp(color, s_fluid, fluid * clear);

        // A pair of slanted ellipses beside the midline, with caps that are bright in FLAIR and a plexus that takes up contrast.
        Vector2 q = new((side - 0.13f - 0.12f * along) / (0.075f * head.Ventricle), p.Y / (0.36f * head.Ventricle));
        float distance = q.Length() + 0.25f * tissue;
        color += Step(1.5f, 1.1f, distance) * Step(0.2f, 0.32f, along) * clear * s_cap;
        fluid = Math.Max(fluid, Step(1.1f, 0.9f, distance));
        Vector2 plexus = new((side - 0.17f) / 0.03f, (p.Y - 0.2f) / 0.07f);
        return Vector3.Lerp(color, s_fluid, fluid * clear) + Step(1.2f, 0.6f, plexus.Length()) * clear * head.Ventricle * s_vessel;
    }

    /// <summary>Smooth passage from 0 at <paramref name="from"/> to 1 at <paramref name="to"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Step(float from, float to, float x)
    {
        // With constant bounds the reciprocal is a constant.
        float t = Math.Clamp((x - from) * (1 / (to - from)), 0, 1);
        return t * t * (3 - 2 * t);
    }

    /// <summary>Adds grain, nearly normal: the sum of two bytes a channel, standard deviation about 5.</summary>
    private static void Store(Span<byte> pixel, Vector3 color, ulong bits)
    {
        pixel[0] = Grainy(color.X, (uint)bits);
        pixel[1] = Grainy(color.Y, (uint)(bits >> 16));
        pixel[2] = Grainy(color.Z, (uint)(bits >> 32));

        static byte Grainy(float value, uint bits) =>
            (byte)Math.Clamp((int)(value + ((int)((bits & 255) + (bits >> 8 & 255)) - 255) * 0.05f + 0.5f), 0, 255);
    }

    /// <summary>What the slices of a patient have in common, at one level.</summary>
    private readonly struct Head
    {
        private readonly float _cosine, _sine;
        private readonly Vector2 _center, _axes;

        /// <param name="random">The patient's own numbers.</param>
        /// <param name="level">0 at the base of the skull, 1 at its top.</param>
        public Head(RandomStream random, float level)
        {
            double angle = random.NextDouble(-0.15, 0.15), width = random.NextDouble(0.68, 0.78), length = random.NextDouble(0.84, 0.93);
            (_sine, _cosine) = ((float)Math.Sin(angle), (float)Math.Cos(angle));
            _center = new Vector2((float)random.NextDouble(-0.04, 0.04), (float)random.NextDouble(-0.03, 0.03));
            Gain = new Vector3(
                (float)random.NextDouble(0.88, 1.12), (float)random.NextDouble(0.88, 1.12), (float)random.NextDouble(0.88, 1.12));
            double direction = random.NextDouble(0, 2 * Math.PI);
            Bias = new Vector2((float)Math.Cos(direction), (float)Math.Sin(direction));
            float middle = 4 * level * (1 - level), swelling = (float)random.NextDouble(0.75, 1.2);
            Ventricle = swelling * Step(0.35f, 0.85f, middle);
            _axes = new Vector2((float)width, (float)length)
                * (0.74f + 0.26f * MathF.Sqrt(1 - level * level * 0.9f)) * (0.85f + 0.15f * Step(0, 0.6f, middle));
        }

        /// <summary>The gain of each channel.</summary>
        public Vector3 Gain { get; }

        /// <summary>The direction in which the coil receives best.</summary>
        public Vector2 Bias { get; }

        /// <summary>The size of the ventricles at this level, 0 for none.</summary>
        public float Ventricle { get; }

        /// <summary>From the picture, -1 to 1, to the head, whose skin is at distance 1.</summary>
        public Vector2 Place(float u, float v)
        {
            u -= _center.X;
            v -= _center.Y;
            return new Vector2(_cosine * u + _sine * v, _cosine * v - _sine * u) / _axes;
        }
    }

    /// <summary>A soft ellipse in the brain.</summary>
    private readonly record struct Blob(
        Vector2 Center, Vector2 Axis, float Radius, float Stretch, float Softness, Vector3 Contrast, Vector3 Rim)
    {
        public static Blob Lesion(RandomStream random)
        {
            float radius = (float)random.NextDouble(0.13, 0.29);
            float flair = (float)random.NextDouble(34, 72), pre = (float)random.NextDouble(-25, 5);
            float post = (float)random.NextDouble(-10, 20), rim = random.NextDouble() < 0.4 ? (float)random.NextDouble(30, 70) : 0;
            Vector3 contrast = new(pre, flair, post), rimContrast = new(0, 0, rim);
            return At(random, 0.78f - radius, radius, (float)random.NextDouble(0.65, 1), 0.2f, contrast, rimContrast);
        }

        public static Blob Vessel(RandomStream random) =>
            At(random, 0.72f, (float)random.NextDouble(0.018, 0.035), 0.6f, 0.4f, default, default);

        private static Blob At(
            RandomStream random, float reach, float radius, float stretch, float softness, Vector3 contrast, Vector3 rim)
        {
            double angle = random.NextDouble(0, 2 * Math.PI);
            double distance = reach * Math.Sqrt(random.NextDouble(0.05, 1)), turn = random.NextDouble(0, Math.PI);
            Vector2 center = new((float)(distance * Math.Cos(angle)), (float)(distance * Math.Sin(angle)));
            return new Blob(center, new Vector2((float)Math.Cos(turn), (float)Math.Sin(turn)), radius, stretch, softness, contrast, rim);
        }

        /// <summary>Whether anything of it can be here, its border noise included.</summary>
        public bool Near(Vector2 p) => Vector2.DistanceSquared(p, Center) < 2.8f * Radius * Radius;

        /// <summary>1 on the edge.</summary>
        public float Distance(Vector2 p)
        {
            Vector2 d = (p - Center) / Radius;
            Vector2 turned = new(Vector2.Dot(d, Axis), (d.Y * Axis.X - d.X * Axis.Y) / Stretch);
            return turned.Length();
        }

        /// <summary>1 inside, a half on the edge, 0 outside.</summary>
        public float Ramp(float distance) => distance > 1 + Softness ? 0 : Step(1 + Softness, 1 - Softness, distance);
    }

    /// <summary>
    /// Smooth noise from about -1 to 1: random values on a coarse lattice. They are interpolated along columns a row at a time, and along
    /// the row where asked.
    /// </summary>
    private sealed class Noise
    {
        private readonly int _cells;
        private readonly float[] _lattice, _edge, _weight;
        private readonly int[] _cell;

        public Noise(RandomStream random, int cells, int width)
        {
            _cells = cells;
            _lattice = new float[(cells + 1) * (cells + 1)];
            for (int i = 0; i < _lattice.Length; i++) _lattice[i] = (float)random.NextDouble(-1, 1);
            (_edge, _weight, _cell) = (new float[cells + 1], new float[width], new int[width]);
            for (int x = 0; x < width; x++)
            {
                float at = (x + 0.5f) / width * cells;
                _cell[x] = (int)at;
                _weight[x] = Step(0, 1, at - (int)at);
            }
        }

        /// <summary>The value in a column of the row moved to.</summary>
        public float this[int x] => float.Lerp(_edge[_cell[x]], _edge[_cell[x] + 1], _weight[x]);

        /// <param name="y">0 at the top, 1 at the bottom.</param>
        public void MoveTo(float y)
        {
            int cell = (int)(y * _cells), stride = _cells + 1;
            float weight = Step(0, 1, y * _cells - cell);
            for (int i = 0; i < stride; i++) _edge[i] = float.Lerp(_lattice[cell * stride + i], _lattice[(cell + 1) * stride + i], weight);
        }
    }
}
