namespace Mamba.Models.Compression;

/// <summary>Where the channels of a group stand in a tensor.</summary>
/// <param name="tensor">The tensor's name.</param>
/// <param name="axis">Its axis of channels.</param>
internal sealed class PruningMember(string tensor, int axis)
{
    public string Tensor => tensor;

    public int Axis => axis;

    /// <summary>The index of the first channel on the axis: behind those of another group that are joined with them.</summary>
    public int Offset { get; init; }

    /// <summary>Whether the axis has the channels of one part, which all parts of the group share.</summary>
    public bool Shared { get; init; }

    /// <summary>The first of the group's parts that stands here, where others stand in other tensors.</summary>
    public int FirstPart { get; init; }

    /// <summary>The number of parts from <see cref="FirstPart"/> on; null for all.</summary>
    public int? PartCount { get; init; }
}

/// <summary>
/// Channels that can only be removed together: those of the layer that makes them, of the norms that they pass, and of all layers that take
/// them (Fang et al. 2023, "DepGraph"). Channel c of the group is one index on the axis of each member.
/// </summary>
/// <param name="layer">
/// The layer whose width it is, see <see cref="Core.Nn.Scope.Width"/>; null where another group's width decides.
/// </param>
/// <param name="channels">The number of channels.</param>
/// <param name="members">Where they stand.</param>
internal sealed class PruningGroup(string? layer, int channels, IReadOnlyList<PruningMember> members)
{
    public string? Layer => layer;

    public int Channels => channels;

    public IReadOnlyList<PruningMember> Members => members;

    /// <summary>Equal parts that keep equally many channels: groups of a norm, or chunks.</summary>
    public int Parts { get; init; } = 1;

    /// <summary>Whether all parts keep the same channels, because a layer is shared by them.</summary>
    public bool Alike { get; init; }

    public int PartSize => channels / Parts;

    /// <summary>The place of a channel on a member's axis; -1 where it does not stand there.</summary>
    public int Place(PruningMember member, int channel)
    {
        if (member.Shared) return member.Offset + channel % PartSize;
        int first = member.FirstPart * PartSize, count = (member.PartCount ?? Parts - member.FirstPart) * PartSize;
        return channel >= first && channel < first + count ? member.Offset + channel - first : -1;
    }
}
