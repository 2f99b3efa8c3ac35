using System.Numerics;
using System.Text;

namespace Mamba.Core.Checkpoints;

/// <summary>A dictionary, ordered or not, as its pairs in the order of writing; callers search the pairs.</summary>
internal sealed class PickledDictionary
{
    public List<(object? Key, object? Value)> Pairs { get; } = [];
}

/// <summary>
/// A class or function named by a pickle. The name is looked up in the vocabulary; nothing is imported, and nothing runs.
/// </summary>
internal sealed record PickledGlobal(string Name);

/// <summary>An object of an unknown class: an inert placeholder. Its arguments and attributes are dropped.</summary>
/// <param name="Type">The class, such as <c>argparse.Namespace</c>.</param>
internal sealed record PickledObject(string Type)
{
    /// <summary>The items set on it, if the class is a kind of dictionary; otherwise null.</summary>
    public PickledDictionary? Items { get; private set; }

    public void Set(object? key, object? value) => (Items ??= new PickledDictionary()).Pairs.Add((key, value));
}

/// <summary>The globals that a pickle may name and call, and the targets of its persistent ids.</summary>
internal interface IPickleVocabulary
{
    /// <summary>Whether a pickle may name this class or function, such as <c>collections.OrderedDict</c>.</summary>
    bool Admits(string module, string name);

    /// <summary>
    /// The result of a call: a value for a known function, otherwise a placeholder. Throws <see cref="FormatException"/> for invalid
    /// arguments.
    /// </summary>
    object? Call(string global, object?[] arguments);

    /// <summary>A new object of a class, without calling its constructor: a dictionary, or a placeholder.</summary>
    object New(string global, object?[] arguments);

    /// <summary>Sets the state of an object; false if it takes none.</summary>
    bool Build(object? target, object? state);

    /// <summary>The target of a persistent id. Throws <see cref="FormatException"/> if there is none.</summary>
    object Load(object? id);
}

/// <summary>
/// Reads Python's pickle format, protocols 2 to 5, with a stack machine without recursion. It creates None, numbers, strings, bytes, lists
/// (also for sets), tuples (as arrays), dictionaries and the vocabulary's values. Objects of other classes become inert placeholders.
/// Opcodes that could execute code, and globals outside the vocabulary, are refused by name.
/// </summary>
/// <remarks>
/// Memory is bounded. An opcode has at least one byte and creates at most one object. Its size is bounded by the bytes of the opcode and
/// the items it pops, never by what the memo repeats. The number of opcodes is limited. Keys are not hashed, so no choice of keys makes it
/// slow. Values may form cycles, so code that walks them must not recurse.
/// </remarks>
/// <param name="reader">The bytes.</param>
/// <param name="vocabulary">The globals that the pickle may name.</param>
/// <param name="python2Bytes">Whether Python 2 strings are bytes, as in pickled NumPy arrays; otherwise they are UTF-8 text.</param>
internal sealed class Unpickler(BoundedReader reader, IPickleVocabulary vocabulary, bool python2Bytes = false)
{
    /// <summary>The largest number of opcodes; a checkpoint has about 40 per tensor.</summary>
    public const int MaxOpcodes = 4_000_000;

    private const int MaxIntegerBytes = 256;
    private const int MaxNameBytes = 256;
    private const int MaxGlobals = 10_000;
    private const int MaxTextBytes = 1 << 29; // a .NET string holds about twice as many characters
    private static readonly UTF8Encoding s_utf8 = new(false, throwOnInvalidBytes: true);
    private readonly List<object?> _stack = [];
    private readonly List<int> _marks = [];
    private readonly List<object?> _memo = [];
    private readonly Dictionary<(string Module, string Name), PickledGlobal> _globals = [];

    /// <summary>Reads one pickle, up to its end.</summary>
    /// <returns>
    /// The value: null, bool, long, BigInteger, double, string, byte[], List, object?[], <see cref="PickledDictionary"/> or a value of the
    /// vocabulary.
    /// </returns>
    /// <exception cref="CheckpointException">It is malformed, or uses something that is not allowed.</exception>
    public object? Read()
    {
        (int begin, int version) = (reader.Byte(), reader.Byte());
        if (begin != 0x80 || version is < 2 or > 5)
            throw reader.Bad($"begins with {begin:x2} {version:x2}; expected a pickle of protocol 2 to 5");
        for (int count = 0; ; count++)
        {
            if (count == MaxOpcodes) throw reader.Bad($"a pickle of more than {MaxOpcodes} opcodes");
            byte opcode = reader.Byte();
            try
            {
                if (opcode == '.')
                {
                    object? result = Pop();
                    if (_stack.Count + _marks.Count > 0) throw new FormatException("the pickle ends with values left on its stack");
                    return result;
                }
                Execute(opcode);
            }
            catch (FormatException e)
            {
                throw reader.Bad(e.Message);
            }
            catch (DecoderFallbackException)
            {
                throw reader.Bad("a string is no valid UTF-8");
            }
        }
    }

