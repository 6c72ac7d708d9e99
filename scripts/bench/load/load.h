// The load generator: many Socket.IO clients on one epoll. See main.c for its commands.
#pragma once
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MAX_CLIENTS = 40000,
    MAX_ROOMS = 2000,
    MAX_EDITS = 1000000, // of one command
};

enum state {
    POLLING,  // the long-polling handshake is under way
    DIALLING, // the WebSocket's TCP connection
    SHAKING,  // the WebSocket's handshake
    PROBING,  // the upgrade of a session that began with polling
    OPENING,  // waits for the Engine.IO handshake
    ENTERING, // waits to be in the namespace
    JOINING,  // waits for the list
    READY,
    ENDED,
};

struct input {
    uint8_t *data; // what has arrived of an incomplete frame or response
    size_t length, capacity;
};

struct client {
    int fd;      // of the WebSocket, or -1
    int poll_fd; // of the long-polling, or -1
    enum state state;
    int room, seat;      // seat: which client of its room
    bool answered_poll;  // the upgrade waits for the end of the poll ...
    bool answered_probe; // ... and for this
    bool waiting;        // for an ack
    int ack_id;
    int events_left; // of the command `events`
    long edit;       // its latest
    double sent;     // when
    struct input input, poll_input;
    char sid[64]; // of a session that began with polling
};

struct room {
    char slug[64];
    int clients, memo_count;
    int *memos; // ids of the memos to edit
};

struct edit {
    double due, acked, last_seen; // 0: not yet
    int seen, wanted;             // subscribers
};

enum activity {
    IDLE,
    ONE_EDIT_AT_A_TIME,
    PACED_EDITS,
    FULL_SPEED,
    EVENTS,
};

// What the command in progress has counted.
struct counts {
    long acked, refused, updates, updates_expected, other_events, ended, in_flight;
    unsigned long long bytes;
    double last_ack;
};

extern int server_port;
extern int epoll;
extern struct client *clients;
extern int client_count, ready_count, opening_count;
extern struct room rooms[MAX_ROOMS];
extern int room_count;
extern char **tokens;
extern int token_count;
extern bool joining;
extern enum activity activity;
extern struct counts counts;
extern double full_speed_ends;
extern char event_json[4096];

// measuring.c
double now(void); // seconds, monotonic
double cpu(void); // seconds of this process
void forget_latencies(void);
void note_latency(double seconds);
void print_latencies(const char *name, double *seconds, long count); // "name":[p50,p95,p99] in ms
void print_ack_latencies(void);

// connections.c
void start_client(int room, bool polling);
void dial_websocket(struct client *client);
void end_client(struct client *client, const char *why);
void send_bytes(struct client *client, int fd, const void *data, size_t length);
void send_request(struct client *client, int fd, const char *query, const char *headers);
void wait_for_data(int milliseconds);
bool wait_until(double when); // false: something else happened first
extern double last_data;
extern int nap_microseconds; // look for data this often instead of being woken by it

// polling.c
void read_polling(struct client *client);
void finish_upgrade(struct client *client);
void close_polling(struct client *client);

// websocket.c
void ask_for_websocket(struct client *client);
void read_websocket(struct client *client);
void send_text(struct client *client, const char *text, size_t length);

// packets.c
void prepare_packets(const char *namespace);
void take_packet(struct client *client, const uint8_t *packet, size_t length);
void send_edit(struct client *client, double due);
void send_event(struct client *client);
void enter_namespace(struct client *client);
struct edit *edit_numbered(long number);
void forget_edits(void);
extern long edit_count; // since they were forgotten
