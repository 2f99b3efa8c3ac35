namespace Mamba.Core;

/// <summary>Arithmetic operators on tensors, recorded as the operators of <see cref="Ops"/> that they call.</summary>
public static class TensorOperators
{
    extension(Tensor)
    {
        /// <summary>a + b with NumPy's broadcasting (<see cref="Ops.Add(Tensor, Tensor)"/>).</summary>
        public static Tensor operator +(Tensor a, Tensor b) => Ops.Add(a, b);

        /// <summary>a + b with a constant b.</summary>
        public static Tensor operator +(Tensor a, float b) => Ops.Add(a, Tensor.Full(b));

        /// <summary>a + b with a constant a.</summary>
        public static Tensor operator +(float a, Tensor b) => Ops.Add(Tensor.Full(a), b);

        /// <summary>a - b with NumPy's broadcasting (<see cref="Ops.Subtract(Tensor, Tensor)"/>).</summary>
        public static Tensor operator -(Tensor a, Tensor b) => Ops.Subtract(a, b);

        /// <summary>a - b with a constant b.</summary>
        public static Tensor operator -(Tensor a, float b) => Ops.Subtract(a, Tensor.Full(b));

        /// <summary>a - b with a constant a.</summary>
        public static Tensor operator -(float a, Tensor b) => Ops.Subtract(Tensor.Full(a), b);

        /// <summary>-a.</summary>
        public static Tensor operator -(Tensor a) => Ops.Scale(a, -1f);

        /// <summary>a b, element by element, with NumPy's broadcasting (<see cref="Ops.Multiply(Tensor, Tensor)"/>).</summary>
        public static Tensor operator *(Tensor a, Tensor b) => Ops.Multiply(a, b);

        /// <summary>a b with a constant b.</summary>
        public static Tensor operator *(Tensor a, float b) => Ops.Scale(a, b);

        /// <summary>a b with a constant a.</summary>
        public static Tensor operator *(float a, Tensor b) => Ops.Scale(b, a);

        /// <summary>a / b, element by element, with NumPy's broadcasting (<see cref="Ops.Divide(Tensor, Tensor)"/>).</summary>
        public static Tensor operator /(Tensor a, Tensor b) => Ops.Divide(a, b);

        /// <summary>a / b with a constant b.</summary>
        public static Tensor operator /(Tensor a, float b) => Ops.Divide(a, Tensor.Full(b));

        /// <summary>a / b with a constant a.</summary>
        public static Tensor operator /(float a, Tensor b) => Ops.Divide(Tensor.Full(a), b);
    }
}
