/* simdnorm: layer normalisation of the rows of a matrix, on a CPU.
 *
 * This header is the whole interface of the library, in C99; simdnorm.hpp beside it is the same in C++20.
 *
 * For each of the N rows of x, shape (N, D):
 *
 *     mean_i = (1/D) sum_j x_ij
 *     rstd_i = 1 / sqrt((1/D) sum_j (x_ij - mean_i)^2 + epsilon)
 *     y_ij   = gamma_j (x_ij - mean_i) rstd_i + beta_j
 *
 * (Ba, Kiros and Hinton, "Layer Normalization", 2016, arXiv:1607.06450.) Statistics belong to a row, so there are N of
 * each; gamma and beta belong to a column, so there are D of each.
 *
 * Accuracy. With u = 2^-24, v the exact normalised value and y the exact result, for every finite row of up to 2^26
 * columns, wherever the exact y is within float's range:
 *
 *     |computed y - y|  <= 16 u (|gamma| max(1, |v|) + |beta|) + 2^-149
 *     |computed mean - mean| <= 4e-7 max(|mean|, sigma) + 2^-149, sigma the row's standard deviation
 *     |computed rstd - rstd| <= 4e-7 rstd, wherever rstd is a normal float
 *
 * docs/numerics.md proves it. 2^-149 is the smallest float: where a result lies below the normal floats, no float may
 * be nearer.
 *
 * Bits. Every output has the same bits on every instruction set, with every number of threads, store policy, alignment
 * and stride, in place or not, and whatever other rows are in the call. Backward, and forward where gamma or beta is
 * not finite, it is not said which NaN stands where a result is one.
 *
 * Threads. Every function may be called from several threads at once. A call made inside an OpenMP parallel region, or
 * in the child of a fork, stays on its own thread. OpenMP's settings are never changed, and threads wait for each other
 * as they say: by GCC's default they spin. Where other programs want the same processors, that can make a call on
 * several threads hundreds of times as slow; OMP_WAIT_POLICY=passive in the environment, or threads = 1, avoids it.
 * Other programs may also be other threads of the same one, each of which would start a team of its own. Two threads
 * are used from some 32,768 elements on, on some CPUs from 98,304.
 *
 * Floating-point environment. Calls compute with round-to-nearest, without traps and without flushing denormals,
 * whatever the caller has set, and leave the caller's environment, flags included, as it was.
 */
#ifndef SIMDNORM_SIMDNORM_H
#define SIMDNORM_SIMDNORM_H

#include <stddef.h>

