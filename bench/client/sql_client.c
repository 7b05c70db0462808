/* Drives a queue that is made of SQL: producer and consumer threads, one connection each, over libpq.
 *
 * For: measuring SQL queues (bare tables, pgmq) with a client that is cheaper than the server work that it asks
 * for. Not for: queues that come with their own client library; those are measured through that library, in
 * peers/peer.mjs. The statements are read from a folder: send.sql or send_one.sql, claim.sql and, if there is
 * one, settle.sql. It prints one JSON object.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *conninfo, *sql_dir;
static long producers = 1, consumers = 1, batch = 100, payload_bytes = 250, seconds = 5, warmup_seconds = 1;
static long backlog_max = 2000;

/* Several threads count, so each counter has a cache line of its own. */
static _Alignas(64) atomic_long sent;
static _Alignas(64) atomic_long settled;
static _Alignas(64) atomic_long retries;
static _Alignas(64) atomic_bool stopping;

static void die(const char *what, const char *why) {
    fprintf(stderr, "sql_client: %s: %s\n", what, why);
    exit(1);
}

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_us(long us) {
    struct timespec t = {us / 1000000, (us % 1000000) * 1000};
    nanosleep(&t, NULL);
}

/* Returns the text of a statement, or NULL where the file does not exist. */
static char *read_statement(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", sql_dir, name);
    FILE *file = fopen(path, "r");
    if (!file) {
        if (errno == ENOENT) return NULL;
        die(path, strerror(errno));
    }
    char *text = calloc(1, 65536);
    if (!text || fread(text, 1, 65535, file) == 0) die(path, "is empty");
    fclose(file);
    return text;
}

static PGconn *connect_and_prepare(const char *const *names, char *const *statements, int n) {
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK) die("connect", PQerrorMessage(conn));
    for (int i = 0; i < n; i++) {
        if (!statements[i]) continue;
        PGresult *res = PQprepare(conn, names[i], statements[i], 0, NULL);
        if (PQresultStatus(res) != PGRES_COMMAND_OK) die(names[i], PQerrorMessage(conn));
        PQclear(res);
    }
    return conn;
}

/* Runs a prepared statement with one text parameter. A deadlock or a serialization failure is counted and
 * tried again, as any client of such a queue must; every other error ends the run. */
static PGresult *execute(PGconn *conn, const char *name, const char *param) {
    for (;;) {
        PGresult *res = PQexecPrepared(conn, name, 1, &param, NULL, NULL, 0);
        ExecStatusType status = PQresultStatus(res);
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return res;
        const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
        if (!state || (strcmp(state, "40P01") != 0 && strcmp(state, "40001") != 0)) die(name, PQerrorMessage(conn));
        PQclear(res);
        atomic_fetch_add(&retries, 1);
    }
}

/* Random base64 in a JSON object, so that TOAST compression wins nothing and every store carries all the bytes.
 * `quoted` escapes it for an array literal. */
static char *append_payload(char *out, uint64_t *state, bool quoted) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out = stpcpy(out, quoted ? "\"{\\\"d\\\":\\\"" : "{\"d\":\"");
    for (long i = 0; i < payload_bytes - 8; i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *out++ = alphabet[*state >> 58];
    }
    return stpcpy(out, quoted ? "\\\"}\"" : "\"}");
}

/* The parameter of a send: one payload, or an array literal of `batch` payloads. */
static char *make_payloads(uint64_t seed) {
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    char *text = malloc((size_t)batch * (size_t)(payload_bytes + 32) + 16);
    if (!text) die("payloads", "out of memory");
    char *out = text;
    if (batch == 1) {
        out = append_payload(out, &state, false);
    } else {
        *out++ = '{';
        for (long i = 0; i < batch; i++) {
            if (i > 0) *out++ = ',';
            out = append_payload(out, &state, true);
        }
        *out++ = '}';
    }
    *out = 0;
    return text;
}

