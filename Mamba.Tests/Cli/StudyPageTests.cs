using System.Text.Json;
using Mamba.Tests.Support;
using Microsoft.Playwright;

namespace Mamba.Tests.Cli;

/// <summary>
/// The page of a report in a browser: the system's Chromium, without a window. Playwright brings a driver and no browser; nothing is
/// downloaded.
/// </summary>
[NonParallelizable]
internal sealed class StudyPageTests : CliTest
{
    private const string Overflow = "document.scrollingElement.scrollWidth - window.innerWidth";

    /// <summary>The widths of the pictures, each decoded again; 0 for one that is damaged.</summary>
    private const string Pictures = """
        Promise.all(Array.from(document.querySelectorAll('svg image')).map(image => new Promise(done => {
          const picture = new Image();
          picture.onload = () => done(picture.naturalWidth);
          picture.onerror = () => done(0);
          picture.src = image.getAttribute('href');
        }))).then(String)
        """;

    /// <summary>A text that is not wholly within its figure; null for none.</summary>
    private const string CutText = """
        (() => {
          for (const text of document.querySelectorAll('figure svg text')) {
            const box = text.getBoundingClientRect(), all = text.closest('figure').querySelector('svg').getBoundingClientRect();
            if (box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 1 || box.bottom > all.bottom + 1)
              return text.textContent + ' in ' + text.closest('svg').getAttribute('aria-label');
          }
          return null;
        })()
        """;

    private static readonly string[] s_names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

    private IPlaywright _playwright = null!;
    private IBrowser _browser = null!;

    private readonly string _reports = Directory.CreateTempSubdirectory("mamba-pages-").FullName;

    [OneTimeSetUp]
    public async Task StartBrowser()
    {
        string? chromium = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => s_names.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
        if (chromium is null) Assert.Ignore($"No Chromium on PATH: none of {string.Join(", ", s_names)}.");
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = chromium, Args = ["--no-sandbox"] });
        StudyFixture.Segmentation(Path.Combine(_reports, "segmentation"), models: 13, images: 160, size: 64, seeds: 2);
        StudyFixture.Classification(Path.Combine(_reports, "classification"), images: 400);
        foreach (string study in Directory.GetDirectories(_reports)) Succeeds("study", "report", study);
    }

    [OneTimeTearDown]
    public async Task StopBrowser()
    {
        if (_browser is not null) await _browser.CloseAsync();
        _playwright?.Dispose();
        Directory.Delete(_reports, recursive: true);
    }

    [TestCase(360, ColorScheme.Light), TestCase(360, ColorScheme.Dark), TestCase(1440, ColorScheme.Light), TestCase(1440, ColorScheme.Dark)]
    public async Task A_page_shows_all_it_has_without_an_error(int width, ColorScheme scheme)
    {
        foreach (string report in Directory.GetDirectories(_reports))
        {
            List<string> errors = [];
            IPage page = await Open(report, width, scheme, errors);
            if (Screenshots is { } folder) await Picture(page, folder, $"{Path.GetFileName(report)}-{width}-{scheme}");
            await page.EvaluateAsync("document.querySelectorAll('details').forEach(d => { d.open = true; })");
            Assert.That(await page.EvaluateAsync<double>(Overflow), Is.LessThanOrEqualTo(0), "the page is wider than the window");
            Assert.That(await page.EvaluateAsync<string>("getComputedStyle(document.body).backgroundColor"),
                Is.EqualTo(scheme == ColorScheme.Dark ? "rgb(13, 17, 23)" : "rgb(255, 255, 255)"));
            JsonElement sizes = await page.EvaluateAsync<JsonElement>(
                "Array.from(document.querySelectorAll('figure svg')).map(s => s.getBoundingClientRect()).map(r => [r.width, r.height])");
            Assert.That(sizes.GetArrayLength(), Is.GreaterThan(8));
            foreach (JsonElement size in sizes.EnumerateArray())
                Assert.That((size[0].GetDouble() > 100, size[1].GetDouble() > 80), Is.EqualTo((true, true)), size.ToString());
            string pictures = await page.EvaluateAsync<string>(Pictures);
            string[] widths = Path.GetFileName(report) == "segmentation" ? ["64"] : [""];
            Assert.That(pictures.Split(',').Distinct(), Is.EqualTo(widths), "widths of pictures");
            Assert.That(await page.EvaluateAsync<string?>(CutText), Is.Null, "text beyond its figure");
            Assert.That(errors, Is.Empty);
            await page.CloseAsync();
        }
    }

    [Test]
    public async Task A_click_on_a_title_sorts_the_table()
    {
        List<string> errors = [];
        IPage page = await Open(Path.Combine(_reports, "segmentation"), 1440, ColorScheme.Light, errors);
        ILocator title = page.Locator("#table-cost thead th:nth-child(3) button");
        await title.ClickAsync();
        double[] largestFirst = await Column(page);
        Assert.That(largestFirst, Is.Ordered.Descending.And.Length.EqualTo(26));
        await title.ClickAsync();
        Assert.That(await Column(page), Is.Ordered.Ascending);
        Assert.That(await page.Locator("#table-cost thead th[aria-sort=ascending]").CountAsync(), Is.EqualTo(1));
        await page.Locator("#table-cost thead th:nth-child(1) button").ClickAsync();
        IReadOnlyList<string> names = await page.Locator("#table-cost tbody th").AllTextContentsAsync();
        Assert.That(names, Is.Ordered.Using((IComparer<string>)StringComparer.Ordinal));
        // Rows without a number stand last in both orders.
        for (int click = 0; click < 2; click++)
        {
            await page.Locator("#table-cost thead th:nth-child(7) button").ClickAsync();
            Assert.That((await page.Locator("#table-cost tbody td:nth-child(7)").AllTextContentsAsync())[^1], Is.EqualTo("–"));
        }
        Assert.That(errors, Is.Empty);
    }

    /// <summary>A folder for pictures of the pages, to be looked at; null for none.</summary>
    private static string? Screenshots => Environment.GetEnvironmentVariable("MAMBA_SCREENSHOTS") is { Length: > 0 } folder ? folder : null;

    private static async Task Picture(IPage page, string folder, string name) =>
        await page.ScreenshotAsync(new() { Path = Path.Combine(folder, $"{name}.png"), FullPage = true });

    private static async Task<double[]> Column(IPage page) => await page.EvaluateAsync<double[]>(
        "Array.from(document.querySelectorAll('#table-cost tbody td:nth-child(3)')).map(cell => Number(cell.dataset.v))");

    /// <summary>Opens the report of a study and waits until all is there.</summary>
    private async Task<IPage> Open(string study, int width, ColorScheme scheme, List<string> errors)
    {
        IPage page = await _browser.NewPageAsync(new()
        {
            ViewportSize = new() { Width = width, Height = 900 },
            ColorScheme = scheme,
        });
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning") errors.Add(message.Text);
        };
        page.PageError += (_, error) => errors.Add(error);
        page.RequestFailed += (_, request) => errors.Add(request.Url);
        await page.GotoAsync(new Uri(Path.Combine(study, "report", "index.html")).AbsoluteUri);
        return page;
    }
}
