// Clocks and percentiles.
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double *latencies;
static long latency_count;

double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

double cpu(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

void forget_latencies(void) {
    latency_count = 0;
}

void note_latency(double seconds) {
    if (!latencies)
        latencies = malloc(MAX_EDITS * sizeof *latencies);
    if (latency_count < MAX_EDITS)
        latencies[latency_count++] = seconds;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Nearest rank, of sorted values.
static double percentile(const double *sorted, long count, double share) {
    long rank = (long)(share * count + 0.999999);
    if (rank < 1)
        rank = 1;
    return sorted[(rank > count ? count : rank) - 1];
}

void print_latencies(const char *name, double *seconds, long count) {
    if (!count) {
        printf("\"%s\":null,", name);
        return;
    }
    qsort(seconds, count, sizeof *seconds, compare);
    printf("\"%s\":[%.4f,%.4f,%.4f],", name, 1e3 * percentile(seconds, count, 0.5),
           1e3 * percentile(seconds, count, 0.95), 1e3 * percentile(seconds, count, 0.99));
}

void print_ack_latencies(void) {
    print_latencies("ack_ms", latencies, latency_count);
}
