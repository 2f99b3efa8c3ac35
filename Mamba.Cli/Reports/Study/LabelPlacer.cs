namespace Mamba.Cli.Reports.Study;

/// <summary>A rectangle on a figure.</summary>
internal sealed class Area(double left, double top, double right, double bottom)
{
    public double Left => left;

    public double Top => top;

    public double Right => right;

    public double Bottom => bottom;

    /// <summary>The area that two rectangles share.</summary>
    public double Shared(Area other) =>
        Math.Max(0, Math.Min(right, other.Right) - Math.Max(left, other.Left))
        * Math.Max(0, Math.Min(bottom, other.Bottom) - Math.Max(top, other.Top));
}

/// <summary>
/// Puts names beside bubbles so that they do not lie on each other. Each name takes the best of places around its bubble, near ones first;
/// those of crowded bubbles choose first. A line leads to a name that is not beside its bubble.
/// </summary>
/// <param name="frame">Where names may be.</param>
internal sealed class LabelPlacer(Area frame)
{
    private const double LineHeight = 13, LetterWidth = 6.6, Near = 4;
    private static readonly double[] s_distances = [0, 10, 22, 36, 52, 70];

    private readonly List<Bubble> _bubbles = [];

    /// <summary>The width that a text needs at 12 pixels; rather too much, since fonts differ.</summary>
    public static double Width(string text) => LetterWidth * text.Length;

    /// <summary>Adds a bubble with its name.</summary>
    public void Add(double x, double y, double radius, string name) => _bubbles.Add(new Bubble(x, y, radius, name));

    /// <summary>Chooses places and writes the names.</summary>
    public void Draw(Markup to)
    {
        List<Area> taken = [];
        foreach (Bubble bubble in _bubbles.OrderByDescending(Crowd).ToArray())
        {
            Area best = Best(bubble, taken);
            taken.Add(best);
            bubble.Label = best;
        }
        foreach (Bubble bubble in _bubbles)
        {
            Area label = bubble.Label!;
            double x = Math.Clamp(bubble.X, label.Left, label.Right), y = Math.Clamp(bubble.Y, label.Top + 3, label.Bottom - 2);
            double length = Math.Sqrt((x - bubble.X) * (x - bubble.X) + (y - bubble.Y) * (y - bubble.Y));
            if (length > bubble.Radius + Near + 4)
            {
                double share = bubble.Radius / length;
                PlotFrame.Line(to, "leader", bubble.X + share * (x - bubble.X), bubble.Y + share * (y - bubble.Y), x, y);
            }
            PlotFrame.Label(to, (label.Left + label.Right) / 2, label.Bottom - 3, bubble.Name, "halo", "middle");
        }
    }

    private double Crowd(Bubble bubble) =>
        _bubbles.Sum(other => 1 / (1 + Math.Pow(other.X - bubble.X, 2) + 4 * Math.Pow(other.Y - bubble.Y, 2)));

    private Area Best(Bubble bubble, List<Area> taken)
    {
        Area best = At(bubble, 0, 0);
        double least = double.PositiveInfinity;
        foreach (double distance in s_distances)
            for (int direction = 0; direction < 12; direction++)
            {
                Area place = At(bubble, direction, distance);
                double cost = Cost(place, taken) + 1.5 * distance + 0.4 * direction;
                if (cost < least) (best, least) = (place, cost);
            }
        return best;
    }

    private double Cost(Area place, List<Area> taken)
    {
        const double OnLabel = 40, OnBubble = 3, Outside = 1e6;
        bool inside = place.Left >= frame.Left && place.Right <= frame.Right && place.Top >= frame.Top && place.Bottom <= frame.Bottom;
        return (inside ? 0 : Outside) + OnLabel * taken.Sum(place.Shared)
            + OnBubble * _bubbles.Sum(b => place.Shared(new Area(b.X - b.Radius, b.Y - b.Radius, b.X + b.Radius, b.Y + b.Radius)));
    }

    /// <summary>A place in one of twelve directions, the first to the right.</summary>
    private static Area At(Bubble bubble, int direction, double distance)
    {
        // To the right and left first, then above and below, then between.
        ReadOnlySpan<int> order = [0, 6, 9, 3, 11, 1, 7, 5, 10, 8, 2, 4];
        double angle = order[direction] * Math.PI / 6, cos = Math.Cos(angle), sin = Math.Sin(angle), width = Width(bubble.Name);
        double reach = bubble.Radius + Near + distance;
        double x = bubble.X + cos * (reach + width / 2), y = bubble.Y + sin * (reach + LineHeight / 2);
        return new Area(x - width / 2, y - LineHeight / 2, x + width / 2, y + LineHeight / 2);
    }

    private sealed class Bubble(double x, double y, double radius, string name)
    {
        public double X => x;

        public double Y => y;

        public double Radius => radius;

        public string Name => name;

        public Area? Label { get; set; }
    }
}
