using System.Text;
using Mamba.Core.Memory;
using Mamba.Models.Language;

namespace Mamba.Examples;

/// <summary>A language model continues a text.</summary>
public static class Generation
{
    public static string Continue(string folder, string prompt, int most)
    {
        (_, LanguageModel loaded) = LanguageFolder.Load(folder);
        using LanguageModel model = loaded;
        TextTokenizer tokenizer = LanguageFolder.Tokenizer(folder, model);
        model.Store(WeightFormat.Float32); // read by rows: the fastest steps
        TokenGenerator generator = new(model, new SamplingOptions(), tokenizer);
        List<byte> text = [];
        int token = generator.Read(tokenizer.Encode(prompt));
        for (int count = 0; count < most && !tokenizer.IsEnd(token); count++)
        {
            text.AddRange(tokenizer.BytesOf(token));
            if (generator.IsFull) break; // a Transformer has no position left
            token = generator.Next();
        }
        return Encoding.UTF8.GetString([.. text]);
    }
}
