#include <simdnorm/simdnorm.h>
#include <stdio.h>

int main(void) {
    const float x[2][4] = {{1, 2, 3, 4}, {1000, 2000, 3000, 4000}};
    float y[2][4];
    const simdnorm_layer_norm_args args = {.rows = 2, .columns = 4, .x = x[0], .epsilon = 1e-5, .y = y[0]};
    if (simdnorm_layer_norm(&args) != SIMDNORM_OK) {
        fprintf(stderr, "%s\n", simdnorm_last_error());
        return 1;
    }
    for (int row = 0; row < 2; ++row) {
        printf("%6.3f %6.3f %6.3f %6.3f\n", y[row][0], y[row][1], y[row][2], y[row][3]);
    }
    return 0;
}
