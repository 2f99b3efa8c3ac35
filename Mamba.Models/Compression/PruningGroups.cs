using Mamba.Core.Nn;
using Mamba.Models.Zoo;

namespace Mamba.Models.Compression;

/// <summary>The tables of which channels go together, by family of models.</summary>
internal static class PruningGroups
{
    /// <summary>The groups of a model; empty if its channels are not known here.</summary>
    public static IReadOnlyList<PruningGroup> Of(VisionModel model)
    {
        Finder find = new(model.Parameters);
        return model switch
        {
            UNet => find.UNet(),
            UltraLightVmUnet => find.UltraLight(),
            ResNet or ResNetSegmenter or ResNet8 or UMambaBot or VisionTransformer or VisionMamba => find.Inner(),
            _ => [],
        };
    }

    private sealed class Finder(ParameterStore parameters)
    {
        private readonly HashSet<string> _names = [.. parameters.All.Select(p => p.Name)];

        /// <summary>
        /// Channels between two layers of one block, which nothing else sees: between the convolutions of a residual block, inside Mamba
        /// and inside a perceptron. The residual stream keeps its width.
        /// </summary>
        public List<PruningGroup> Inner()
        {
            List<PruningGroup> groups = [];
            foreach (string name in parameters.All.Select(p => p.Name))
            {
                if (Below(name, "A_log") is { } mamba && Has(mamba + "x_proj.weight")) groups.Add(Mamba(mamba));
                else if (Below(name, "net.1.weight") is { } perceptron && Has(perceptron + "net.4.weight"))
                    groups.Add(Between(perceptron + "net.1", null, perceptron + "net.4"));
                else if (Convolution(name) is (var block, var number) && FirstOf(block, number + 1) is { } next)
                    groups.Add(Between(FirstOf(block, number)!, $"{block}bn{number}", next, $"{block}conv{number}"));
            }
            return groups;
        }

        /// <summary>
        /// The channels of U-Net but those that the output layer reads. Nothing is added, and skips are joined behind what comes from
        /// below. Of what the output layer reads, few channels speak for a lesion, with small weights: without them there is none.
        /// </summary>
        public List<PruningGroup> UNet()
        {
            int levels = 0;
            while (Has($"encoder{levels + 1}.0.weight")) levels++;
            List<PruningGroup> groups = [];
            for (int i = 1; i <= levels; i++)
            {
                string next = i < levels ? $"encoder{i + 1}" : "bottleneck";
                int raised = Extent($"upconv{i}.weight", 1);
                PruningMember skip = new($"decoder{i}.0.weight", 1) { Offset = raised };
                groups.AddRange(DoubleConvolution($"encoder{i}", new PruningMember(next + ".0.weight", 1), skip));
            }
            groups.AddRange(DoubleConvolution("bottleneck", new PruningMember($"upconv{levels}.weight", 0)));
            for (int i = levels; i >= 1; i--)
            {
                groups.Add(new PruningGroup($"upconv{i}", Extent($"upconv{i}.weight", 1),
                [
                    new($"upconv{i}.weight", 1), new($"upconv{i}.bias", 0), new($"decoder{i}.0.weight", 1),
                ]));
                if (i > 1) groups.AddRange(DoubleConvolution($"decoder{i}", new PruningMember($"upconv{i - 1}.weight", 0)));
                else groups.Add(Between("decoder1.0", "decoder1.1", "decoder1.3"));
            }
            return groups;
        }

        /// <summary>
        /// The levels of UltraLight VM-UNet: what the encoder makes, what the decoder makes and adds to it, and what the bridge makes of
        /// it. Group norm has four parts. The chunks of a parallel Mamba layer share its weights, so that all keep the same channels.
        /// </summary>
        public List<PruningGroup> UltraLight()
        {
            if (!_names.Any(name => name.EndsWith("mamba.x_proj.weight", StringComparison.Ordinal))) return []; // another mixer
            int levels = 0;
            while (Has($"encoder{levels + 1}.0.weight") || Has($"encoder{levels + 1}.0.proj.weight")) levels++;
            List<PruningGroup> groups = [];
            for (int level = 1, offset = 0; level <= levels; level++)
            {
                int channels = Extent(Has($"encoder{level}.0.weight") ? $"encoder{level}.0.weight" : $"encoder{level}.0.proj.weight", 0);
                groups.Add(Level(level, levels, channels, offset));
                offset += channels;
            }
            foreach (string place in Places("encoder", levels).Concat(Places("decoder", levels - 1)))
            {
                if (Has(place + "ppm.conv_layers.0.weight")) groups.Add(Pooled(place));
                if (Has(place + "mamba.A_log")) groups.Add(Mamba(place + "mamba."));
            }
            return groups;
        }

        /// <summary>The channels of one level, numbered from 1; the bridge joins levels, this one's from an offset on.</summary>
        private PruningGroup Level(int level, int levels, int channels, int offset)
        {
            List<PruningMember> members = [.. Made($"encoder{level}.0.")];
            if (level < levels)
            {
                string decoder = $"decoder{levels - level}";
                members.AddRange(Made(decoder + ".0."));
                members.AddRange(Own($"ebn{level}", 0));
                members.AddRange(Own($"dbn{levels - level}", 0));
                members.AddRange(Own($"scab.catt.att{level}", 0));
                for (int i = 1; i < levels; i++) members.Add(new PruningMember($"scab.catt.att{i}.weight", 1) { Offset = offset });
                members.AddRange(Taken($"encoder{level + 1}.0."));
            }
            if (level > 1) members.AddRange(Taken($"decoder{levels - level + 1}.0."));
            else members.Add(new PruningMember("final.weight", 1));
            int chunks = new[] { $"encoder{level + 1}.0.", $"decoder{levels - level + 1}.0." }.Max(place => Chunks(place));
            return new PruningGroup($"encoder{level}", channels, members) { Parts = chunks > 0 ? chunks : 4, Alike = chunks > 0 };
        }

