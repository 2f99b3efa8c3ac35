/* The C interface of Mamba.NET: segment and classify frames on a CPU.
 *
 * Every function returns a mamba_status and never throws, exits or prints. Null pointers, sizes that do not fit and handles that are
 * closed or were never given out are errors, not undefined behavior; a pointer to less memory than its size says is the caller's.
 * All functions may be called from any thread; calls for one model may run side by side.
 */
#ifndef MAMBA_H
#define MAMBA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t mamba_model; /* 0 is never a model */

typedef enum mamba_status {
  MAMBA_OK = 0,
  MAMBA_OUT_OF_TIME = 1,      /* the budget passed: nothing was written */
  MAMBA_BAD_HANDLE = -1,      /* no model, or one that was freed */
  MAMBA_BAD_ARGUMENT = -2,    /* a null pointer, a size or a format that does not fit */
  MAMBA_BAD_WEIGHTS = -3,     /* the weights cannot be read, or are no model */
  MAMBA_OUT_OF_MEMORY = -4,
  MAMBA_FAILED = -5           /* anything else; mamba_last_error says what */
} mamba_status;

typedef enum mamba_task { MAMBA_SEGMENTATION = 0, MAMBA_CLASSIFICATION = 1 } mamba_task;

typedef enum mamba_pixels {
  MAMBA_GRAY8 = 0, /* one byte per pixel */
  MAMBA_RGB24 = 1, /* red, green, blue */
  MAMBA_BGR24 = 2, /* blue, green, red */
  MAMBA_NV12 = 3,  /* a plane of Y, then one of Cb, Cr pairs per 2 x 2 pixels, of the same stride */
  MAMBA_YUYV = 4   /* Y, Cb, Y, Cr for two pixels */
} mamba_pixels;

typedef struct mamba_frame {
  const uint8_t *data;
  size_t size;         /* bytes behind data */
  int32_t width, height;
  int32_t pixels;      /* mamba_pixels */
  int32_t stride;      /* bytes from row to row; 0: no gap */
  int32_t region_x, region_y, region_width, region_height; /* the part that counts; all 0: the whole frame */
  int32_t bt709;       /* 0: BT.601, 1: BT.709; of NV12 and YUYV */
  int32_t full_range;  /* 0: 16 to 235, 1: 0 to 255; of NV12 and YUYV */
} mamba_frame;

typedef struct mamba_info {
  int32_t task;        /* mamba_task */
  int32_t classes;     /* 1 for a mask */
  int32_t width, height, channels; /* of the model's input; frames of other sizes are resized */
} mamba_info;

typedef struct mamba_output {
  uint8_t *mask;            /* in: a byte per pixel: 255 or 0 of one class, the index of the class otherwise */
  size_t mask_size;         /* in: bytes of it */
  float *probabilities;     /* in: per pixel one per class, or one per class */
  size_t probability_count; /* in: floats of it */
  double budget_ms;         /* in: time for the call; 0 for no limit */
  double milliseconds;      /* out: time of the call */
  int32_t area;             /* out, of a segmentation: pixels that are not background; 0 without a mask */
  int32_t best;             /* out, of a classification: the index of the most probable class */
} mamba_output;

/* Reads weights that 'mamba train' wrote, from a file (UTF-8) or from memory, which may be freed afterwards. */
mamba_status mamba_load_file(const char *path, mamba_model *model);
mamba_status mamba_load_memory(const void *bytes, size_t size, mamba_model *model);

mamba_status mamba_get_info(mamba_model model, mamba_info *info);

/* mask and probabilities of the frame's region; one of them may be null with a size of 0. When MAMBA_OUT_OF_TIME comes back, nothing of
 * mask, probabilities and area was written. */
mamba_status mamba_segment(mamba_model model, const mamba_frame *frame, mamba_output *output);

/* probabilities: one per class. mask is not looked at. */
mamba_status mamba_classify(mamba_model model, const mamba_frame *frame, mamba_output *output);

/* The name of a class, as mamba_last_error gives its text. */
mamba_status mamba_get_label(mamba_model model, int32_t index, char *text, size_t size, size_t *needed);

/* Threads that share the work of a call, of the whole process: 1 to 1024. */
mamba_status mamba_set_threads(int32_t count);

/* Frees a model once the calls that use it have returned. */
mamba_status mamba_free(mamba_model model);

/* Copies the message of this thread's last error, cut to size and closed by a zero. needed may be null: its bytes with the zero. */
mamba_status mamba_last_error(char *text, size_t size, size_t *needed);

#ifdef __cplusplus
}
#endif
#endif
