using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Models.Verification;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba verify</c>: operators and models against reference values.</summary>
internal static class VerifyCommand
{
    private static readonly Column[] s_columns =
        [new("verdict", 11), new("case", 44), new("output", 8) { Number = true }, new("gradient", 8) { Number = true }];

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Argument<string[]> paths =
            new("PATH") { Description = "Golden files, or folders that hold some.", Arity = ArgumentArity.OneOrMore };
        Option<bool> strict = Options.Flag("--strict", "Exit code 1 for unsupported cases, too.");
        Option<bool> json = Options.Json();
        Option<int?> threads = Options.Threads();
        Command command = new(
            "verify",
            "Compare operators and models with reference values. Exit code 1 if a case fails.\n" +
            "A case of an operator, an option or a model that is not built is unsupported: nothing was compared.\n\n" +
            "Example: mamba verify goldens/ops goldens/models/unet.json")
        {
            paths, strict, json, threads,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            return Run(terminal, parsed.GetRequiredValue(paths), parsed.GetValue(strict), parsed.GetValue(json), stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, string[] paths, bool strict, bool json, CancellationToken stop)
    {
        IReadOnlyList<string> files = Verifier.Find(paths, stop);
        List<VerificationResult> results = [];
        if (!json) terminal.Out.WriteLine(TableReport.Header(s_columns));
        foreach (string file in files)
        {
            IReadOnlyList<VerificationResult> cases = Verifier.Run(file, stop);
            results.AddRange(cases);
            if (json) continue;
            foreach (VerificationResult r in cases) Write(terminal, r);
        }
        int passed = Count(VerificationStatus.Passed), failed = Count(VerificationStatus.Failed),
            unsupported = Count(VerificationStatus.Unsupported);
        if (!json) terminal.Out.WriteLine($"{passed} passed, {failed} failed, {unsupported} unsupported");
        else
        {
            VerifyDocument document = new(passed, failed, unsupported, [.. results.Select(Document)]);
            JsonReport.Write(terminal.Out, document, ReportJson.Default.VerifyDocument);
        }
        return failed > 0 || (strict && unsupported > 0) ? ExitCode.Failure : ExitCode.Success;

        int Count(VerificationStatus status) => results.Count(r => r.Status == status);
    }

    private static void Write(Terminal terminal, VerificationResult r)
    {
        string file = Path.GetFileNameWithoutExtension(r.File);
        // Files of operators hold one case, and are named after it.
        string name = file.EndsWith(r.Case, StringComparison.Ordinal) ? file : $"{file} {r.Case}";
        string verdict = r.Status == VerificationStatus.Failed ? "FAIL" : Word(r.Status);
        terminal.Out.WriteLine(TableReport.Row(s_columns, verdict, PlainText.Printable(name), Error(r.OutputError), Error(r.GradError)));
        if (r.Message is not null) terminal.Out.WriteLine($"  {PlainText.Printable(r.Message)}");
    }

    private static CaseDocument Document(VerificationResult r) =>
        new(r.File, r.Case, Word(r.Status), r.OutputError, r.GradError) { Message = r.Message };

    private static string Word(VerificationStatus status) => status switch
    {
        VerificationStatus.Passed => "pass",
        VerificationStatus.Failed => "fail",
        _ => "unsupported",
    };

    private static string Error(double? error) => error is { } e ? e.ToString("0.0e+00", CultureInfo.InvariantCulture) : "-";
}
