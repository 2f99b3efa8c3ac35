using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Models.Verification;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba verify</c>: operators and models against reference values.</summary>
internal static class VerifyCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Argument<string[]> paths = new("PATH") { Description = "Golden files, or folders that hold some.", Arity = ArgumentArity.OneOrMore };
        Option<bool> json = Options.Flag("--json", "Print JSON.");
        Option<int?> threads = Options.Threads();
        Command command = new("verify", "Hold operators and models against reference values; exit code 1 if one fails.\n\nExample: mamba verify goldens/ops goldens/models/unet.json")
        {
            paths, json, threads,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            return Run(terminal, parsed.GetRequiredValue(paths), parsed.GetValue(json), stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, string[] paths, bool json, CancellationToken stop)
    {
        List<VerificationResult> results = [];
        foreach (string file in Verifier.Find(paths, stop))
        {
            IReadOnlyList<VerificationResult> cases = Verifier.Run(file, stop);
            results.AddRange(cases);
            if (json) continue;
            foreach (VerificationResult r in cases)
                terminal.Out.WriteLine($"{(r.Passed ? "pass" : "FAIL")}  {Path.GetFileName(r.File),-44} {r.Case,-14} output {Error(r.OutputError),8}  gradient {Error(r.GradError),8}{(r.Message is null ? "" : "  " + r.Message)}");
        }
        int failed = results.Count(r => !r.Passed);
        if (!json) terminal.Out.WriteLine($"{results.Count - failed} passed, {failed} failed");
        else
            JsonReport.Write(terminal.Out, w =>
            {
                w.WriteStartObject();
                w.WriteNumber("passed", results.Count - failed);
                w.WriteNumber("failed", failed);
                w.WriteStartArray("cases");
                foreach (VerificationResult r in results)
                {
                    w.WriteStartObject();
                    w.WriteString("file", r.File);
                    w.WriteString("case", r.Case);
                    w.WriteString("status", r.Passed ? "pass" : "fail");
                    JsonReport.Number(w, "output_error", r.OutputError);
                    JsonReport.Number(w, "grad_error", r.GradError);
                    if (r.Message is not null) w.WriteString("message", r.Message);
                    w.WriteEndObject();
                }
                w.WriteEndArray();
                w.WriteEndObject();
            });
        return failed == 0 ? ExitCode.Success : ExitCode.Failure;
    }

    private static string Error(double? error) => error is { } e ? e.ToString("0.0e+00", CultureInfo.InvariantCulture) : "-";
}