#if defined(_WIN32) || !defined(__GNUC__)
#define SIMDNORM_EXPORT
#else
#define SIMDNORM_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define SIMDNORM_NOEXCEPT noexcept
extern "C" {
#else
#define SIMDNORM_NOEXCEPT
#endif

/* What a call returns. After anything but SIMDNORM_OK no output has been written, and simdnorm_last_error tells which
 * argument was wrong and what its value was. */
typedef enum simdnorm_status {
    SIMDNORM_OK = 0,
    SIMDNORM_INVALID_ARGUMENT = 1,
    SIMDNORM_UNSUPPORTED = 2,  /* this CPU or this build has no such instruction set */
    SIMDNORM_OUT_OF_MEMORY = 3 /* for calls that cannot do without scratch memory: simdnorm_layer_norm always can */
} simdnorm_status;

/* How y, or dx, is written. The policy changes speed alone, never a bit. */
typedef enum simdnorm_store {
    SIMDNORM_STORE_AUTO = 0,   /* streaming where all that is read and written exceeds the last cache, of which at most
                                  32 MiB count; never in place, nor of short rows that fill no lines of 64 bytes */
    SIMDNORM_STORE_CACHED = 1, /* ordinary stores: it is in the caches afterwards, as far as it fits */
    SIMDNORM_STORE_STREAMING = 2 /* past the caches, fenced before the call returns; ordinary stores where the
                                    instruction set has no others */
} simdnorm_store;

/* The arguments of simdnorm_layer_norm. Set all of it to zero, then the fields that matter: zero is every other
 * field's default. Later versions may add fields at the end: their shared library has another soname, and programs must
 * be compiled again.
 *
 * Pointers to float must be aligned to 4 bytes. Nothing more is asked, but gamma and beta are read fastest if they
 * start on lines of 64 bytes, and matrices if their rows do.
 *
 * No output may overlap another argument. A matrix counts as the range of memory from its first element to its last.
 * Exceptions:
 *   - y may be x itself, with the same stride, or any stride if rows is 1.
 *   - x and y may be views with the same stride whose rows share no element, such as two column slices of a matrix. */
typedef struct simdnorm_layer_norm_args {
    size_t rows;        /* N; with 0 pointers may be NULL, and the call only checks what it is given */
    size_t columns;     /* D; at least 1 */
    const float *x;     /* N x D, row after row */
    size_t x_stride;    /* elements from a row's start to the next row's; 0: columns; otherwise at least columns */
    const float *gamma; /* D scales, or NULL: all 1 */
    const float *beta;  /* D shifts, or NULL: all +0 */
    double epsilon;     /* added to the variance; finite, at least 0; left out it is 0, where PyTorch has 1e-5 */
    float *y;           /* N x D */
    size_t y_stride;    /* as x_stride; elements between rows are never written */
    float *mean;        /* N, for the backward pass; or NULL: not wanted */
    float *rstd;        /* N, for the backward pass; or NULL: not wanted */
    int threads;        /* use at most so many; 0: what OpenMP would use here; 1: the calling thread alone */
    int store;          /* a simdnorm_store */
} simdnorm_layer_norm_args;

/* Normalises each row of x into y. Where long rows are too few to deal out evenly, threads share each row, with 64
 * bytes of memory for every 4,096 columns during the call; if these cannot be had, each row stays on one thread.
 *
 * Special rows, the first line that applies:
 *   - a NaN or an infinity in a row of x: every y of that row and its rstd are the quiet NaN 0x7FC00000; mean is the
 *     infinity if all non-finite elements of the row are infinities of one sign, else that NaN. Other rows are
 *     untouched by it.
 *   - one column, or a row whose elements are all equal: the normalised value is exactly 0, so y is beta; mean is the
 *     common element exactly; rstd is 1/sqrt(epsilon), or 0 if epsilon is 0.
 * Where rstd is beyond float's range, y is right all the same, and the rstd handed out is +infinity. Only an epsilon
 * below 1e-77, as the default of 0, leads there; the backward pass takes such a row for one that is not finite. A gamma
 * or beta that is not finite gives what the formula gives in IEEE arithmetic.
 *
 * Returns SIMDNORM_OK, or SIMDNORM_INVALID_ARGUMENT for: args NULL; columns 0; x or y NULL; epsilon negative or not
 * finite; a stride other than 0 below columns; a matrix of more than PTRDIFF_MAX bytes; a pointer not aligned to 4
 * bytes; threads below 0; an unknown store; an output that overlaps another argument. */
SIMDNORM_EXPORT simdnorm_status simdnorm_layer_norm(const simdnorm_layer_norm_args *args) SIMDNORM_NOEXCEPT;

/* The arguments of simdnorm_layer_norm_backward, under the rules of simdnorm_layer_norm_args: set all to zero, then the
 * fields that matter. No output may overlap another argument, but dx may be dy itself, though not x, with the same
 * stride (any stride if rows is 1), and dx may be a view with the same stride as dy or x whose rows share no element
 * with theirs. There is no epsilon: rstd has it. */
typedef struct simdnorm_layer_norm_backward_args {
    size_t rows;        /* N; with 0 pointers may be NULL, and dgamma and dbeta, where given, become zero */
    size_t columns;     /* D; at least 1 */
    const float *dy;    /* N x D: the gradient of y */
    size_t dy_stride;   /* elements from a row's start to the next row's; 0: columns; otherwise at least columns */
    const float *x;     /* N x D: as it was given to simdnorm_layer_norm */
    size_t x_stride;    /* as dy_stride */
    const float *gamma; /* D, or NULL: all 1 */
    const float *mean;  /* N: what simdnorm_layer_norm gave */
    const float *rstd;  /* N: what simdnorm_layer_norm gave */
    float *dx;          /* N x D: the gradient of x; or NULL: not wanted */
    size_t dx_stride;   /* as dy_stride; elements between rows are never written */
    float *dgamma;      /* D: the gradient of gamma, overwritten, not added to; or NULL: not wanted */
    float *dbeta;       /* D: the gradient of beta, overwritten, not added to; or NULL: not wanted */
    int threads;        /* as in simdnorm_layer_norm_args */
    int store;          /* a simdnorm_store, for dx */
} simdnorm_layer_norm_backward_args;

/* The gradients of layer normalisation. With v_ij = (x_ij - mean_i) rstd_i and g_ij = dy_ij gamma_j, and mean_j the
 * mean over a row:
 *
 *     dx_ij    = rstd_i (g_ij - mean_j(g_ij) - v_ij mean_j(g_ij v_ij))
 *     dgamma_j = sum_i dy_ij v_ij        dbeta_j = sum_i dy_ij
 *
 * (Stanford's CS231n, layernorm_backward of assignment 2.) If none of dx, dgamma and dbeta is wanted, the arguments are
 * checked and nothing is done.
 *
 * The mean that is handed in is a float. What it lost is recovered from the row's own sum of x - mean, so that v is as
 * exact as in the forward pass; a mean from elsewhere is put right in the same way. rstd is used as given.
 *
 * Accuracy, where rstd is what simdnorm_layer_norm gave, with u = 2^-24, w = max(1, |v|) and means over the row:
 *
 *     |computed dx - dx|         <= 16 u rstd (|g| + mean(|g|) + w mean(|g| w)) + 2^-149
 *     |computed dgamma - dgamma| <= 16 u sum over the rows(|dy| w) + 2^-149
 *     |computed dbeta - dbeta|   <= 16 u sum over the rows(|dy|) + 2^-149
 *
 * as long as no product of floats underflows: where mean(|g|) of each row and mean(|dy|) of each column are 0 or at
 * least 2^-80. The last is proven; the first two are tested, and hold by a factor of four on all that was tried, where
 * the proof gives 57 u and 35 u (docs/numerics.md).
 *
 * All outputs have the same bits, as said above ("Bits"), and whichever of them are asked for. Sums over rows go
 * on in double after 16 additions.
 *
 * What is not finite spoils, whatever else is said of a row:
 *   - an x, mean or rstd (an rstd of +infinity stands for one beyond float's range): its row of dx and all of dgamma,
 *     never dbeta.
 *   - a dy: its row of dx, and its column of dgamma and dbeta.
 *   - a gamma: all of dx, neither dgamma nor dbeta.
 * Special rows:
 *   - one column: dx and dgamma are 0.
 *   - a row of equal elements: v is 0, so dx is rstd (g - mean_j(g)); 0 if rstd is 0.
 *
 * Takes memory for the time of the call where N > 16, where threads share rows, or where dgamma or dbeta is left out:
 * both sums are made all the same, and one that is not wanted is put there. For each thread at most:
 *   - D doubles, and if dgamma or dbeta is wanted (4 log2(N) + 6) D doubles more,
 *   - 384 bytes for every 4,096 columns, and 20 KiB.
 *
 * Returns SIMDNORM_OK; SIMDNORM_INVALID_ARGUMENT for: args NULL; columns 0; dy, x, mean or rstd NULL; a stride other
 * than 0 below columns; a matrix of more than PTRDIFF_MAX bytes; a pointer not aligned to 4 bytes; threads below 0; an
 * unknown store; an output that overlaps another argument; SIMDNORM_OUT_OF_MEMORY. After an error nothing has been
 * written. */
SIMDNORM_EXPORT simdnorm_status simdnorm_layer_norm_backward(const simdnorm_layer_norm_backward_args *args)
    SIMDNORM_NOEXCEPT;

/* What a status means, as one sentence; never NULL, whatever the number. The text lives as long as the library. */
SIMDNORM_EXPORT const char *simdnorm_status_message(int status) SIMDNORM_NOEXCEPT;

/* The calling thread's last failure in full (of a long name, its start): the call, the argument and its value. ""
 * before the first; a success does not clear it. The text is overwritten by this thread's next failure. */
SIMDNORM_EXPORT const char *simdnorm_last_error(void) SIMDNORM_NOEXCEPT;

/* The library's version, such as "0.1.0". */
SIMDNORM_EXPORT const char *simdnorm_version(void) SIMDNORM_NOEXCEPT;

/* The instruction set in use: "scalar", "neon", "avx2" (with FMA) or "avx512" (F, CD, DQ, BW and VL).
 *
 * It is chosen at the first call into the library: the one that the environment variable SIMDNORM_INSTRUCTION_SET
 * names, else the fastest this CPU has. If the variable names one that cannot be had, the library says so on standard
 * error, once, and takes the fastest; an empty variable counts as unset. */
SIMDNORM_EXPORT const char *simdnorm_instruction_set(void) SIMDNORM_NOEXCEPT;

/* 1 if the instruction set of that name can be used on this CPU by this build; 0 if not, or if it is no such name, as
 * "auto" is none. */
SIMDNORM_EXPORT int simdnorm_has_instruction_set(const char *name) SIMDNORM_NOEXCEPT;

/* Uses the named instruction set, or the fastest this CPU has for "auto", in every later call of the process, whatever
 * the environment says. Calls under way in other threads finish with the set they began with.
 *
 * Returns SIMDNORM_OK; SIMDNORM_INVALID_ARGUMENT for NULL or an unknown name; SIMDNORM_UNSUPPORTED for a known name
 * that this CPU or this build lacks. After an error the set in use is what it was. */
SIMDNORM_EXPORT simdnorm_status simdnorm_use_instruction_set(const char *name) SIMDNORM_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
