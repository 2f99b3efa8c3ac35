using Mamba.Core.Simd;

namespace Mamba.Tests.Support;

/// <summary>Tests that run at one vector width; with <see cref="Isas.All"/> as fixture source, at each of them.</summary>
internal abstract class WidthFixture(VectorWidth width)
{
    private IDisposable _width = null!;

    [SetUp]
    public void UseWidth() => _width = Isa.Use(width);

    [TearDown]
    public void RestoreWidth() => _width.Dispose();
}
