using System.Globalization;
using System.Text;

namespace Mamba.Cli.Reports.Study;

/// <summary>
/// Writes elements of HTML and SVG, each closed and each text escaped, so that a page is well-formed XML as well. Only <see cref="Raw"/>
/// takes text as it is, and is for text of this program.
/// </summary>
internal sealed class Markup
{
    private readonly StringBuilder _text = new();
    private readonly List<string> _open = [];

    /// <summary>What was written; all elements must be closed.</summary>
    public override string ToString() =>
        _open.Count == 0 ? _text.ToString() : throw new InvalidOperationException($"<{_open[^1]}> is not closed");

    /// <summary>A number as attributes and labels have it: at most two decimals.</summary>
    public static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);

    /// <summary>Opens an element.</summary>
    /// <param name="tag">Its name.</param>
    /// <param name="attributes">Names and values in turn; one whose value is empty is left out.</param>
    public Markup Open(string tag, params ReadOnlySpan<string> attributes)
    {
        Start(tag, attributes);
        _text.Append('>');
        _open.Add(tag);
        return this;
    }

    /// <summary>Closes the element that was opened last.</summary>
    public Markup Close()
    {
        _text.Append("</").Append(_open[^1]).Append('>');
        _open.RemoveAt(_open.Count - 1);
        return this;
    }

    /// <summary>Writes text.</summary>
    public Markup Text(string text)
    {
        foreach (Rune rune in text.EnumerateRunes()) // halves of surrogate pairs become the replacement character
            switch (rune.Value)
            {
                case '&': _text.Append("&amp;"); break;
                case '<': _text.Append("&lt;"); break;
                case '>': _text.Append("&gt;"); break;
                case '"': _text.Append("&quot;"); break;
                case '\'': _text.Append("&#39;"); break;
                case '\n' or '\t': _text.Append((char)rune.Value); break;
                case < ' ' or 0x7F or 0xFFFE or 0xFFFF: _text.Append('\uFFFD'); break; // XML has no other control characters
                default: _text.Append(rune.ToString()); break;
            }
        return this;
    }

    /// <summary>An element with text.</summary>
    public Markup Element(string tag, string text, params ReadOnlySpan<string> attributes) => Open(tag, attributes).Text(text).Close();

    /// <summary>An element without content.</summary>
    public Markup Void(string tag, params ReadOnlySpan<string> attributes)
    {
        Start(tag, attributes);
        _text.Append("/>");
        return this;
    }

    /// <summary>Writes markup of this program as it is.</summary>
    public Markup Raw(string markup)
    {
        _text.Append(markup);
        return this;
    }

    /// <summary>Writes a line break between elements.</summary>
    public Markup Line() => Raw("\n");

    private void Start(string tag, ReadOnlySpan<string> attributes)
    {
        _text.Append('<').Append(tag);
        for (int i = 0; i < attributes.Length; i += 2)
        {
            if (attributes[i + 1].Length == 0) continue;
            _text.Append(' ').Append(attributes[i]).Append("=\"");
            Text(attributes[i + 1]);
            _text.Append('"');
        }
    }
}