    private void Execute(byte opcode)
    {
        if (!PushValue(opcode) && !FillContainer(opcode) && !UseMemo(opcode) && !MakeObject(opcode))
            throw new FormatException($"opcode {OpcodeName(opcode)} is refused");
    }

    /// <summary>Opcodes that push a plain value, and those without effect; false for others.</summary>
    private bool PushValue(byte opcode)
    {
        switch (opcode)
        {
            case 0x80: reader.Skip(1); break; // PROTO
            case 0x95: reader.Skip(8); break; // FRAME
            case (byte)'N': Push(null); break; // NONE
            case 0x88: Push(true); break; // NEWTRUE
            case 0x89: Push(false); break; // NEWFALSE
            case (byte)'K': Push((long)reader.Byte()); break; // BININT1
            case (byte)'M': Push((long)reader.UInt16()); break; // BININT2
            case (byte)'J': Push((long)reader.Int32()); break; // BININT
            case 0x8a: Push(Integer(reader.Byte())); break; // LONG1
            case 0x8b: Push(Integer(reader.UInt32())); break; // LONG4
            case (byte)'G': Push(reader.DoubleBigEndian()); break; // BINFLOAT
            case (byte)'U' when python2Bytes: // SHORT_BINSTRING: a string of Python 2
            case (byte)'C': Push(reader.Bytes(reader.Byte())); break; // SHORT_BINBYTES
            case (byte)'T' when python2Bytes: // BINSTRING
            case (byte)'B': Push(reader.Bytes(reader.UInt32())); break; // BINBYTES
            case 0x8c: // SHORT_BINUNICODE
            case (byte)'U': Push(Text(reader.Byte())); break;
            case (byte)'X': // BINUNICODE
            case (byte)'T': Push(Text(reader.UInt32())); break;
            case 0x8d: Push(Text(reader.UInt64())); break; // BINUNICODE8
            case 0x8e: // BINBYTES8
            case 0x96: Push(reader.Bytes(reader.UInt64())); break; // BYTEARRAY8
            default: return false;
        }
        return true;
    }

    /// <summary>Opcodes that create and fill lists, sets, tuples and dictionaries; false for others.</summary>
    private bool FillContainer(byte opcode)
    {
        switch (opcode)
        {
            case (byte)']': // EMPTY_LIST
            case 0x8f: Push(new List<object?>()); break; // EMPTY_SET
            case (byte)'}': Push(new PickledDictionary()); break; // EMPTY_DICT
            case (byte)')': Push(Array.Empty<object?>()); break; // EMPTY_TUPLE
            case 0x85 or 0x86 or 0x87: Push(Take(opcode - 0x84)); break; // TUPLE1, TUPLE2, TUPLE3
            case (byte)'(': _marks.Add(_stack.Count); break; // MARK
            case (byte)'t': Push(TakeToMark()); break; // TUPLE
            case 0x91: Push(new List<object?>(TakeToMark())); break; // FROZENSET
            case (byte)'1': TakeToMark(); break; // POP_MARK
            case (byte)'a': Append(Take(1)); break; // APPEND
            case (byte)'e': // APPENDS
            case 0x90: Append(TakeToMark()); break; // ADDITEMS
            case (byte)'s': SetItems(Take(2)); break; // SETITEM
            case (byte)'u': SetItems(TakeToMark()); break; // SETITEMS
            case (byte)'0': Pop(); break; // POP
            default: return false;
        }
        return true;
    }

    /// <summary>Opcodes that write and read the memo; false for others.</summary>
    private bool UseMemo(byte opcode)
    {
        switch (opcode)
        {
            case (byte)'q': Memoize(reader.Byte()); break; // BINPUT
            case (byte)'r': Memoize(reader.UInt32()); break; // LONG_BINPUT
            case 0x94: Memoize((uint)_memo.Count); break; // MEMOIZE
            case (byte)'h': Recall(reader.Byte()); break; // BINGET
            case (byte)'j': Recall(reader.UInt32()); break; // LONG_BINGET
            default: return false;
        }
        return true;
    }

    /// <summary>Opcodes that name globals and create objects; false for others.</summary>
    private bool MakeObject(byte opcode)
    {
        switch (opcode)
        {
            case (byte)'c': Push(Global(Name(), Name())); break; // GLOBAL
            case 0x93: // STACK_GLOBAL
                Push(Take(2) is [string module, string name]
                    ? Global(module, name)
                    : throw new FormatException("STACK_GLOBAL: expected two strings"));
                break;
            case (byte)'Q': Push(vocabulary.Load(Pop())); break; // BINPERSID
            case (byte)'R': Push(Reduce(Take(2))); break; // REDUCE
            case 0x81: // NEWOBJ
            case 0x92: // NEWOBJ_EX, whose keywords are dropped
                Push(Take(opcode == 0x81 ? 2 : 3) is [PickledGlobal type, object?[] initial, ..]
                    ? vocabulary.New(type.Name, initial)
                    : throw new FormatException($"{OpcodeName(opcode)}: expected a global and a tuple"));
                break;
            case (byte)'b': // BUILD
                object? state = Pop();
                if (!vocabulary.Build(Peek(), state)) throw new FormatException("opcode BUILD is refused on a plain value");
                break;
            default: return false;
        }
        return true;
    }

