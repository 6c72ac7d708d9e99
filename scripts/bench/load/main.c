// The load generator: many Socket.IO clients on one epoll, with ready-made frames.
//
//     load PORT NAMESPACE ROOMS TOKENS
//
// ROOMS is a file with a line for each room: its slug, and the ids of the memos to edit. TOKENS
// is a file with a token on each line. Client i is in room i % rooms and edits there the memo
// that its seat gives it. Commands come on the standard input, one a line, and each is answered
// by one line of JSON. Whoever gives the commands measures the server before and after. Between
// commands the clients go on reading and answer pings.
//
//     connect N WINDOW join|stay websocket|polling   N more, at most WINDOW of them under way
//     serial N                   one edit at a time, the next when all subscribers have it
//     paced RATE N EDITORS       RATE edits a second by the first EDITORS clients of each room
//     closed SECONDS             all edit; each waits for its ack, then edits again
//     events N JSON              each client sends N events and waits for each ack
//     idle SECONDS
//     nap MICROSECONDS           from now on, look for data this often; 0: wait for it
#include "load.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { SERIAL_EDITORS = 50, STRIDE = 7919 };
static const double PATIENCE = 5, CONNECT_PATIENCE = 300, LONGEST_SETTLING = 60;

int server_port, epoll;
struct client *clients;
int client_count, ready_count, opening_count;
struct room rooms[MAX_ROOMS];
int room_count;
char **tokens;
int token_count;
bool joining;
enum activity activity;
struct counts counts;
double full_speed_ends;
char event_json[4096];

// Until everything expected has come, or nothing comes any more.
static void settle(double patience) {
    double start = now();
    last_data = start;
    while (counts.in_flight || counts.updates < counts.updates_expected) {
        double time = now();
        if (time - last_data > patience || time - start > LONGEST_SETTLING)
            return;
        wait_for_data(20);
    }
}

static void connect_clients(const char *arguments) {
    int count, window;
    char join[16], transport[16];
    if (sscanf(arguments, "%d %d %15s %15s", &count, &window, join, transport) != 4)
        return;
    joining = !strcmp(join, "join");
    double start = now();
    int wanted = client_count + count, ready = ready_count;
    while ((client_count < wanted || opening_count) && now() - start < CONNECT_PATIENCE) {
        while (client_count < wanted && opening_count < window)
            start_client(client_count % room_count, !strcmp(transport, "polling"));
        wait_for_data(100);
    }
    printf("\"connected\":%d,", ready_count - ready);
}

static void edit_one_at_a_time(const char *arguments) {
    int count = atoi(arguments), slow = 0;
    int editors = client_count < SERIAL_EDITORS ? client_count : SERIAL_EDITORS;
    double busy = 0;
    activity = ONE_EDIT_AT_A_TIME;
    for (int i = 0; i < count && slow < 3; i++) {
        struct client *client = &clients[i % editors];
        if (client->state != READY)
            continue;
        double start = now();
        send_edit(client, start);
        struct edit *edit = edit_numbered(client->edit);
        while ((client->waiting || !edit->last_seen) && client->state == READY &&
               now() - start < PATIENCE)
            wait_for_data(1000);
        slow += !edit->last_seen;
        busy += now() - start;
    }
    printf("\"missing\":%d,\"ms_per_edit\":%.5f,", slow, 1e3 * busy / count);
    print_ack_latencies();
}

static void edit_at_full_speed(const char *arguments) {
    double start = now();
    activity = FULL_SPEED;
    full_speed_ends = start + atof(arguments);
    for (int i = 0; i < client_count; i++)
        if (clients[i].state == READY)
            send_edit(&clients[i], now());
    while (now() < full_speed_ends)
        wait_for_data(20);
    settle(1);
    printf("\"edits_per_second\":%.2f,\"unanswered\":%ld,", counts.acked / (counts.last_ack - start),
           counts.in_flight);
    print_ack_latencies();
}

static struct client *free_editor(int number, int editors) {
    for (int i = 0; i < 20; i++) {
        struct client *client = &clients[((long)number * STRIDE + i) % editors];
        if (client->state == READY && !client->waiting)
            return client;
    }
    return NULL;
}

static void print_paced_latencies(void) {
    double *to_ack = malloc((edit_count + 1) * sizeof *to_ack);
    double *to_last = malloc((edit_count + 1) * sizeof *to_last);
    long acked = 0, seen = 0;
    for (long number = 0; number < edit_count; number++) {
        struct edit *edit = edit_numbered(number);
        if (edit->acked)
            to_ack[acked++] = edit->acked - edit->due;
        if (edit->last_seen)
            to_last[seen++] = edit->last_seen - edit->due;
    }
    print_latencies("ack_ms", to_ack, acked);
    print_latencies("last_screen_ms", to_last, seen);
    printf("\"missing\":%ld,", edit_count - seen);
    free(to_ack);
    free(to_last);
}

