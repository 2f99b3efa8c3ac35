using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;
using BenchmarkDotNet.Validators;
using Perfolizer.Horology;
using Perfolizer.Mathematics.OutlierDetection;

namespace Mamba.Benchmarks;

/// <summary>A column about a benchmark's median time, in nanoseconds, and its yardstick.</summary>
internal sealed class RooflineColumn(string name, string legend, Func<Yardstick, double, string> text) : IColumn
{
    public string Id => $"{nameof(RooflineColumn)}.{name}";

    public string ColumnName => name;

    public string Legend => legend;

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    /// <summary>
    /// Short runs inside this process, so that the peaks are measured where the benchmarks ran, and a case takes less than a second. No
    /// outlier is dropped, since medians ignore them. The default hints are off, since they recommend long runs.
    /// </summary>
    public static IConfig Config => ManualConfig.CreateEmpty()
        .AddJob(Job.Default
            .WithToolchain(InProcessNoEmitToolchain.Instance)
            .WithEvaluateOverhead(false)
            .WithIterationTime(TimeInterval.FromMilliseconds(20))
            .WithWarmupCount(2)
            .WithIterationCount(7)
            .WithOutlierMode(OutlierMode.DontRemove))
        .AddLogger(ConsoleLogger.Default)
        .AddValidator(JitOptimizationsValidator.FailOnError)
        .AddColumnProvider(DefaultColumnProviders.Params, DefaultColumnProviders.Metrics)
        .AddColumn(
            StatisticColumn.Median,
            new RooflineColumn("Rate", "Operations or least bytes a second",
            (y, t) => FormattableString.Invariant($"{y.Rate(t):F1} {y.Unit}")),
            new RooflineColumn(
                "Of peak",
                "Share of the FMA peak (GFLOP/s), or of the bandwidth of copying in memory (GB/s), at this width and on these threads",
                (y, t) => FormattableString.Invariant($"{100 * y.Share(t):F0} %")),
            new RooflineColumn("Allocated", "Managed bytes that a call allocates, on all threads",
                (y, _) => FormattableString.Invariant($"{y.Allocated} B")))
        .AddExporter(MarkdownExporter.GitHub)
        .WithSummaryStyle(SummaryStyle.Default.WithMaxParameterColumnWidth(80));

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) =>
        summary[benchmarkCase]?.ResultStatistics is { } times && KernelBench.Of(benchmarkCase).Yardstick is { } yardstick
            ? text(yardstick, times.Median) : "-";

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);
}