    private object? Reduce(object?[] call) => call switch
    {
        [PickledGlobal global, object?[] arguments] => vocabulary.Call(global.Name, arguments),
        [PickledObject callable, object?[]] => new PickledObject(callable.Type), // functools.partial, for instance
        _ => throw new FormatException("REDUCE: expected a global and a tuple"),
    };

    private void Push(object? value) => _stack.Add(value);

    private object? Pop() => Take(1)[0];

    private object? Peek() => _stack.Count > Floor ? _stack[^1] : throw new FormatException("the stack is empty");

    /// <summary>Items below the last mark are not accessible.</summary>
    private int Floor => _marks.Count == 0 ? 0 : _marks[^1];

    private object?[] Take(int count)
    {
        if (_stack.Count - count < Floor) throw new FormatException("the stack is empty");
        object?[] values = [.. _stack[^count..]];
        _stack.RemoveRange(_stack.Count - count, count);
        return values;
    }

    private object?[] TakeToMark()
    {
        if (_marks.Count == 0) throw new FormatException("no mark on the stack");
        object?[] values = Take(_stack.Count - Floor);
        _marks.RemoveAt(_marks.Count - 1);
        return values;
    }

    private void Append(object?[] values)
    {
        if (Peek() is PickledObject) return; // a subclass of list or set
        if (Peek() is not List<object?> list) throw new FormatException("elements are added to something that is no list");
        list.AddRange(values);
    }

    private void SetItems(object?[] values)
    {
        if (values.Length % 2 != 0 || Peek() is not (PickledDictionary or PickledObject))
            throw new FormatException("pairs are added to something that is no dictionary");
        for (int i = 0; i < values.Length; i += 2)
            if (Peek() is PickledObject subclass) subclass.Set(values[i], values[i + 1]);
            else ((PickledDictionary)Peek()!).Pairs.Add((values[i], values[i + 1]));
    }

    /// <summary>
    /// Python numbers the memo consecutively from 0, Python 2 from 1; arbitrary indices could make the memo arbitrarily large.
    /// </summary>
    private void Memoize(uint index)
    {
        if (index > _memo.Count + 1L) throw new FormatException($"memo {index} is written where {_memo.Count} are in use");
        while (_memo.Count <= index) _memo.Add(Unset.Value);
        _memo[(int)index] = Peek();
    }

    private void Recall(uint index) =>
        Push(index < _memo.Count && _memo[(int)index] is not Unset
            ? _memo[(int)index]
            : throw new FormatException($"memo {index} was never written"));

    /// <summary>Each pair of names creates one object, and their number is limited: the memo repeats long names in a few bytes.</summary>
    private PickledGlobal Global(string module, string name)
    {
        if (module.Length > MaxNameBytes || name.Length > MaxNameBytes)
            throw new FormatException($"a name of more than {MaxNameBytes} bytes");
        if (_globals.TryGetValue((module, name), out PickledGlobal? known)) return known;
        if (_globals.Count == MaxGlobals) throw new FormatException($"more than {MaxGlobals} different classes and functions are named");
        PickledGlobal global = new($"{module}.{name}");
        if (!vocabulary.Admits(module, name))
            throw new FormatException($"global '{global.Name}' is refused: a checkpoint has no use for it, and it could act");
        _globals.Add((module, name), global);
        return global;
    }

    private string Name() => s_utf8.GetString(reader.Line(MaxNameBytes));

    private string Text(ulong length) => length <= MaxTextBytes || length > (ulong)reader.Remaining
        ? s_utf8.GetString(reader.Bytes(length))
        : throw new FormatException($"a text of {length} bytes; at most {MaxTextBytes} are accepted");

    private object Integer(uint bytes)
    {
        if (bytes > MaxIntegerBytes) throw new FormatException($"an integer of {bytes} bytes, at most {MaxIntegerBytes} are accepted");
        BigInteger value = new(reader.Bytes(bytes));
        return value >= long.MinValue && value <= long.MaxValue ? (object)(long)value : value;
    }

    private static string OpcodeName(byte opcode) => opcode switch
    {
        (byte)'P' => "PERSID",
        (byte)'I' => "INT",
        (byte)'L' => "LONG",
        (byte)'F' => "FLOAT",
        (byte)'S' => "STRING",
        (byte)'V' => "UNICODE",
        (byte)'i' => "INST",
        (byte)'o' => "OBJ",
        (byte)'l' => "LIST",
        (byte)'d' => "DICT",
        (byte)'p' => "PUT",
        (byte)'g' => "GET",
        (byte)'2' => "DUP",
        0x81 => "NEWOBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x92 => "NEWOBJ_EX",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => $"0x{opcode:x2}",
    };

    /// <summary>A memo entry that was not written.</summary>
    private sealed class Unset
    {
        public static Unset Value { get; } = new();
    }
}
