#include <simdnorm/simdnorm.h>
#include <stdio.h>

static void print(const char *name, const float *row) {
    printf("%-6s %6.3f %6.3f %6.3f %6.3f\n", name, row[0], row[1], row[2], row[3]);
}

int main(void) {
    const float x[2][4] = {{1, 2, 3, 4}, {1000, 2000, 3000, 4000}};
    const float gamma[4] = {1, 1, 1, 1};
    float y[2][4];
    float mean[2];
    float rstd[2];
    const simdnorm_layer_norm_args forward = {
        .rows = 2, .columns = 4, .x = x[0], .gamma = gamma, .epsilon = 1e-5, .y = y[0], .mean = mean, .rstd = rstd};

    const float dy[2][4] = {{1, 0, 0, 0}, {0, 0, 0, 1}};
    float dx[2][4];
    float dgamma[4]; /* overwritten, not added to, as are the others; each may be left out */
    float dbeta[4];
    const simdnorm_layer_norm_backward_args backward = {.rows = 2,
                                                        .columns = 4,
                                                        .dy = dy[0],
                                                        .x = x[0],
                                                        .gamma = gamma,
                                                        .mean = mean,
                                                        .rstd = rstd,
                                                        .dx = dx[0],
                                                        .dgamma = dgamma,
                                                        .dbeta = dbeta};

    if (simdnorm_layer_norm(&forward) != SIMDNORM_OK || simdnorm_layer_norm_backward(&backward) != SIMDNORM_OK) {
        fprintf(stderr, "%s\n", simdnorm_last_error());
        return 1;
    }
    print("dx", dx[0]);
    print("dgamma", dgamma);
    print("dbeta", dbeta);
    return 0;
}