static void *produce(void *arg) {
    const char *names[] = {"send"};
    char *statements[] = {read_statement(batch == 1 ? "send_one.sql" : "send.sql")};
    PGconn *conn = connect_and_prepare(names, statements, 1);
    char *payloads = make_payloads((uint64_t)(uintptr_t)arg + 1);
    while (!atomic_load(&stopping)) {
        /* Without consumers there is no backlog to bound. */
        if (consumers > 0 && atomic_load(&sent) - atomic_load(&settled) >= backlog_max) {
            sleep_us(200);
            continue;
        }
        PQclear(execute(conn, "send", payloads));
        atomic_fetch_add(&sent, batch);
    }
    PQfinish(conn);
    return NULL;
}

static void *consume(void *arg) {
    (void)arg;
    const char *names[] = {"claim", "settle"};
    char *statements[] = {read_statement("claim.sql"), read_statement("settle.sql")};
    PGconn *conn = connect_and_prepare(names, statements, 2);
    char limit[32], *ids = malloc((size_t)batch * 24 + 16);
    snprintf(limit, sizeof limit, "%ld", batch);
    while (!atomic_load(&stopping)) {
        PGresult *claimed = execute(conn, "claim", limit);
        int rows = PQntuples(claimed);
        if (rows > 0 && PQgetlength(claimed, 0, 1) != payload_bytes && PQgetlength(claimed, 0, 1) < payload_bytes - 8)
            die("claim", "returned a payload of another size");
        if (rows > 0 && statements[1]) {
            char *out = ids;
            *out++ = '{';
            for (int i = 0; i < rows; i++) out += sprintf(out, i ? ",%s" : "%s", PQgetvalue(claimed, i, 0));
            strcpy(out, "}");
            PQclear(execute(conn, "settle", ids));
        }
        PQclear(claimed);
        atomic_fetch_add(&settled, rows);
        if (rows == 0) sleep_us(1000);
    }
    PQfinish(conn);
    return NULL;
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--conninfo")) conninfo = value;
        else if (!strcmp(name, "--sql")) sql_dir = value;
        else if (!strcmp(name, "--producers")) producers = atol(value);
        else if (!strcmp(name, "--consumers")) consumers = atol(value);
        else if (!strcmp(name, "--batch")) batch = atol(value);
        else if (!strcmp(name, "--payload-bytes")) payload_bytes = atol(value);
        else if (!strcmp(name, "--seconds")) seconds = atol(value);
        else if (!strcmp(name, "--warmup-seconds")) warmup_seconds = atol(value);
        else if (!strcmp(name, "--backlog-max")) backlog_max = atol(value);
        else die("unknown option", name);
    }
    if (!conninfo || !sql_dir) die("options", "--conninfo and --sql are needed");
    if (payload_bytes < 16 || batch < 1 || producers + consumers > 256) die("options", "a number is out of range");
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    pthread_t threads[256];
    long n_threads = producers + consumers;
    for (long i = 0; i < n_threads; i++)
        if (pthread_create(&threads[i], NULL, i < producers ? produce : consume, (void *)(uintptr_t)i))
            die("thread", "cannot be created");
    sleep_us(warmup_seconds * 1000000);
    double start = now_seconds();
    long sent_before = atomic_load(&sent), settled_before = atomic_load(&settled), last = -1;
    long *series = calloc((size_t)seconds, sizeof *series);
    for (long second = 0; second < seconds; second++) {
        double rest = start + (double)(second + 1) - now_seconds();
        if (rest > 0) sleep_us((long)(rest * 1e6));
        long count = consumers > 0 ? atomic_load(&settled) - settled_before : atomic_load(&sent) - sent_before;
        series[second] = count - (last < 0 ? 0 : last);
        last = count;
    }
    double elapsed = now_seconds() - start;
    long sent_after = atomic_load(&sent), settled_after = atomic_load(&settled);
    atomic_store(&stopping, true);
    for (long i = 0; i < n_threads; i++) pthread_join(threads[i], NULL);
    printf("{\"sent\":%ld,\"settled\":%ld,\"seconds\":%.3f,\"retries\":%ld,\"series\":[", sent_after - sent_before,
           settled_after - settled_before, elapsed, atomic_load(&retries));
    for (long i = 0; i < seconds; i++) printf(i ? ",%ld" : "%ld", series[i]);
    printf("]}\n");
    return 0;
}
