/* Uses the library as any program in C would, and checks what it gives. Its argument is the version it must be. */
#include <simdnorm/simdnorm.h>

#include <stdio.h>
#include <string.h>

enum { rows = 3, columns = 5 };

static const float x[rows][columns] = {{1, 2, 3, 4, 5}, {-7, 0.5f, 12, 3, 3}, {1e6f, 1e6f + 1, 1e6f, 1e6f - 2, 1e6f}};

/* In the form (y std)^2 = (x - mean)^2, which needs no square root and so no libm. */
static int is_normalized(const float *input, const float *output) {
    double mean = 0;
    double variance = 0;
    for (int column = 0; column < columns; ++column) {
        mean += (double)input[column] / columns;
    }
    for (int column = 0; column < columns; ++column) {
        const double centred = (double)input[column] - mean;
        variance += centred * centred / columns;
    }
    for (int column = 0; column < columns; ++column) {
        const double centred = (double)input[column] - mean;
        const double difference = (double)output[column] * output[column] * variance - centred * centred;
        if (difference > 1e-5 * variance || difference < -1e-5 * variance || output[column] * centred < -1e-5) {
            return 0;
        }
    }
    return 1;
}

int main(int argument_count, char **arguments) {
    float y[rows][columns] = {{0}};
    const simdnorm_layer_norm_args args = {.rows = rows, .columns = columns, .x = x[0], .epsilon = 1e-6, .y = y[0]};
    const simdnorm_layer_norm_args no_columns = {.rows = rows, .x = x[0], .y = y[0]};

    printf("simdnorm %s, %s\n", simdnorm_version(), simdnorm_instruction_set());
    if (argument_count != 2 || strcmp(simdnorm_version(), arguments[1]) != 0) {
        fprintf(stderr, "the version is not the one expected\n");
        return 1;
    }
    if (simdnorm_layer_norm(&args) != SIMDNORM_OK) {
        fprintf(stderr, "%s\n", simdnorm_last_error());
        return 1;
    }
    for (int row = 0; row < rows; ++row) {
        for (int column = 0; column < columns; ++column) {
            printf("%9.5f", y[row][column]);
        }
        printf("\n");
        if (!is_normalized(x[row], y[row])) {
            fprintf(stderr, "row %d is not normalised\n", row);
            return 1;
        }
    }
    if (simdnorm_layer_norm(&no_columns) != SIMDNORM_INVALID_ARGUMENT ||
        strstr(simdnorm_last_error(), "columns") == NULL) {
        fprintf(stderr, "no columns should be an error that says so, not \"%s\"\n", simdnorm_last_error());
        return 1;
    }
    return 0;
}
