/* Runs before .NET's start and ends a program on a processor below its level (-DLEVEL=3 or 4) with one line and exit code 2.
   Without it .NET's own check aborts the process. The features of a level are those of the x86-64 psABI. */
#include <cpuid.h>
#include <unistd.h>

#define STOP(text) (void)!write(2, text, sizeof(text) - 1), _exit(2)

static int has_level_3(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma")
        && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_MOVBE) && (c & bit_F16C)
        && __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & bit_LZCNT);
}

__attribute__((unused)) static int has_level_4(void)
{
    return has_level_3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

__attribute__((constructor)) static void check_processor(void)
{
    __builtin_cpu_init();
#if LEVEL == 4
    if (!has_level_4())
        STOP("mamba: this program needs a processor of level x86-64-v4 (AVX-512); run the build for x86-64-v3 instead\n");
#else
    if (!has_level_3())
        STOP("mamba: this program needs a processor of level x86-64-v3 (AVX2, FMA); run the portable build with .NET instead\n");
#endif
}
