// Draws the plots of docs/state-space.md with the code that the page is about:
//   dotnet run --project samples/StateSpacePlots -c Release -- FOLDER [WEIGHTS of a trained mamba-lm]
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Samples.StateSpacePlots;
using OxyPlot;
using OxyPlot.Legends;

if (args.Length is 0 or > 2)
{
    Console.Error.WriteLine("expected a folder, and weights of a mamba-lm for the plot of its decay or nothing");
    return 2;
}
Directory.CreateDirectory(args[0]);
Panels.Write(
    Path.Combine(args[0], "state-space-basis.svg"), Basis("LegS", HippoMeasure.LegS, 4), Basis("LegT", HippoMeasure.LegT, 2),
    Basis("FouT", HippoMeasure.FouT, 2), Basis("LagT", HippoMeasure.LagT, 12));
Panels.Write(Path.Combine(args[0], "state-space-reconstruction.svg"), Reconstruction(), ReconstructionError());
Panels.Write(
    Path.Combine(args[0], "state-space-kernels.svg"), Kernels("S4D-Lin", S4dInitialization.Lin),
    Kernels("S4D-Inv", S4dInitialization.Inv));
if (args.Length == 2) Panels.Write(Path.Combine(args[0], "state-space-decay.svg"), [.. Decay(args[1])]);
return 0;

// The components of e^(tA) B: what each state remembers of the past, t ago.
static PlotModel Basis(string title, HippoMeasure measure, double span)
{
    const int Order = 64, Shown = 5, Points = 300;
    (double[] a, double[] b) = Hippo.Matrices(measure, Order);
    Tensor times = Tensor.From([.. Enumerable.Range(0, Points).Select(i => (float)(span * i / Points))], Points);
    Tensor exponentials = Ops.DiscretizeDense(Matrix(a, Order, Order), Matrix(b, Order, 1), times).A; // (points, N, N): e^(tA)
    Tensor values = Ops.MatMul(exponentials, Matrix(b, Order, 1)); // (points, N, 1)
    PlotModel plot = Panels.New($"{title}: e^(tA) B, N = {Order}", "t, time ago", "weight");
    for (int n = 0; n < Shown; n++)
        Panels.Add(plot, $"n = {n}", Enumerable.Range(0, Points).Select(i => ((double)times.Span[i], (double)values.Span[i * Order + n])));
    return plot;
}

// A signal, and what N numbers remember of it at its end.
static PlotModel Reconstruction()
{
    float[] signal = Signal();
    double[] points = Hippo.EvenPoints(signal.Length);
    PlotModel plot = Panels.New("LegS: the whole history from N numbers", "time", "signal");
    Panels.Add(plot, "signal", signal.Select((y, i) => ((double)i, (double)y)), thickness: 3);
    foreach (int order in new[] { 8, 32 })
        Panels.Add(plot, $"N = {order}", Recall(signal, order, points).Select((y, i) => ((double)i, y)));
    return plot;
}

static PlotModel ReconstructionError()
{
    float[] signal = Signal();
    double[] points = Hippo.EvenPoints(signal.Length);
    PlotModel plot = Panels.New("LegS: error of the history", "N", "root mean square", logarithmic: true);
    Panels.Add(plot, "error", new[] { 4, 8, 12, 16, 24, 32, 48, 64, 96, 128 }.Select(order =>
        ((double)order, Math.Sqrt(Recall(signal, order, points).Zip(signal, (a, b) => (a - b) * (a - b)).Average()))));
    return plot;
}

static double[] Recall(float[] signal, int order, double[] points) =>
    Hippo.Reconstruct([.. Ops.LegsMemory(Tensor.From(signal, 1, signal.Length), order).Span.ToArray().Select(x => (double)x)], points);

// Smooth, with features of several lengths.
static float[] Signal() =>
    [.. Enumerable.Range(0, 2000).Select(i => i / 2000.0).Select(t =>
        (float)(Math.Sin(7 * t) + 0.5 * Math.Sin(23 * t + 1) + 0.25 * Math.Sin(41 * t * t)))];

// Kernels of freshly initialized channels with steps from long to short.
static PlotModel Kernels(string title, S4dInitialization initialization)
{
    const int States = 64, Length = 400;
    System.Numerics.Complex[] eigenvalues = Hippo.Eigenvalues(initialization, States);
    PlotModel plot = Panels.New($"{title}: kernels, N = {States}", "tokens ago", "K");
    Random random = new(1);
    float[] mix = [.. Enumerable.Range(0, States).Select(_ => (float)(random.NextDouble() - 0.5))];
    foreach (double dt in new[] { 0.1, 0.03, 0.01 })
    {
        Tensor real = Tensor.From([.. eigenvalues.Select(l => (float)Math.Log(-l.Real))], 1, States / 2);
        Tensor imaginary = Tensor.From([.. eigenvalues.Select(l => (float)l.Imaginary)], 1, States / 2);
        Tensor kernel = Ops.S4dKernel(
            Tensor.From([(float)Math.Log(dt)], 1), real, Tensor.From(mix, 1, States / 2, 2), Length, new() { AImag = imaginary });
        Panels.Add(plot, $"dt = {dt}", kernel.Span.ToArray().Select((y, i) => ((double)i, y / dt)));
    }
    return plot;
}

// The rates |A| of each layer: all channels start at 1 ... N, and training moves them apart.
static IEnumerable<PlotModel> Decay(string weights)
{
    using SafetensorsFile file = SafetensorsFile.Open(weights);
    string[] layers = [.. file.Names.Where(n => n.EndsWith(".mixer.A_log", StringComparison.Ordinal)).Order()];
    for (int i = 0; i < layers.Length; i++)
    {
        int channels = file.Shape(layers[i])[0], states = file.Shape(layers[i])[1];
        float[] logs = new float[channels * states];
        file.ReadFloats(layers[i], logs);
        PlotModel plot = Panels.New($"layer {i}: decay |A| of every fourth channel", "state", "|A|", logarithmic: true);
        plot.Legends[0].LegendPosition = LegendPosition.RightBottom;
        Panels.Add(plot, "before training", Enumerable.Range(1, states).Select(n => ((double)n, (double)n)));
        // Channels beside each other inside the place of their state.
        Panels.AddDots(
            plot, "trained",
            from channel in Enumerable.Range(0, channels)
            where channel % 4 == 0
            from state in Enumerable.Range(0, states)
            select (1 + state + 0.8 * (channel / (double)channels - 0.5), Math.Exp(logs[channel * states + state])));
        yield return plot;
    }
}

static Tensor Matrix(double[] values, int rows, int columns) => Tensor.From([.. values.Select(x => (float)x)], rows, columns);