        /// <summary>What pyramid pooling makes of a level: C/8, C/4, C/2 and C/8 channels, side by side.</summary>
        private PruningGroup Pooled(string place)
        {
            const int Eighths = 8;
            (int First, int Count)[] parts = [(0, 1), (1, 2), (3, 4), (7, 1)];
            List<PruningMember> members = [.. TakenByMamba(place)];
            for (int i = 0; i < parts.Length; i++)
                foreach (PruningMember m in Own($"{place}ppm.conv_layers.{i}", 0))
                    members.Add(new PruningMember(m.Tensor, 0) { FirstPart = parts[i].First, PartCount = parts[i].Count });
            return new PruningGroup(null, Extent(place + "proj.weight", 1), members) { Parts = Eighths, Alike = true };
        }

        /// <summary>What a level's layer makes: the channels of a convolution, or of the projection behind Mamba.</summary>
        private IEnumerable<PruningMember> Made(string place) => Own(Has(place + "weight") ? place[..^1] : place + "proj", 0);

        private IEnumerable<PruningMember> Taken(string place) =>
            Has(place + "weight") ? [new PruningMember(place + "weight", 1)]
            : Has(place + "ppm.conv_layers.0.weight")
                ? Enumerable.Range(0, 4).Select(i => new PruningMember($"{place}ppm.conv_layers.{i}.weight", 1))
            : TakenByMamba(place);

        private static IEnumerable<PruningMember> TakenByMamba(string place) =>
        [
            new(place + "norm.weight", 0), new(place + "norm.bias", 0),
            new(place + "mamba.in_proj.weight", 1) { Shared = true }, new(place + "mamba.out_proj.weight", 0) { Shared = true },
            new(place + "proj.weight", 1),
        ];

        /// <summary>The chunks of a parallel Mamba layer; 0 for another layer.</summary>
        private int Chunks(string place) => Has(place + "mamba.in_proj.weight")
            ? Extent(place + "proj.weight", 1) / Extent(place + "mamba.in_proj.weight", 1) : 0;

        /// <summary>The inner channels of a Mamba block: those of u and of the gate z, which in_proj makes one after the other.</summary>
        private PruningGroup Mamba(string place)
        {
            int inner = Extent(place + "D", 0);
            List<PruningMember> members =
            [
                new(place + "in_proj.weight", 0), new(place + "in_proj.weight", 0) { Offset = inner }, new(place + "out_proj.weight", 1),
            ];
            foreach (string back in (string[])["", "_b"])
            {
                if (!Has($"{place}x_proj{back}.weight")) continue;
                members.AddRange([new($"{place}A{back}_log", 0), new($"{place}D{back}", 0), new($"{place}x_proj{back}.weight", 1)]);
                members.AddRange(Own($"{place}conv1d{back}", 0));
                members.AddRange(Own($"{place}dt_proj{back}", 0));
            }
            return new PruningGroup(place[..^1], inner, members);
        }

        /// <summary>U-Net's pair of convolutions: the channels between them, and those that they make.</summary>
        private PruningGroup[] DoubleConvolution(string place, params PruningMember[] takers) =>
        [
            Between(place + ".0", place + ".1", place + ".3"),
            new PruningGroup(
                place + ".3", Extent(place + ".3.weight", 0), [.. Own(place + ".3", 0), .. Own(place + ".4", 0), .. takers]),
        ];

        /// <summary>The channels between two layers with a norm between them or none.</summary>
        private PruningGroup Between(string first, string? norm, string second, string? layer = null) => new(
            layer ?? first, Extent(first + ".weight", 0),
            [.. Own(first, 0), .. norm is null ? [] : Own(norm, 0), new PruningMember(second + ".weight", 1)]);

        /// <summary>The tensors of a layer that have its channels on an axis.</summary>
        private IEnumerable<PruningMember> Own(string layer, int axis) =>
            ((string[])["weight", "bias", "running_mean", "running_var"]).Select(kind => $"{layer}.{kind}").Where(Has)
                .Select(name => new PruningMember(name, axis));

        /// <summary>The n-th convolution of a block; U-Mamba has it one place further down.</summary>
        private string? FirstOf(string block, int number) =>
            Has($"{block}conv{number}.weight") ? $"{block}conv{number}"
            : Has($"{block}conv{number}.conv.weight") ? $"{block}conv{number}.conv"
            : null;

        /// <summary>The block and number of a convolution: <c>layer1.0.</c> and 2 of <c>layer1.0.conv2.weight</c>.</summary>
        private static (string Block, int Number)? Convolution(string name)
        {
            foreach (int number in (int[])[1, 2])
                if ((Below(name, $"conv{number}.weight") ?? Below(name, $"conv{number}.conv.weight")) is { } block) return (block, number);
            return null;
        }

        private static IEnumerable<string> Places(string kind, int count) => Enumerable.Range(1, count).Select(i => $"{kind}{i}.0.");

        /// <summary>What stands before an ending that is a whole name, with the dot behind it; null if the name ends otherwise.</summary>
        private static string? Below(string name, string ending)
        {
            if (!name.EndsWith(ending, StringComparison.Ordinal)) return null;
            string place = name[..^ending.Length];
            return place.Length == 0 || place[^1] == '.' ? place : null;
        }

        private bool Has(string name) => _names.Contains(name);

        private int Extent(string name, int axis) => parameters[name].Shape[axis];
    }
}
