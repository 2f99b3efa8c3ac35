using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Mamba.Core.Simd;

namespace Mamba.Benchmarks;

/// <summary>A benchmark whose operations can be counted.</summary>
internal interface ICounted
{
    /// <summary>Floating-point operations of one call, a multiply-add as two.</summary>
    double Flops { get; }
}

/// <summary>
/// GFLOP/s of the median and its share of the FMA peak. The peak is measured once, by the process that prints the table, right after the benchmarks.
/// </summary>
internal sealed class RooflineColumn : IColumn
{
    private readonly Lazy<double> _peak = new(() => Roofline.FmaPeak());

    public string Id => nameof(RooflineColumn);

    public string ColumnName => "GFLOP/s (of peak)";

    public string Legend => "Operations a second, of the FMA peak on all threads";

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => false;

    public UnitType UnitType => UnitType.Dimensionless;

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        if (summary[benchmarkCase]?.ResultStatistics is not { } times) return "-";
        if (Activator.CreateInstance(benchmarkCase.Descriptor.Type) is not ICounted counted) return "-";
        foreach (BenchmarkDotNet.Parameters.ParameterInstance parameter in benchmarkCase.Parameters.Items)
            benchmarkCase.Descriptor.Type.GetProperty(parameter.Name)?.SetValue(counted, parameter.Value);
        double rate = counted.Flops / times.Median;
        return rate > 0 ? FormattableString.Invariant($"{rate:F1} ({rate / _peak.Value:P0})") : "-";
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    /// <summary>Short runs in this process's own configuration: medians, allocations and the roofline.</summary>
    public static IConfig Config => DefaultConfig.Instance
        .AddJob(Job.ShortRun.WithIterationCount(9))
        .AddColumn(StatisticColumn.Median, new RooflineColumn())
        .AddDiagnoser(BenchmarkDotNet.Diagnosers.MemoryDiagnoser.Default)
        .AddLogicalGroupRules(BenchmarkLogicalGroupRule.ByMethod);
}
