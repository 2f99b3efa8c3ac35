using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Weights that are stored row by row, in each format and at each width, against sums in double precision.</summary>
internal sealed class StoredWeightTests
{
    private static readonly (int Rows, int Outputs, int Inputs)[] s_sizes =
        [(1, 1, 1), (1, 7, 5), (1, 40, 64), (1, 33, 130), (3, 65, 200), (4, 300, 96), (5, 24, 77), (37, 50, 260), (1, 3, 0), (0, 4, 9)];

    public static IEnumerable<WeightFormat> Formats => Enum.GetValues<WeightFormat>();

    [Test]
    public void Products_are_those_of_the_rounded_weights(
        [ValueSource(nameof(Formats))] WeightFormat format, [ValueSource(typeof(Isas), nameof(Isas.All))] VectorWidth width)
    {
        using IDisposable _ = Isa.Use(width);
        foreach ((int rows, int outputs, int inputs) in s_sizes)
        {
            (ParameterStore store, Tensor weight) = Make(outputs, inputs);
            float[] rounded = Rounded(weight, format);
            Tensor x = Fill(rows, inputs, 2), bias = Fill(1, outputs, 3).Reshape(outputs), residual = Fill(rows, outputs, 4);
            store.Store(format, n => n == "weight");
            foreach (bool plain in new[] { true, false })
            {
                Tensor y = plain ? Ops.Linear(x, weight) : Ops.Linear(x, weight, bias, residual);
                Assert.That(y.Shape, Is.EqualTo(new Shape(rows, outputs)));
                for (int r = 0; r < rows; r++)
                    for (int o = 0; o < outputs; o++)
                    {
                        double sum = plain ? 0 : bias.Span[o] + residual.Span[r * outputs + o], size = Math.Abs(sum);
                        for (int i = 0; i < inputs; i++)
                        {
                            double term = (double)x.Span[r * inputs + i] * rounded[o * inputs + i];
                            (sum, size) = (sum + term, size + Math.Abs(term));
                        }
                        // With bytes, x is rounded to 16 bits where few rows share a read.
                        double rounding = format == WeightFormat.Int8 ? Rounding(x, r, rounded, o) : 0;
                        Assert.That(
                            y.Span[r * outputs + o], Is.EqualTo(sum).Within(2e-6 * size + rounding + 1e-12),
                            $"{rows} x {outputs} x {inputs}");
                    }
            }
        }
    }