static void edit_at_a_pace(const char *arguments) {
    double rate;
    int count, per_room, skipped = 0;
    if (sscanf(arguments, "%lf %d %d", &rate, &count, &per_room) != 3)
        return;
    int editors = per_room * room_count < client_count ? per_room * room_count : client_count;
    double start = now();
    activity = PACED_EDITS;
    for (int i = 0; i < count; i++) {
        double due = start + i / rate; // latencies count from here, however late it is sent
        while (!wait_until(due))
            ;
        struct client *client = free_editor(i, editors);
        if (client)
            send_edit(client, due);
        else
            skipped++;
    }
    settle(3);
    printf("\"skipped\":%d,", skipped);
    print_paced_latencies();
}

static void send_events(const char *arguments) {
    int count, used = 0;
    if (sscanf(arguments, "%d %n", &count, &used) != 1)
        return;
    snprintf(event_json, sizeof event_json, "%s", arguments + used);
    activity = EVENTS;
    double start = now();
    for (int i = 0; i < client_count; i++) {
        clients[i].events_left = count;
        if (clients[i].state == READY)
            send_event(&clients[i]);
    }
    while (counts.in_flight && now() - start < 120)
        wait_for_data(100);
    printf("\"events_per_second\":%.1f,", counts.acked / (now() - start));
    print_ack_latencies();
}

static void stay_idle(const char *arguments) {
    double end = now() + atof(arguments);
    activity = IDLE;
    while (now() < end)
        wait_for_data(20);
    printf("\"ready\":%d,", ready_count);
}

static void carry_out(const char *command) {
    static const struct {
        const char *name;
        void (*run)(const char *arguments);
    } known[] = {
        {"connect ", connect_clients}, {"serial ", edit_one_at_a_time}, {"paced ", edit_at_a_pace},
        {"closed ", edit_at_full_speed}, {"events ", send_events}, {"idle ", stay_idle},
    };
    counts = (struct counts){0};
    forget_edits();
    forget_latencies();
    double start = now(), start_cpu = cpu();
    printf("{");
    if (!strncmp(command, "nap ", 4))
        nap_microseconds = atoi(command + 4);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(command, known[i].name, strlen(known[i].name)))
            known[i].run(command + strlen(known[i].name));
    printf("\"acked\":%ld,\"refused\":%ld,\"updates\":%ld,\"updates_expected\":%ld,"
           "\"other_events\":%ld,\"ended\":%ld,\"bytes\":%llu,\"seconds\":%.5f,\"load_cpu\":%.4f}\n",
           counts.acked, counts.refused, counts.updates, counts.updates_expected,
           counts.other_events, counts.ended, counts.bytes, now() - start, cpu() - start_cpu);
    activity = IDLE;
}

static FILE *open_file(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static void read_rooms(const char *path) {
    FILE *file = open_file(path);
    char *line = NULL;
    size_t size = 0;
    while (room_count < MAX_ROOMS && getline(&line, &size, file) > 0) {
        struct room *room = &rooms[room_count++];
        snprintf(room->slug, sizeof room->slug, "%s", strtok(line, " \n"));
        room->memos = malloc((strlen(line) + size) * sizeof *room->memos);
        for (char *memo; (memo = strtok(NULL, " \n"));)
            room->memos[room->memo_count++] = atoi(memo);
    }
    free(line);
    fclose(file);
}

static void read_tokens(const char *path) {
    FILE *file = open_file(path);
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        tokens = realloc(tokens, (token_count + 1) * sizeof *tokens);
        tokens[token_count++] = strdup(line);
    }
    free(line);
    fclose(file);
}

int main(int argc, char **argv) {
    char command[8192];
    size_t length = 0;
    if (argc != 5) {
        fprintf(stderr, "usage: load PORT NAMESPACE ROOMS TOKENS\n");
        return 2;
    }
    server_port = atoi(argv[1]);
    prepare_packets(argv[2]);
    read_rooms(argv[3]);
    read_tokens(argv[4]);
    clients = calloc(MAX_CLIENTS, sizeof *clients);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    setvbuf(stdout, NULL, _IOLBF, 0);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    for (;;) {
        ssize_t got = read(STDIN_FILENO, command + length, sizeof command - 1 - length);
        if (got == 0)
            return 0;
        if (got > 0)
            length += got;
        command[length] = 0;
        char *end = strchr(command, '\n');
        if (!end) {
            wait_for_data(5);
            continue;
        }
        *end = 0;
        length = 0;
        carry_out(command);
    }
}
