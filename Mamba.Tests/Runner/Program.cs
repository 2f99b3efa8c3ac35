using System.Reflection;
using NUnit;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace Mamba.Tests.Runner;

/// <summary>
/// Runs tests without a test host: on a board, or under an emulator. The arguments are classes below Mamba.Tests.
/// </summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        Assembly tests = Assembly.Load("Mamba.Tests");
        string[] names = Array.ConvertAll(args, name => $"Mamba.Tests.{name}");
        if (Array.Find(names, name => tests.GetType(name) is null) is { } missing)
        {
            Console.Error.WriteLine($"No class {missing}; expected names such as Core.ConvTests.");
            return 2;
        }
        Dictionary<string, object> settings = new()
        {
            [FrameworkPackageSettings.LOAD] = names,
            [FrameworkPackageSettings.NumberOfTestWorkers] = 0,
        };
        NUnitTestAssemblyRunner runner = new(new DefaultTestAssemblyBuilder());
        runner.Load(tests, settings);
        ITestResult result = runner.Run(new Failures(), TestFilter.Empty);
        Console.WriteLine($"{result.PassCount} passed, {result.FailCount} failed, {result.SkipCount} skipped");
        return result.FailCount == 0 && result.PassCount > 0 ? 0 : 1;
    }

    /// <summary>Prints each test that fails, and each class when it is done.</summary>
    private sealed class Failures : ITestListener
    {
        public void TestFinished(ITestResult result)
        {
            if (result.Test.IsSuite)
            {
                if (result.Test.TypeInfo is not null && result.Test.Parent?.TypeInfo is null)
                    Console.WriteLine($"{result.Test.FullName}: {result.PassCount} passed in {result.Duration:F1} s");
            }
            else if (result.ResultState.Status == TestStatus.Failed)
            {
                Console.WriteLine($"FAILED {result.Test.FullName}\n{result.Message}\n{result.StackTrace}");
            }
        }

        public void TestStarted(ITest test)
        {
        }

        public void TestOutput(TestOutput output)
        {
        }

        public void SendMessage(TestMessage message)
        {
        }
    }
}
