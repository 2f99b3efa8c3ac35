using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Commands;

namespace Mamba.Cli.Cluster;

/// <summary><c>mamba-cluster dev</c>: a cluster on one machine, for a try.</summary>
internal static class DevCommand
{
    public static Command Create(Terminal terminal, Func<string[], int> run)
    {
        Option<int?> silos = Options.Integer("--silos", "Silos, the coordinator included.", "3", 1, 64);
        Argument<string[]> words = new("command") { Description = "What the coordinator runs, after --: a verb and its options." };
        Command command = new(
            "dev",
            "Run a training, or another verb, on a cluster of processes on this machine. Nothing has to be installed.\n\n" +
            "Example: mamba-cluster dev --silos 3 -- train --batch 8 --shard 2 --epochs 5") { silos, words };
        command.SetAction(parsed =>
        {
            string[] typed = parsed.GetValue(words) ?? [];
            if (typed is not ["train" or "infer" or "eval" or "study", ..])
                throw new ArgumentException("dev runs train, infer, eval or study; expected mamba-cluster dev -- train OPTIONS");
            int nodes = (parsed.GetValue(silos) ?? 3) - 1;
            string port = ClusterSilo.FreePort().ToString(CultureInfo.InvariantCulture);
            List<Process> children = [];
            try
            {
                for (int i = 1; i <= nodes; i++) children.Add(Start(terminal, $"node{i}", port, nodes + 1));
                // A training waits for its nodes: it would be over before they have started.
                return run([.. typed, "--port", port, .. typed.Contains("--nodes") ? [] : new[] { "--nodes", $"{nodes}" }]);
            }
            finally
            {
                foreach (Process child in children) End(child);
            }
        });
        return command;
    }

    /// <summary>Starts a node that ends when its input does: when this process ends, however it ends.</summary>
    private static Process Start(Terminal terminal, string name, string port, int silos)
    {
        int threads = Math.Max(1, Environment.ProcessorCount / silos);
        ProcessStartInfo start = new(Environment.ProcessPath!)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // 'dotnet mamba-cluster.dll' is the program dotnet.
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
            start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "mamba-cluster.dll"));
        foreach (string word in new[]
        {
            "node", "--coordinator", "127.0.0.1:" + port, "--name", name, "--threads", threads.ToString(CultureInfo.InvariantCulture),
            "--until-input-ends",
        })
            start.ArgumentList.Add(word);
        Process child = new() { StartInfo = start };
        child.OutputDataReceived += Hear;
        child.ErrorDataReceived += Hear;
        child.Start();
        child.BeginOutputReadLine();
        child.BeginErrorReadLine();
        return child;

        void Hear(object sender, DataReceivedEventArgs heard)
        {
            if (!string.IsNullOrEmpty(heard.Data) && !terminal.IsLive) terminal.Error.WriteLine(heard.Data);
        }
    }

    private static void End(Process child)
    {
        using Process ended = child;
        child.StandardInput.Close();
        if (!child.WaitForExit(TimeSpan.FromSeconds(5))) child.Kill();
    }
}
