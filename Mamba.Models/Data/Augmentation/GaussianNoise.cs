using System.Numerics;
using Mamba.Core;

namespace Mamba.Models.Data.Augmentation;

/// <summary>Adds an independent normal number to each sample.</summary>
/// <param name="Sigma">The standard deviation, as a share of the picture's range of samples; 0 changes nothing.</param>
/// <param name="Random">Where the numbers come from.</param>
internal readonly record struct GaussianNoise(double Sigma, RandomStream Random) : ISampleOperation
{
    public Image Apply(Image from) => Sigma == 0 ? from : Samples.Apply(from, this);

    /// <inheritdoc/>
    public T[] Apply<T>(T[] from, int width, int height) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        (int low, int high) = Samples.Range<T>(from);
        double sigma = Sigma * (high - low);
        T[] to = new T[from.Length];
        for (int i = 0; i < to.Length; i++)
            to[i] = T.CreateSaturating(Math.Round(double.CreateTruncating(from[i]) + sigma * Random.NextNormal()));
        return to;
    }
}
