/* Segments one frame of raw pixels: example WEIGHTS FRAME WIDTH HEIGHT [MASK], the frame RGB, the mask a PGM picture. */
#include <stdio.h>
#include <stdlib.h>
#include "mamba.h"

static int fail(const char *what) {
  char text[512];
  mamba_last_error(text, sizeof text, NULL);
  fprintf(stderr, "%s: %s\n", what, text);
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  mamba_model model;
  if (mamba_load_file(argv[1], &model) != MAMBA_OK) return fail(argv[1]);
  mamba_info info;
  if (mamba_get_info(model, &info) != MAMBA_OK) return fail("mamba_get_info");
  printf("model: %d x %d, %d classes\n", info.width, info.height, info.classes);
  mamba_frame frame = {.width = atoi(argv[3]), .height = atoi(argv[4]), .pixels = MAMBA_RGB24};
  size_t pixels = (size_t)frame.width * frame.height;
  uint8_t *data = malloc(3 * pixels), *mask = malloc(pixels);
  FILE *file = fopen(argv[2], "rb");
  if (!data || !mask || !file) return perror(argv[2]), 1;
  frame.data = data;
  frame.size = fread(data, 1, 3 * pixels, file);
  fclose(file);
  mamba_output output = {.mask = mask, .mask_size = pixels, .budget_ms = 10000};
  mamba_status status = mamba_segment(model, &frame, &output);
  if (status == MAMBA_OUT_OF_TIME) return fprintf(stderr, "out of time\n"), 1;
  if (status != MAMBA_OK) return fail("mamba_segment");
  printf("%d of %zu pixels\n", output.area, pixels);
  if (argc > 5 && (file = fopen(argv[5], "wb"))) {
    fprintf(file, "P5\n%d %d\n255\n", frame.width, frame.height);
    fwrite(mask, 1, pixels, file);
    fclose(file);
  }
  free(data), free(mask);
  return mamba_free(model) == MAMBA_OK ? 0 : fail("mamba_free");
}
