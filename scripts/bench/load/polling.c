// Long-polling, which a session may begin with: a handshake, then one poll that the upgrade to a
// WebSocket ends.
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void close_polling(struct client *client) {
    if (client->poll_fd >= 0)
        close(client->poll_fd);
    client->poll_fd = -1;
    free(client->poll_input.data);
    client->poll_input = (struct input){0};
}

static void take_poll_response(struct client *client, const char *body) {
    if (client->state != POLLING) {
        close_polling(client);
        client->answered_poll = true;
        finish_upgrade(client);
        return;
    }
    const char *sid = strstr(body, "\"sid\":\"");
    size_t length = sid ? strcspn(sid += 7, "\"") : 0;
    if (!length || length >= sizeof client->sid) {
        end_client(client, "no sid in the handshake");
        return;
    }
    memcpy(client->sid, sid, length);
    char query[128];
    snprintf(query, sizeof query, "polling&sid=%s", client->sid);
    send_request(client, client->poll_fd, query, "");
    if (client->state != ENDED)
        dial_websocket(client);
}

void read_polling(struct client *client) {
    struct input *input = &client->poll_input; // text, one response at a time
    if (!input->data)
        input->data = calloc(1, input->capacity = 4096);
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
    const char *text = (const char *)input->data, *body = strstr(text, "\r\n\r\n");
    if (!body || !body[4] || (client->state == POLLING && !strchr(body, '}')))
        return; // not all of it is there
    if (memcmp(text + 9, "200", 3)) {
        fprintf(stderr, "load: %.60s\n", text);
        end_client(client, "a poll was refused");
        return;
    }
    input->length = 0;
    take_poll_response(client, body + 4);
}

void finish_upgrade(struct client *client) {
    if (client->state != PROBING || !client->answered_probe || !client->answered_poll)
        return;
    send_text(client, "5", 1);
    if (client->state != ENDED)
        enter_namespace(client);
}
