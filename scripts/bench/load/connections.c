// The sockets of the clients, and waiting for them.
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

static const uint64_t OF_POLLING = 1ULL << 32; // in an epoll event: not the WebSocket
static const uint64_t TIMER = UINT64_MAX;

double last_data;
int nap_microseconds; // look for data this often instead of being woken by it

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

void send_bytes(struct client *client, int fd, const void *data, size_t length) {
    if (send(fd, data, length, MSG_NOSIGNAL) != (ssize_t)length)
        end_client(client, strerror(errno));
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
    client->state = POLLING;
    if (polling)
        client->poll_fd = dial(client, OF_POLLING);
    else
        dial_websocket(client);
}

void dial_websocket(struct client *client) {
    client->state = DIALLING;
    client->fd = dial(client, 0);
}

void send_request(struct client *client, int fd, const char *query, const char *headers) {
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "GET /socket.io/?EIO=4&transport=%s HTTP/1.1\r\n"
                          "Host: 127.0.0.1:%d\r\n%s\r\n",
                          query, server_port, headers);
    send_bytes(client, fd, text, length);
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
        ask_for_websocket(client);
}

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

void wait_for_data(int milliseconds) {
    static struct epoll_event events[1024];
    bool data = false;
    if (nap_microseconds) {
        const struct timespec nap = {0, nap_microseconds * 1000L};
        nanosleep(&nap, NULL);
        milliseconds = 0;
    }
    int count = epoll_wait(epoll, events, 1024, milliseconds);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == TIMER)
            continue;
        handle(&events[i]);
        data = true;
    }
    if (data)
        last_data = now();
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
    wait_for_data(1000);
    return now() >= when;
}