    [Test]
    public void Rows_and_look_ups_are_those_of_the_whole([ValueSource(nameof(Formats))] WeightFormat format)
    {
        (ParameterStore store, Tensor weight) = Make(30, 45);
        float[] rounded = Rounded(weight, format);
        store.Store(format, n => n == "weight");
        Tensor x = Fill(2, 45, 2), whole = Ops.Linear(x, weight); // (2, 30)
        Tensor part = Ops.Linear(x, Ops.Slice(weight, 0, 11, 8)); // (2, 8)
        for (int r = 0; r < 2; r++)
            Assert.That(part.Span.Slice(8 * r, 8).ToArray(), Is.EqualTo(whole.Span.Slice(30 * r + 11, 8).ToArray()));
        Tensor found = Ops.Embedding(weight, Tensor.From([29f, 0f, 7f], 3, 1)), same = Ops.Embedding(weight, [29, 0, 7]);
        Assert.That(found.Shape, Is.EqualTo(new Shape(3, 1, 45)));
        Assert.That(found.Span.SequenceEqual(same.Span));
        Assert.That(found.Span[..45].ToArray(), Is.EqualTo(rounded[(29 * 45)..]));
        Assert.That(() => Ops.Embedding(weight, [30]), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [TestCase(1), TestCase(4)]
    public void Threads_change_no_bit(int rows)
    {
        Tensor x = Fill(rows, 700, 2);
        foreach (WeightFormat format in Formats)
        {
            (ParameterStore store, Tensor weight) = Make(900, 700);
            store.Store(format, n => n == "weight");
            float[][] results = [.. new[] { 1, 2, 3 }.Select(threads =>
            {
                using ThreadCount _ = new(threads);
                return Ops.Linear(x, weight).Span.ToArray();
            })];
            Assert.That(results[1], Is.EqualTo(results[0]));
            Assert.That(results[2], Is.EqualTo(results[0]));
        }
    }

    [Test]
    public void Every_half_is_itself_at_every_width([ValueSource(typeof(Isas), nameof(Isas.All))] VectorWidth width)
    {
        using IDisposable _ = Isa.Use(width);
        // Rows that hold all finite halves, the largest with exponent 14, so that the power of two is 1.
        Half[] halves = [.. Enumerable.Range(0, 1 << 16).Select(i => BitConverter.UInt16BitsToHalf((ushort)i))
            .Where(h => Half.IsFinite(h) && Half.Abs(h) < (Half)32768f)];
        Assert.That(halves, Has.Length.GreaterThan(60_000));
        (ParameterStore store, Tensor weight) = Make(1, halves.Length);
        for (int i = 0; i < halves.Length; i++) weight.Span[i] = (float)halves[i];
        store.Store(WeightFormat.Float16, n => n == "weight");
        float[] decoded = Ops.Embedding(weight, [0]).Span.ToArray();
        Assert.That(decoded, Is.EqualTo(Array.ConvertAll(halves, h => (float)h)));
    }

    [TestCase(WeightFormat.Float16, 1 / 2048.0), TestCase(WeightFormat.Int8, 1 / 254.0)]
    public void Rounding_is_relative_to_the_row(WeightFormat format, double most)
    {
        float[] sizes = [1e-30f, 1e-6f, 1f, 1e6f, 1e30f, 0f];
        (ParameterStore store, Tensor weight) = Make(sizes.Length, 50);
        for (int r = 0; r < sizes.Length; r++)
            foreach (ref float w in weight.Span.Slice(50 * r, 50)) w *= sizes[r];
        float[] before = weight.Span.ToArray();
        store.Store(format, n => n == "weight");
        float[] after = Ops.Embedding(weight, [0, 1, 2, 3, 4, 5]).Span.ToArray();
        for (int r = 0; r < sizes.Length; r++)
        {
            float largest = before[(50 * r)..(50 * r + 50)].Max(MathF.Abs);
            for (int i = 50 * r; i < 50 * r + 50; i++)
                Assert.That(Math.Abs(after[i] - before[i]), Is.AtMost(1.0001 * most * largest), $"row {r}");
        }
    }

    [Test]
    public void What_reads_floats_is_refused_and_nothing_else([ValueSource(nameof(Formats))] WeightFormat format)
    {
        (ParameterStore store, Tensor weight) = Make(8, 8);
        store.Store(format, n => n == "weight");
        Assert.That(store.IsFrozen);
        if (format == WeightFormat.Float32)
        {
            Assert.That(weight.Span.Length, Is.EqualTo(64));
            store.Training = true;
            weight.Span[0] = 100f; // and no copy of it is left
            Tensor one = Tensor.Zeros(1, 8);
            one.Span[0] = 1f;
            Assert.That(Ops.Linear(one, weight).Span[0], Is.EqualTo(100f));
            return;
        }
        Assert.That(() => weight.Span.Length, Throws.InvalidOperationException.With.Message.Contains($"stored as {format}"));
        Assert.That(() => Ops.Add(weight, weight), Throws.InvalidOperationException);
        Assert.That(() => weight.Reshape(64), Throws.InvalidOperationException);
        Assert.That(() => weight.Clone(), Throws.InvalidOperationException);
        Assert.That(() => store.Thaw(), Throws.InvalidOperationException.With.Message.Contains("load the model again"));
        Assert.That(() => store.Training = true, Throws.InvalidOperationException);
        Assert.That(() => store.Store(format, _ => true), Throws.InvalidOperationException);
        using Tape tape = new();
        Assert.That(() => Ops.Linear(Tensor.Zeros(1, 8), weight), Throws.InvalidOperationException, "its gradient is wanted");
    }

    [Test]
    public void What_cannot_be_stored_is_refused_by_name()
    {
        (ParameterStore store, Tensor weight) = Make(4, 4);
        Assert.That(() => store.Store(WeightFormat.Int8, n => n == "bias"), Throws.ArgumentException.With.Message.Contains("'bias'"));
        weight.Span[9] = float.NaN;
        Assert.That(() => store.Store(WeightFormat.Int8, n => n == "weight"),
            Throws.TypeOf<NonFiniteException>().With.Message.Contains("row 2 of 'weight'"));
        (store, weight) = Make(4, 4);
        using Tensor view = weight.Rows(0, 2);
        Assert.That(
            () => store.Store(WeightFormat.Float16, n => n == "weight"), Throws.InvalidOperationException.With.Message.Contains("views"));
    }

    [TestCase(WeightFormat.Float16, 2), TestCase(WeightFormat.Int8, 4)]
    public void The_memory_of_the_floats_is_given_back(WeightFormat format, int times)
    {
        (ParameterStore store, Tensor weight) = Make(1024, 1024);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        store.Store(format, n => n == "weight");
        long less = before - GC.GetTotalMemory(forceFullCollection: true);
        Assert.That(less, Is.GreaterThan((long)(0.95 * (1 - 1.0 / times) * (4 << 20))));
        GC.KeepAlive(store);
        _ = weight.Shape;
    }

    [Test]
    public void Bytes_sum_the_largest_products_without_overflow(
        [ValueSource(typeof(Isas), nameof(Isas.All))] VectorWidth width, [Values(300, 9000, 70_000)] int inputs)
    {
        using IDisposable _ = Isa.Use(width);
        (ParameterStore store, Tensor weight) = Make(2, inputs);
        weight.Span.Fill(1f);
        store.Store(WeightFormat.Int8, n => n == "weight");
        Tensor x = Tensor.Full(-3f, 1, inputs);
        Tensor y = Ops.Linear(x, weight);
        Assert.That(y.Span.ToArray(), Is.All.EqualTo(-3f * inputs).Within(3e-5 * inputs));
        x.Span[inputs - 1] = float.NaN;
        Assert.That(Ops.Linear(x, weight).Span.ToArray(), Is.All.NaN);
        x.Span[inputs - 1] = float.PositiveInfinity;
        Assert.That(Ops.Linear(x, weight).Span.ToArray(), Is.All.NaN);
        x.Span.Clear();
        Assert.That(Ops.Linear(x, weight).Span.ToArray(), Is.All.Zero);
    }

    /// <summary>Half a step of x for each weight.</summary>
    private static double Rounding(Tensor x, int row, float[] weight, int output)
    {
        int inputs = x.Shape[1];
        double largest = 0, sum = 0;
        for (int i = 0; i < inputs; i++)
        {
            largest = Math.Max(largest, Math.Abs(x.Span[row * inputs + i]));
            sum += Math.Abs(weight[output * inputs + i]);
        }
        return 1.01 * largest / 65534 * sum;
    }

    private static (ParameterStore Store, Tensor Weight) Make(int outputs, int inputs)
    {
        ParameterStore store = new(seed: 1);
        Scope scope = new(store);
        Tensor weight = scope.Parameter("weight", Init.Uniform(1), outputs, inputs);
        _ = scope.Parameter("bias", Init.Zeros, outputs);
        return (store, weight);
    }

    private static Tensor Fill(int rows, int columns, int seed)
    {
        Random random = new(seed);
        Tensor x = Tensor.Empty(rows, columns);
        foreach (ref float value in x.Span) value = (float)(2 * random.NextDouble() - 1);
        return x;
    }

    /// <summary>What a format keeps of the weights, computed number by number.</summary>
    private static float[] Rounded(Tensor weight, WeightFormat format)
    {
        int columns = weight.Shape[1];
        float[] values = weight.Span.ToArray();
        for (int row = 0; row < weight.Shape[0] && columns > 0; row++)
        {
            Span<float> of = values.AsSpan(row * columns, columns);
            float largest = 0;
            foreach (float w in of) largest = MathF.Max(largest, MathF.Abs(w));
            foreach (ref float w in of)
                w = format switch
                {
                    WeightFormat.Float32 => w,
                    WeightFormat.Float16 => (float)(Half)w, // no number here is near a border of the type
                    _ => MathF.Round(w * (127f / largest)) * (largest / 127f),
                };
        }
        return values;
    }
}
