using System.Numerics;
using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Verification;

// Linear time-invariant state-space models.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_lti = new()
    {
        ["discretize"] = Discretize,
        ["hippo"] = HippoMatrices,
        ["hippo_nplr"] = HippoNormalPlusLowRank,
        ["hippo_online"] = HippoOnline,
        ["lti_dense"] = LtiDense,
        ["lti_scan"] = LtiScan,
        ["s4"] = c => [S4Block(c)],
        ["s4_kernel"] = c => [S4Kernel(c)],
        ["s4d"] = c => [S4dLayer(c)],
        ["s4d_init"] = S4dInitialValues,
        ["s4d_kernel"] = c => [S4dKernel(c)],
    };

    private static readonly Dictionary<string, DiscretizationMethod> s_methods = new()
    {
        ["euler"] = DiscretizationMethod.ForwardEuler,
        ["backward"] = DiscretizationMethod.BackwardEuler,
        ["bilinear"] = DiscretizationMethod.Bilinear,
        ["gbt"] = DiscretizationMethod.GeneralizedBilinear,
        ["zoh"] = DiscretizationMethod.ZeroOrderHold,
        ["mamba"] = DiscretizationMethod.Mamba,
    };

    private static readonly Dictionary<string, HippoMeasure> s_measures = new()
    {
        ["legs"] = HippoMeasure.LegS,
        ["legt"] = HippoMeasure.LegT,
        ["lmu"] = HippoMeasure.Lmu,
        ["fout"] = HippoMeasure.FouT,
        ["lagt"] = HippoMeasure.LagT,
    };

    private static readonly Dictionary<string, S4dInitialization> s_initializations = new()
    {
        ["lin"] = S4dInitialization.Lin,
        ["inv"] = S4dInitialization.Inv,
        ["legs"] = S4dInitialization.LegS,
        ["real"] = S4dInitialization.Real,
    };

    private static Tensor[] HippoMatrices(GoldenCase c)
    {
        int n = c.Int("N");
        (double[] a, double[] b) = Hippo.Matrices(Named(c, "measure", s_measures), n);
        return [Real(a, n, n), Real(b, n)];
    }

    private static Tensor[] HippoNormalPlusLowRank(GoldenCase c)
    {
        c.Only("measure", "\"legs\"");
        int n = c.Int("N");
        NormalPlusLowRank form = Hippo.LegSNormalPlusLowRank(n);
        return [Complexes(form.Lambda, n, 2), Real(form.P, n), Complexes(form.InputVector, n, 2), Complexes(form.V, n, n, 2)];
    }

    private static Tensor[] HippoOnline(GoldenCase c)
    {
        Tensor signal = c.In("f");
        int n = c.Int("N"), length = signal.Shape[1];
        Tensor coefficients = Ops.LegsMemory(signal, n);
        Tensor basis = Real(Hippo.LegendreBasis(Hippo.EvenPoints(length), n), length, n);
        return [coefficients, Ops.Linear(coefficients, basis)];
    }

    private static Tensor[] S4dInitialValues(GoldenCase c)
    {
        int n = c.Int("N");
        return [Complexes(Hippo.Eigenvalues(Named(c, "init", s_initializations), n), n / 2, 2)];
    }

    private static Tensor[] Discretize(GoldenCase c)
    {
        if (c.Text("structure") == "dplr")
        {
            c.Only("method", "\"bilinear\"");
            (Tensor abar, Tensor bbar) = Ops.DiscretizeDplr(c.In("lam"), c.In("P"), c.In("B"), c.In("log_dt"));
            return [abar, bbar];
        }
        DiscretizationMethod method = Named(c, "method", s_methods);
        float alpha = c.Float("alpha", 0.5f);
        (Tensor a, Tensor b) = c.Text("structure") switch
        {
            "diagonal" => Ops.DiscretizeDiagonal(c.In("A"), c.In("B"), c.In("dt"), method, alpha),
            "dense" => Ops.DiscretizeDense(c.In("A"), c.In("B"), c.In("dt"), method, alpha),
            string other => throw new UnsupportedCaseException($"discretize: structure '{other}'"),
            null => throw new UnsupportedCaseException("discretize: without a structure"),
        };
        return [a, b];
    }

    private static Tensor[] LtiScan(GoldenCase c)
    {
        LtiScanOptions options = new() { D = c.Optional("D"), State = c.Optional("state"), ConjugatePairs = ConjugatePairs(c) };
        (Tensor y, Tensor last) = Ops.LtiScan(ChannelsLast(c.In("u")), c.In("A"), c.In("B"), c.In("C"), options);
        return [ChannelsFirst(y), last];
    }

    private static Tensor S4dKernel(GoldenCase c) => Ops.S4dKernel(
        c.In("log_dt"), c.In("log_A_real"), c.In("C"), c.Int("length"), new S4dKernelOptions
        {
            Method = Named(c, "disc", s_methods),
            ConjugatePairs = ConjugatePairs(c),
            AImag = c.Optional("A_imag"),
            B = c.Optional("B"),
        });

    private static Tensor[] LtiDense(GoldenCase c)
    {
        (Tensor y, Tensor last) = Ops.LtiDense(c.In("u"), c.In("A"), c.In("B"), c.In("C"), c.Optional("D"), c.Optional("state"));
        return [y, last];
    }

    private static Tensor S4Kernel(GoldenCase c)
    {
        int length = c.Int("length");
        return Ops.S4Kernel(
            new S4System(c.In("lam"), c.In("P"), c.In("B"), c.In("C"), c.In("log_dt"))
            {
                StoredLength = c.Text("form") switch
                {
                    "C" => 0,
                    "C (I - Abar^L)" => length,
                    string other => throw new UnsupportedCaseException($"s4_kernel: form '{other}'"),
                    null => throw new UnsupportedCaseException("s4_kernel: without a form"),
                },
            },
            length);
    }

    private static Tensor S4dLayer(GoldenCase c)
    {
        c.Only("transposed", "true");
        ParameterStore parameters = new();
        S4d layer = new(new Scope(parameters), new S4dLayerConfig(c.Int("d_model"), c.Int("d_state", 64)));
        return Layer(c, parameters, layer);
    }

    private static Tensor S4Block(GoldenCase c)
    {
        c.Only("transposed", "true");
        c.Only("activation", "\"gelu\"");
        c.Only("final_act", "\"glu\"");
        c.Only("C", "\"C (I - Abar^L)\"");
        ParameterStore parameters = new();
        S4 layer = new(new Scope(parameters), new S4Config(c.Int("d_model"), c.Int("d_state", 64), c.Int("l_max")));
        return Layer(c, parameters, layer);
    }

    /// <summary>A layer with the parameters of the case, over x (B, H, L).</summary>
    private static Tensor Layer(GoldenCase c, ParameterStore parameters, ISequenceMixer layer)
    {
        foreach ((string name, Tensor parameter) in parameters.All) c.Load(name, parameter);
        return ChannelsFirst(layer.Forward(ChannelsLast(c.In("x"))));
    }

    private static Tensor Real(double[] values, params ReadOnlySpan<int> shape) =>
        Tensor.From(Array.ConvertAll(values, x => (float)x), shape);

    private static Tensor Complexes(Complex[] values, params ReadOnlySpan<int> shape) =>
        Real([.. values.SelectMany(x => new[] { x.Real, x.Imaginary })], shape);

    private static T Named<T>(GoldenCase c, string attribute, Dictionary<string, T> names) =>
        names.TryGetValue(c.Text(attribute) ?? "", out T? value)
            ? value
            : throw new UnsupportedCaseException($"{c.Operator}: {attribute} = '{c.Text(attribute)}'");

    private static bool ConjugatePairs(GoldenCase c) => c.Int("factor", 1) switch
    {
        1 => false,
        2 => true,
        int other => throw new UnsupportedCaseException($"{c.Operator}: factor = {other}"),
    };
}
