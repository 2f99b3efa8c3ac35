using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Mamba.Core;
using Mamba.Core.Kernels.Scan;
using Mamba.Examples;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Core;

/// <summary>
/// What a backward step may hold: tensors, sizes and options. An address is good only as long as its tensor keeps its memory, which
/// recomputation takes away. The compiled assemblies list every kind of step, since each is an instantiation of a generic method, Tape.Push
/// or Tape.Record.
/// </summary>
internal sealed class BackwardStepTests
{
    // A generic operator may hold its function, such as a power with its exponent: each function stands in for the type parameters once.
    private static readonly Type[][] s_arguments =
    [
        .. typeof(Tape).Assembly.GetTypes()
            .Where(t => t.IsValueType && !t.ContainsGenericParameters && t.GetInterfaces().Any(FunctionsOfOperators().Contains))
            .Select(t => Enumerable.Repeat(t, 4).ToArray()),
    ];

    private static readonly Assembly[] s_assemblies = [typeof(Tape).Assembly, typeof(VisionModel).Assembly, typeof(Swish).Assembly];

    [TestCaseSource(nameof(s_assemblies))]
    public void No_step_holds_a_pointer(Assembly assembly)
    {
        Type[] contexts = [.. Contexts(assembly).Distinct()];
        Assert.That(contexts.Select(PointerIn).OfType<string>().Distinct(), Is.Empty, "pointers in what steps hold");
        int atLeast = assembly == typeof(Tape).Assembly ? 25 : assembly == typeof(Swish).Assembly ? 1 : 0;
        Assert.That(contexts, Has.Length.GreaterThanOrEqualTo(atLeast), "kinds of steps that were found");
    }

    [Test]
    public void A_pointer_is_found_wherever_it_hides()
    {
        Assert.That(PointerIn(typeof((Tensor, int, Shape, float?))), Is.Null);
        Assert.That(PointerIn(typeof((Tensor, ScanInputs))), Is.Not.Null, "in a struct");
        Assert.That(PointerIn(typeof((int, int, int, int, int, int, int, ScanGradients?))), Is.Not.Null, "in a long tuple");
        Assert.That(PointerIn(typeof(ValueTuple<Func<int>>)), Is.Not.Null, "a delegate can hold anything");
        Assert.That(PointerIn(typeof(float*[])), Is.Not.Null, "in an array");
        Assert.That(PointerIn(typeof(WithFunction)), Is.Not.Null, "a function");
    }

    /// <summary>The interfaces that the type parameters of operators are constrained to.</summary>
    private static HashSet<Type> FunctionsOfOperators() =>
    [
        .. typeof(Ops).GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static)
            .Where(m => m.IsGenericMethodDefinition)
            .SelectMany(m => m.GetGenericArguments())
            .SelectMany(parameter => parameter.GetGenericParameterConstraints())
            .Where(constraint => constraint.IsInterface),
    ];

    /// <summary>The type argument of every call of Tape.Push or Tape.Record that stands in an assembly.</summary>
    private static IEnumerable<Type> Contexts(Assembly assembly)
    {
        using PEReader file = new(File.OpenRead(assembly.Location));
        MetadataReader reader = file.GetMetadataReader();
        for (int row = 1; row <= reader.GetTableRowCount(TableIndex.MethodSpec); row++)
        {
            MethodSpecificationHandle handle = MetadataTokens.MethodSpecificationHandle(row);
            string? name = Name(reader, reader.GetMethodSpecification(handle).Method);
            if (name is not ("Tape.Push" or "Tape.Record" or "Tape.RecordRecomputable")) continue;
            Type[] contexts = [.. s_arguments.Select(arguments => Context(assembly, handle, arguments)).OfType<Type>()];
            if (contexts.Length == 0) Assert.Fail($"the context of a step of {assembly.GetName().Name} was not resolved");
            foreach (Type context in contexts) yield return context;
        }
    }

    /// <summary>The context with these functions of operators as type arguments; null where its own constraint rules them out.</summary>
    private static Type? Context(Assembly assembly, MethodSpecificationHandle handle, Type[] arguments)
    {
        try
        {
            return assembly.ManifestModule.ResolveMethod(MetadataTokens.GetToken(handle), arguments, arguments)!.GetGenericArguments()[0];
        }
        catch (Exception e) when (e is ArgumentException or BadImageFormatException or TypeLoadException)
        {
            return null;
        }
    }

    private static string? Name(MetadataReader reader, EntityHandle method)
    {
        if (method.Kind == HandleKind.MethodDefinition)
        {
            MethodDefinition own = reader.GetMethodDefinition((MethodDefinitionHandle)method);
            return $"{reader.GetString(reader.GetTypeDefinition(own.GetDeclaringType()).Name)}.{reader.GetString(own.Name)}";
        }
        MemberReference other = reader.GetMemberReference((MemberReferenceHandle)method);
        return other.Parent.Kind == HandleKind.TypeReference
            ? $"{reader.GetString(reader.GetTypeReference((TypeReferenceHandle)other.Parent).Name)}.{reader.GetString(other.Name)}"
            : null;
    }

    /// <summary>Where a type holds a pointer, or may; null if it cannot.</summary>
    private static string? PointerIn(Type type)
    {
        if (type.IsPointer || type.IsFunctionPointer || type.IsByRef) return type.ToString();
        if (type.IsPrimitive || type.IsEnum || type == typeof(Tensor) || type == typeof(TensorList) || type == typeof(string)) return null;
        if (type.IsArray) return PointerIn(type.GetElementType()!);
        if (!type.IsValueType) return IsRecord(type) ? Within(type) : type.ToString();
        return Within(type);

        static string? Within(Type type)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
                if (PointerIn(field.FieldType) is { } found) return $"{type.Name}.{field.Name}: {found}";
            return null;
        }

        // Options; of other classes nobody knows what they hold.
        static bool IsRecord(Type type) => type.IsSealed && type.GetMethod("<Clone>$") is not null;
    }

    private unsafe struct WithFunction
    {
        public delegate*<int> Function { get; set; }
    }
}
