// Engine.IO and Socket.IO packets: what clients send, and what they make of what arrives.
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char connect_start[128]; // of a CONNECT packet
static char event_start[128];   // of an EVENT packet, up to the ack id
static char update_start[160];  // of an EVENT packet that brings a changed row
static size_t update_start_length;

// A memo holds the number of its edit. Numbers are never used twice, not even by another
// process: an edit to the same text would change nothing.
static struct edit *edits;
static long first_number;
long edit_count;

void prepare_packets(const char *namespace) {
    snprintf(connect_start, sizeof connect_start, "40%s,", namespace);
    snprintf(event_start, sizeof event_start, "42%s,", namespace);
    snprintf(update_start, sizeof update_start, "42%s,[\"lineup-updated\"", namespace);
    update_start_length = strlen(update_start);
    edits = calloc(MAX_EDITS, sizeof *edits);
    first_number = (long)(time(NULL) % 100000) * 100000;
}

struct edit *edit_numbered(long number) {
    return number >= 0 && number < edit_count && number < MAX_EDITS ? &edits[number] : NULL;
}

void forget_edits(void) {
    first_number += edit_count;
    edit_count = 0;
}

static int begin_event(struct client *client, char *text, size_t size) {
    client->ack_id = (client->ack_id + 1) & 0xffffff;
    client->waiting = true;
    counts.in_flight++;
    return snprintf(text, size, "%s%d", event_start, client->ack_id);
}

void send_edit(struct client *client, double due) {
    struct room *room = &rooms[client->room];
    char text[512];
    long number = edit_count++;
    if (number < MAX_EDITS)
        edits[number] = (struct edit){.due = due, .wanted = room->clients};
    client->edit = number;
    client->sent = due;
    int length = begin_event(client, text, sizeof text);
    length += snprintf(text + length, sizeof text - length,
                       "[\"update-lineup-memo\",{\"memoId\":%d,\"memo\":\"e%010ld\",\"color\":"
                       "\"#FECACA\"}]",
                       room->memos[client->seat % room->memo_count], first_number + number);
    send_text(client, text, length);
}

void send_event(struct client *client) {
    char text[sizeof event_json + 160];
    client->sent = now();
    int length = begin_event(client, text, sizeof text);
    length += snprintf(text + length, sizeof text - length, "%s", event_json);
    send_text(client, text, length);
}

void enter_namespace(struct client *client) {
    char text[4096];
    client->state = ENTERING;
    int length = snprintf(text, sizeof text, "%s{\"token\":\"%s\"}", connect_start,
                          tokens[(client - clients) % token_count]);
    send_text(client, text, length);
}

static void become_ready(struct client *client) {
    client->state = READY;
    ready_count++;
    opening_count--;
}

static void complain(const char *what, const uint8_t *packet, size_t length) {
    static int complaints;
    if (complaints++ < 5)
        fprintf(stderr, "load: %s: %.*s\n", what, (int)(length > 300 ? 300 : length), packet);
}

static void take_ack(struct client *client, const uint8_t *packet, size_t length) {
    // The status stands in front, so the list of a join is not searched.
    bool accepted = activity == EVENTS ||
                    memmem(packet, length > 200 ? 200 : length, "\"status\":\"OK\"", 13) != NULL;
    if (!accepted)
        complain("refused", packet, length);
    if (client->state == JOINING) {
        if (accepted)
            become_ready(client);
        else
            end_client(client, "join refused");
        return;
    }
    if (!client->waiting)
        return;
    client->waiting = false;
    counts.in_flight--;
    counts.last_ack = now();
    note_latency(counts.last_ack - client->sent);
    if (activity == EVENTS) {
        counts.acked++;
        if (--client->events_left > 0)
            send_event(client);
        return;
    }
    if (accepted) {
        counts.acked++;
        counts.updates_expected += rooms[client->room].clients;
        struct edit *edit = edit_numbered(client->edit);
        if (edit)
            edit->acked = counts.last_ack;
    } else {
        counts.refused++;
    }
    if (activity == FULL_SPEED && counts.last_ack < full_speed_ends)
        send_edit(client, counts.last_ack);
}

static void take_update(const uint8_t *packet, size_t length) {
    counts.updates++;
    if (activity != ONE_EDIT_AT_A_TIME && activity != PACED_EDITS)
        return;
    const char *memo = memmem(packet, length, "\"lineupMemo\":\"e", 15);
    struct edit *edit = memo ? edit_numbered(strtol(memo + 15, NULL, 10) - first_number) : NULL;
    if (edit && ++edit->seen == edit->wanted)
        edit->last_seen = now();
}

static void take_message(struct client *client, const uint8_t *packet, size_t length) {
    switch (length < 2 ? 0 : packet[1]) {
    case '0': // CONNECT
        if (!joining) {
            become_ready(client);
        } else {
            char text[256];
            client->state = JOINING;
            send_text(client, text,
                      snprintf(text, sizeof text, "%s0[\"join-retreat\",\"%s\"]", event_start,
                               rooms[client->room].slug));
        }
        break;
    case '2': // EVENT
        if (length > update_start_length && !memcmp(packet, update_start, update_start_length))
            take_update(packet, length);
        else
            counts.other_events++;
        break;
    case '3': // ACK
        take_ack(client, packet, length);
        break;
    case '1':
    case '4': // DISCONNECT, CONNECT_ERROR
        complain("not let in", packet, length);
        end_client(client, "not let in");
        break;
    default:
        break;
    }
}

void take_packet(struct client *client, const uint8_t *packet, size_t length) {
    switch (length ? packet[0] : 0) {
    case '0': // open
        enter_namespace(client);
        break;
    case '1': // close
        end_client(client, "close packet");
        break;
    case '2': // ping
        send_text(client, "3", 1);
        break;
    case '3': // pong, to the probe
        client->answered_probe = true;
        finish_upgrade(client);
        break;
    case '4':
        take_message(client, packet, length);
        break;
    default:
        break;
    }
}
