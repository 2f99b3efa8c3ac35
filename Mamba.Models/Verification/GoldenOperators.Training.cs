using Mamba.Core;
using Mamba.Core.Optim;

namespace Mamba.Models.Verification;

// Optimizers, schedules and clipping.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_training = new()
    {
        ["optimizer"] = c => [Optimize(c)],
        ["clip_grad_norm"] = ClipGradients,
        ["schedule"] = c => [LearningRates(c)],
    };

    private static readonly Dictionary<string, Func<GoldenCase, (string, Tensor)[], Optimizer>> s_optimizers = new()
    {
        ["adagrad"] = (c, p) => new Adagrad(p, Rate(c), weightDecay: Decay(c)) { Eps = c.Float("eps", 1e-10f) },
        ["adam"] = (c, p) => new Adam(p, Rate(c), Decay(c))
        {
            Beta1 = Beta(c, 0),
            Beta2 = Beta(c, 1),
            Eps = c.Float("eps", 1e-8f),
            AmsGrad = c.Bool("amsgrad"),
        },
        ["adamw"] = (c, p) => new AdamW(p, Rate(c), Decay(c))
        {
            Beta1 = Beta(c, 0),
            Beta2 = Beta(c, 1),
            Eps = c.Float("eps", 1e-8f),
            AmsGrad = c.Bool("amsgrad"),
        },
        ["rmsprop"] = (c, p) => new RmsProp(p, Rate(c), c.Float("momentum", 0f), Decay(c))
        {
            Smoothing = c.Float("alpha", 0.99f),
            Eps = c.Float("eps", 1e-8f),
            Centered = c.Bool("centered"),
        },
        ["sgd"] = (c, p) => new Sgd(p, Rate(c), c.Float("momentum", 0f), Decay(c)) { Nesterov = c.Bool("nesterov") },
    };

    private static readonly Dictionary<string, Func<GoldenCase, (Schedule Schedule, double Base)>> s_schedules = new()
    {
        ["cosine"] = c => (Schedules.Cosine(c.Int("T_max"), c.Float("eta_min", 0f) / Rate(c)), Rate(c)),
        ["cosine_restarts"] = c => (Schedules.CosineWithRestarts(c.Int("T_0"), c.Int("T_mult", 1), c.Float("eta_min", 0f) / Rate(c)),
            Rate(c)),
        ["exponential"] = c => (Schedules.Exponential(c.Float("gamma", 1f)), Rate(c)),
        ["linear_warmup"] = c => (Schedules.Linear(c.Int("total_iters"), c.Float("start_factor", 1f / 3), c.Float("end_factor", 1f)),
            Rate(c)),
        ["multistep"] = c => (Schedules.MultiStep((c.Numbers("milestones") ?? []).Select(m => (long)m), c.Float("gamma", 0.1f)), Rate(c)),
        ["one_cycle"] = c => (
            Schedules.OneCycle(c.Int("total_steps"), c.Float("pct_start", 0.3f), c.Float("div_factor", 25f),
                c.Float("final_div_factor", 1e4f)),
            c.Float("max_lr", 1f)),
        ["step"] = c => (Schedules.Step(c.Int("step_size"), c.Float("gamma", 0.1f)), Rate(c)),
    };

    /// <summary>The parameter after each step.</summary>
    private static Tensor Optimize(GoldenCase c)
    {
        Tensor parameter = c.In("param"), gradients = c.In("grads");
        int steps = gradients.Shape[0], count = parameter.Count;
        parameter.RequiresGrad = true;
        Optimizer optimizer = s_optimizers[c.StartOfName(s_optimizers.Keys)](c, [("param", parameter)]);
        Tensor path = Tensor.Empty(gradients.Shape);
        for (int step = 0; step < steps; step++)
        {
            parameter.ZeroGrad();
            gradients.Span.Slice(step * count, count).CopyTo(parameter.OpenGrad().Span);
            optimizer.Step();
            parameter.Span.CopyTo(path.Span[(step * count)..]);
        }
        parameter.RequiresGrad = false;
        return path;
    }

    private static Tensor[] ClipGradients(GoldenCase c)
    {
        Tensor[] gradients = [c.In("a"), c.In("b")];
        Tensor[] leaves = Array.ConvertAll(gradients, g =>
        {
            Tensor leaf = Tensor.Zeros(g.Shape);
            leaf.RequiresGrad = true;
            g.Span.CopyTo(leaf.OpenGrad().Span);
            return leaf;
        });
        double norm = GradientNorm.Clip(leaves, c.Float("max_norm", 1f));
        return [leaves[0].Grad!.Value, leaves[1].Grad!.Value, Tensor.Full((float)norm)];
    }

    /// <summary>The learning rate at each step.</summary>
    private static Tensor LearningRates(GoldenCase c)
    {
        Tensor rates = Tensor.Empty(c.Int("steps"));
        if (c.Has("metric"))
        {
            c.Only("mode", "\"min\"");
            c.Only("threshold", "0.0001");
            Plateau plateau = new(c.Float("factor", 0.1f), c.Int("patience", 10));
            for (int step = 0; step < rates.Count; step++)
            {
                rates.Span[step] = (float)(Rate(c) * plateau.Scale);
                plateau.Observe(c.In("metric").Span[step]);
            }
            return rates;
        }
        string name = c.StartOfName(s_schedules.Keys);
        Rate(c); // where the schedule sets the rate itself, this one is not used
        (Schedule schedule, double first) = s_schedules[name](c);
        for (int step = 0; step < rates.Count; step++) rates.Span[step] = (float)(first * schedule(step));
        return rates;
    }

    private static double Rate(GoldenCase c) => c.Float("lr", 1e-3f);

    private static double Decay(GoldenCase c) => c.Float("weight_decay", 0f);

    private static double Beta(GoldenCase c, int index) => c.Numbers("betas")?[index] ?? (index == 0 ? 0.9 : 0.999);
}
