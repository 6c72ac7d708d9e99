// The WebSocket: its handshake and its frames (RFC 6455).
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BUFFER = 32 << 20, RECEIVE = 1 << 20 };

void ask_for_websocket(struct client *client) {
    char query[128];
    snprintf(query, sizeof query, "websocket%s%s", *client->sid ? "&sid=" : "", client->sid);
    send_request(client, client->fd, query,
                 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n");
    client->state = SHAKING;
}

void send_text(struct client *client, const char *text, size_t length) {
    uint8_t frame[8192] = {0x81}; // FIN, text; masked with zeros
    size_t head = 2;
    if (length < 126) {
        frame[1] = 0x80 | length;
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = length >> 8;
        frame[3] = length;
        head = 4;
    }
    memset(frame + head, 0, 4);
    head += 4;
    memcpy(frame + head, text, length);
    send_bytes(client, client->fd, frame, head + length);
}

// Takes whole frames; returns how many bytes they had.
static size_t take_frames(struct client *client, const uint8_t *data, size_t length) {
    size_t at = 0;
    while (client->state != ENDED && length - at >= 2) {
        const uint8_t *frame = data + at;
        size_t head = 2, size = frame[1] & 127, left = length - at;
        if (size >= 126) {
            head = size == 126 ? 4 : 10;
            if (left < head)
                break;
            size = 0;
            for (size_t i = 2; i < head; i++)
                size = size << 8 | frame[i];
        }
        if (left < head + size)
            break;
        switch (frame[0]) {
        case 0x81:
            take_packet(client, frame + head, size);
            break;
        case 0x88:
            end_client(client, "close frame");
            break;
        case 0x89: {
            const uint8_t pong[6] = {0x8a, 0x80};
            send_bytes(client, client->fd, pong, sizeof pong);
            break;
        }
        default:
            fprintf(stderr, "load: frame of type %02x\n", frame[0]);
            end_client(client, "a frame that no server here sends");
        }
        at += head + size;
    }
    return at;
}

static size_t take_handshake(struct client *client, const uint8_t *data, size_t length) {
    const uint8_t *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(data + 9, "101", 3)) {
        fprintf(stderr, "load: %.60s\n", (const char *)data);
        end_client(client, "the WebSocket was refused");
        return length;
    }
    if (*client->sid) {
        client->state = PROBING;
        send_text(client, "2probe", 6);
    } else {
        client->state = OPENING;
    }
    return end + 4 - data;
}

void read_websocket(struct client *client) {
    static uint8_t *buffer;
    struct input *input = &client->input;
    if (!buffer)
        buffer = malloc(BUFFER + RECEIVE);
    if (input->length > BUFFER) {
        end_client(client, "a frame is too large");
        return;
    }
    if (input->length)
        memcpy(buffer, input->data, input->length);
    ssize_t got = recv(client->fd, buffer + input->length, RECEIVE, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        end_client(client, got ? strerror(errno) : "end of file");
        return;
    }
    counts.bytes += got;
    size_t length = input->length + got, taken = 0;
    if (client->state == SHAKING)
        taken = take_handshake(client, buffer, length);
    if (client->state > SHAKING && client->state != ENDED)
        taken += take_frames(client, buffer + taken, length - taken);
    if (client->state == ENDED)
        return;
    input->length = length - taken;
    if (input->length > input->capacity) {
        input->capacity = input->length + RECEIVE;
        input->data = realloc(input->data, input->capacity);
    }
    if (input->length) {
        memcpy(input->data, buffer + taken, input->length);
    } else if (input->capacity) {
        free(input->data);
        *input = (struct input){0};
    }
}
