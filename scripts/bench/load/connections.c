// Sockets: TCP, the WebSocket's frames, and the long-polling that a session may begin with.
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 32 << 20, RECEIVE = 1 << 20 };
static const uint64_t OF_POLLING = 1ULL << 32; // in an epoll event: not the WebSocket
static const uint64_t TIMER = UINT64_MAX;

double last_data;
int nap_microseconds; // look for data this often instead of being woken by it

// -- the end of a client

static void close_polling(struct client *client) {
    if (client->poll_fd >= 0)
        close(client->poll_fd);
    client->poll_fd = -1;
    free(client->poll_input.data);
    client->poll_input = (struct input){0};
}

void end_client(struct client *client, const char *why) {
    if (client->state == ENDED)
        return;
    if (counts.ended++ < 3)
        fprintf(stderr, "load: a client ended in state %d: %s\n", client->state, why);
    if (client->state == READY)
        ready_count--;
    else
        opening_count--;
    if (client->waiting)
        counts.in_flight--;
    rooms[client->room].clients--;
    client->state = ENDED;
    close_polling(client);
    if (client->fd >= 0)
        close(client->fd);
    free(client->input.data);
    client->input = (struct input){0};
}

// -- the way out

static void send_bytes(struct client *client, int fd, const void *data, size_t length) {
    if (send(fd, data, length, MSG_NOSIGNAL) != (ssize_t)length)
        end_client(client, strerror(errno));
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

static int dial(struct client *client, uint64_t mark) {
    int number = client - clients, one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        perror("load: socket");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // Each client has an address of its own, as people have.
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(0x7f010001 + number)};
    if (bind(fd, (void *)&own, sizeof own)) {
        perror("load: bind");
        exit(1);
    }
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons(server_port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (void *)&server, sizeof server) && errno != EINPROGRESS) {
        perror("load: connect");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLOUT, .data.u64 = mark | number};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    return fd;
}

void start_client(int room, bool polling) {
    struct client *client = &clients[client_count++];
    *client = (struct client){.fd = -1, .poll_fd = -1, .room = room};
    client->seat = rooms[room].clients++;
    opening_count++;
    client->state = polling ? POLLING : DIALLING;
    if (polling)
        client->poll_fd = dial(client, OF_POLLING);
    else
        client->fd = dial(client, 0);
}

static void send_request(struct client *client, int fd, const char *query, const char *headers) {
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "GET /socket.io/?EIO=4&transport=%s HTTP/1.1\r\n"
                          "Host: 127.0.0.1:%d\r\n%s\r\n",
                          query, server_port, headers);
    send_bytes(client, fd, text, length);
}

static void ask_for_websocket(struct client *client, const char *sid) {
    char query[128];
    snprintf(query, sizeof query, "websocket%s%s", *sid ? "&sid=" : "", sid);
    send_request(client, client->fd, query,
                 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n");
    client->state = SHAKING;
}

// -- long-polling: a handshake, then one poll that the upgrade ends

static void take_poll_response(struct client *client, const char *body) {
    if (client->state != POLLING) {
        close_polling(client);
        client->answered_poll = true;
        finish_upgrade(client);
        return;
    }
    const char *sid = strstr(body, "\"sid\":\""), *end = sid ? strchr(sid + 7, '"') : NULL;
    if (!end || end - sid > 60) {
        end_client(client, "no sid in the handshake");
        return;
    }
    char query[128];
    snprintf(query, sizeof query, "polling&sid=%.*s", (int)(end - sid - 7), sid + 7);
    send_request(client, client->poll_fd, query, "");
    if (client->state == ENDED)
        return;
    client->state = DIALLING;
    client->fd = dial(client, 0);
}

static const char *sid_of(const struct client *client) {
    static char sid[64];
    const char *found = client->poll_input.data
                            ? strstr((const char *)client->poll_input.data, "\"sid\":\"")
                            : NULL;
    *sid = 0;
    if (found)
        snprintf(sid, sizeof sid, "%.*s", (int)strcspn(found + 7, "\""), found + 7);
    return sid;
}

// Both responses of the polling are kept, as text: the handshake's sid is needed until the end.
static void read_polling(struct client *client) {
    struct input *input = &client->poll_input;
    if (!input->data)
        input->data = calloc(1, input->capacity = 8192);
    ssize_t got = recv(client->poll_fd, input->data + input->length,
                       input->capacity - 1 - input->length, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        end_client(client, "polling ended");
        return;
    }
    input->length += got;
    input->data[input->length] = 0;
    const char *text = (const char *)input->data + client->poll_taken;
    if (strlen(text) > 12 && memcmp(text + 9, "200", 3)) {
        fprintf(stderr, "load: %.60s\n", text);
        end_client(client, "a poll was refused");
        return;
    }
    const char *body = strstr(text, "\r\n\r\n");
    if (!body || !body[4])
        return;
    if (client->state == POLLING && !strchr(body, '}'))
        return;
    client->poll_taken = input->length;
    take_poll_response(client, body + 4);
}

void finish_upgrade(struct client *client) {
    if (client->state != PROBING || !client->answered_probe || !client->answered_poll)
        return;
    send_text(client, "5", 1);
    if (client->state != ENDED)
        enter_namespace(client);
}

// -- the way in

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
    if (client->poll_fd >= 0 || client->answered_poll) {
        client->state = PROBING;
        send_text(client, "2probe", 6);
    } else {
        client->state = OPENING;
    }
    return end + 4 - data;
}

static void read_websocket(struct client *client) {
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

static void take_connection(struct client *client, bool of_polling) {
    int error = 0, fd = of_polling ? client->poll_fd : client->fd;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        end_client(client, strerror(error));
        return;
    }
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u64 = (of_polling ? OF_POLLING : 0) | (client - clients)};
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
    if (of_polling)
        send_request(client, fd, "polling", "");
    else
        ask_for_websocket(client, sid_of(client));
}

// -- waiting

static void handle(const struct epoll_event *event) {
    struct client *client = &clients[event->data.u64 & UINT32_MAX];
    bool of_polling = event->data.u64 & OF_POLLING;
    if (client->state == ENDED || (of_polling && client->poll_fd < 0))
        return;
    if (event->events & EPOLLOUT)
        take_connection(client, of_polling);
    else if (of_polling)
        read_polling(client);
    else
        read_websocket(client);
}

static bool poll_events(int milliseconds) {
    static struct epoll_event events[1024];
    bool timer = false;
    if (nap_microseconds) {
        const struct timespec nap = {0, nap_microseconds * 1000L};
        nanosleep(&nap, NULL);
        milliseconds = 0;
    }
    int count = epoll_wait(epoll, events, 1024, milliseconds);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == TIMER)
            timer = true;
        else
            handle(&events[i]);
    }
    if (count > timer)
        last_data = now();
    return timer;
}

void wait_for_data(int milliseconds) {
    poll_events(milliseconds);
}

bool wait_until(double when) {
    static int timer = -1;
    if (timer < 0) {
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TIMER};
        epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
    }
    if (now() >= when)
        return true;
    struct itimerspec due = {.it_value = {(time_t)when, (long)((when - (time_t)when) * 1e9)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &due, NULL);
    poll_events(1000);
    return now() >= when;
}
