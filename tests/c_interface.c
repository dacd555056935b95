/* A C99 program that calls every function of simdnorm.h. */
#include <simdnorm/simdnorm.h>

#include <stdio.h>
#include <string.h>

static int failures = 0;

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "failed: %s; last error: %s\n", what, simdnorm_last_error());
        failures++;
    }
}

static int all_near(const float *actual, const float *expected, int count) {
    int i;
    for (i = 0; i < count; i++) {
        const float difference = actual[i] - expected[i];
        if (!(difference >= -1e-5f && difference <= 1e-5f)) {
            return 0;
        }
    }
    return 1;
}

/* Rows (1, 3) and (8, 4): means 2 and 6, standard deviations 1 and 2. */
static void check_layer_norm(void) {
    const float x[4] = {1, 3, 8, 4};
    const float gamma[2] = {10, 20};
    const float beta[2] = {1, 2};
    const float expected_y[4] = {-9, 22, 11, -18};
    const float expected_mean[2] = {2, 6};
    const float expected_rstd[2] = {1, 0.5f};
    float y[4], mean[2], rstd[2];
    simdnorm_layer_norm_args args = {0};
    args.rows = 2;
    args.columns = 2;
    args.x = x;
    args.gamma = gamma;
    args.beta = beta;
    args.y = y;
    args.mean = mean;
    args.rstd = rstd;
    check(simdnorm_layer_norm(&args) == SIMDNORM_OK, "simdnorm_layer_norm");
    check(all_near(y, expected_y, 4), "y");
    check(all_near(mean, expected_mean, 2), "mean");
    check(all_near(rstd, expected_rstd, 2), "rstd");
}

static void check_failure(void) {
    check(strcmp(simdnorm_last_error(), "") == 0, "no error before the first failure");
    check(simdnorm_layer_norm(NULL) == SIMDNORM_INVALID_ARGUMENT, "args NULL");
    check(strstr(simdnorm_last_error(), "args") != NULL, "simdnorm_last_error");
    check(strlen(simdnorm_status_message(SIMDNORM_INVALID_ARGUMENT)) > 0, "simdnorm_status_message");
}

static void check_instruction_sets(void) {
    check(simdnorm_has_instruction_set("scalar") == 1, "simdnorm_has_instruction_set");
    check(simdnorm_use_instruction_set("scalar") == SIMDNORM_OK, "simdnorm_use_instruction_set");
    check(strcmp(simdnorm_instruction_set(), "scalar") == 0, "simdnorm_instruction_set");
    check_layer_norm();
    check(simdnorm_use_instruction_set("auto") == SIMDNORM_OK, "auto");
    check_layer_norm();
}

int main(void) {
    check(strlen(simdnorm_version()) > 0, "simdnorm_version");
    check_failure();
    check_instruction_sets();
    return failures == 0 ? 0 : 1;
}
