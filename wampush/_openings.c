/* What a connection needs until it is open: its socket and its request.
 *
 * Requests that are unusual in any way are left to the code in Python, which knows what is wrong.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "_openings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
#define HAS_ACCEPT4
#endif

/* Of Sec-WebSocket-Key (RFC 6455 section 4.1). */
#define KEY_CHARACTERS 24

/* The longest name of a header that is read here. */
#define NAME_MOST 64

/* One character of a method or of the name of a header (RFC 9110 section 5.6.2). */
static int
is_token(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')
        || (byte >= '0' && byte <= '9') || (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

/* One character of a target. */
static int
is_visible(unsigned char byte)
{
    return byte > ' ' && byte < 0x7f;
}

/* Return the first byte of [at, end) that is_wanted does not accept; end if there is none. */
static const char *
skip(const char *at, const char *end, int (*is_wanted)(unsigned char))
{
    while (at < end && is_wanted((unsigned char)*at)) {
        at++;
    }
    return at;
}

/* Whether [from, to) is this text. */
static int
equals(const char *from, const char *to, const char *text)
{
    size_t size = strlen(text);
    return (size_t)(to - from) == size && memcmp(from, text, size) == 0;
}

/* Whether a line ends here, or the whole head does; at is moved behind the end of the line. */
static int
end_line(const char **at, const char *end)
{
    if (*at == end) {
        return 1;
    }
    if (end - *at >= 2 && (*at)[0] == '\r' && (*at)[1] == '\n') {
        *at += 2;
        return 1;
    }
    return 0;
}

/* Read one line of [at, end) into headers; 1 if it is read, 0 if it is unusual, -1 on an error. */
static int
read_header(PyObject *headers, const char **at, const char *end)
{
    char lower[NAME_MOST];
    const char *name = *at;
    const char *colon = skip(name, end, is_token);
    size_t size = (size_t)(colon - name);
    if (size == 0 || size > NAME_MOST || colon == end || *colon != ':') {
        return 0;
    }
    for (size_t index = 0; index < size; index++) {
        char byte = name[index];
        lower[index] = byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
    }
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    const char *line_end = value;
    while (line_end < end && (is_visible((unsigned char)*line_end) || *line_end == ' '
                              || *line_end == '\t')) {
        line_end++;
    }
    const char *value_end = line_end;
    while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) {
        value_end--;
    }
    if (!end_line(&line_end, end)) {
        return 0;
    }
    *at = line_end;
    PyObject *key = PyUnicode_FromStringAndSize(lower, (Py_ssize_t)size);
    PyObject *text = PyUnicode_FromStringAndSize(value, (Py_ssize_t)(value_end - value));
    int failed = key == NULL || text == NULL || PyDict_SetItem(headers, key, text) < 0;
    Py_XDECREF(key);
    Py_XDECREF(text);
    return failed ? -1 : 1;
}

/* A request line and headers. */
typedef struct {
    const char *method, *method_end;
    const char *target, *target_end;
    const char *version, *version_end;
    PyObject *headers; /* the caller's */
} Request;

/* Read a usual request; 1 if it is one, 0 if not, -1 with an exception set on an error. */
static int
read_request(PyObject *head, Request *request)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(head, &data, &size) < 0) {
        return -1;
    }
    const char *end = data + size;
    if (size > 0 && end[-1] == '\n') {
        /* An empty line follows. */
        return 0;
    }
    const char *method_end = skip(data, end, is_token);
    if (!(equals(data, method_end, "GET") || equals(data, method_end, "HEAD")
          || equals(data, method_end, "OPTIONS"))
        || end - method_end < 2 || method_end[0] != ' ' || method_end[1] != '/') {
        return 0;
    }
    const char *target = method_end + 1;
    const char *target_end = skip(target, end, is_visible);
    if (target_end == end || *target_end != ' ') {
        return 0;
    }
    const char *version = target_end + 1;
    const char *version_end = skip(version, end, is_visible);
    const char *at = version_end;
    if (!(equals(version, version_end, "HTTP/1.1") || equals(version, version_end, "HTTP/1.0"))
        || !end_line(&at, end)) {
        return 0;
    }
    PyObject *headers = PyDict_New();
    if (headers == NULL) {
        return -1;
    }
    Py_ssize_t count = 0;
    int is_usual = 1;
    while (is_usual > 0 && at < end) {
        is_usual = read_header(headers, &at, end);
        count++;
    }
    if (is_usual <= 0 || PyDict_Size(headers) != count) {
        Py_DECREF(headers);
        return is_usual < 0 ? -1 : 0;
    }
    *request = (Request){data, method_end, target, target_end, version, version_end, headers};
    return 1;
}

PyDoc_STRVAR(scan_request_doc,
"scan_request(head)\n--\n\n"
"Read the request line and the headers of a usual request.\n\n"
"It is one of GET, HEAD or OPTIONS for a path; all of it is printable ASCII, and no header occurs\n"
"twice.\n\n"
":param head: without an empty line before or after them.\n"
":returns: method, target, version, and the headers by lower-case name; None if the request is not\n"
"    of that kind, for whatever reason.");

static PyObject *
scan_request(PyObject *module, PyObject *head)
{
    (void)module;
    Request request;
    int found = read_request(head, &request);
    if (found <= 0) {
        return found < 0 ? NULL : Py_NewRef(Py_None);
    }
    return Py_BuildValue(
        "(s#s#s#N)", request.method, (Py_ssize_t)(request.method_end - request.method),
        request.target, (Py_ssize_t)(request.target_end - request.target), request.version,
        (Py_ssize_t)(request.version_end - request.version), request.headers);
}

/* Return the value of a header as UTF-8; NULL if there is none, or with an exception set. */
static const char *
value_of(PyObject *headers, const char *name, Py_ssize_t *size)
{
    PyObject *value = PyDict_GetItemString(headers, name);
    return value == NULL ? NULL : PyUnicode_AsUTF8AndSize(value, size);
}

/* Whether a text of ASCII has this word of lower-case letters in it, in any case. */
static int
has_word(const char *text, Py_ssize_t size, const char *word)
{
    Py_ssize_t length = (Py_ssize_t)strlen(word);
    for (Py_ssize_t begin = 0; begin + length <= size; begin++) {
        Py_ssize_t index = 0;
        while (index < length && (text[begin + index] | 0x20) == word[index]) {
            index++;
        }
        if (index == length) {
            return 1;
        }
    }
    return 0;
}

/* Whether this is Base64 of 16 bytes (RFC 6455 section 4.1). */
static int
is_key(const char *text, Py_ssize_t size)
{
    if (size != KEY_CHARACTERS || memcmp(text + size - 2, "==", 2) != 0) {
        return 0;
    }
    for (Py_ssize_t index = 0; index < size - 2; index++) {
        unsigned char byte = (unsigned char)text[index];
        if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')
              || (byte >= '0' && byte <= '9') || byte == '+' || byte == '/')) {
            return 0;
        }
    }
    return 1;
}

/* Whether headers are those of a handshake of version 13 that lacks nothing. */
static int
is_handshake(PyObject *headers)
{
    Py_ssize_t size = 0;
    const char *value = value_of(headers, "upgrade", &size);
    if (value == NULL || !has_word(value, size, "websocket")) {
        return 0;
    }
    value = value_of(headers, "connection", &size);
    if (value == NULL || !has_word(value, size, "upgrade")) {
        return 0;
    }
    value = value_of(headers, "sec-websocket-version", &size);
    if (value == NULL || size != 2 || memcmp(value, "13", 2) != 0) {
        return 0;
    }
    value = value_of(headers, "sec-websocket-key", &size);
    return value != NULL && is_key(value, size) && value_of(headers, "host", &size) != NULL;
}

PyDoc_STRVAR(read_handshake_doc,
"read_handshake(head)\n--\n\n"
"Read the header of a usual request to open a WebSocket, and check it (RFC 6455 section 4.2.1).\n\n"
":param head: as for scan_request.\n"
":returns: the target, and the headers by lower-case name; None if it is any other request.");

static PyObject *
read_handshake(PyObject *module, PyObject *head)
{
    (void)module;
    Request request;
    int found = read_request(head, &request);
    if (found <= 0) {
        return found < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (!equals(request.method, request.method_end, "GET")
        || !equals(request.version, request.version_end, "HTTP/1.1")
        || !is_handshake(request.headers)) {
        Py_DECREF(request.headers);
        if (PyErr_Occurred()) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(s#N)", request.target,
                         (Py_ssize_t)(request.target_end - request.target), request.headers);
}

#ifdef HAS_ACCEPT4

/* Return (descriptor, address) of a socket that is accepted; NULL with an exception set. */
static PyObject *
described(int descriptor, const struct sockaddr_storage *address)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *found = (const struct sockaddr_in *)address;
        if (inet_ntop(AF_INET, &found->sin_addr, host, sizeof host) != NULL) {
            return Py_BuildValue("(i(si))", descriptor, host, (int)ntohs(found->sin_port));
        }
    }
    else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *found = (const struct sockaddr_in6 *)address;
        if (inet_ntop(AF_INET6, &found->sin6_addr, host, sizeof host) != NULL) {
            return Py_BuildValue("(i(siII))", descriptor, host, (int)ntohs(found->sin6_port),
                                 (unsigned int)ntohl(found->sin6_flowinfo),
                                 (unsigned int)found->sin6_scope_id);
        }
    }
    PyErr_SetString(PyExc_ValueError, "accept_some: the socket is neither of IPv4 nor of IPv6");
    return NULL;
}

PyDoc_STRVAR(accept_some_doc,
"accept_some(descriptor, most)\n--\n\n"
"Accept connections that wait, without waiting for any; their sockets do not block.\n\n"
":param descriptor: of a socket that listens over IPv4 or IPv6, and does not block.\n"
":param most: how many to accept.\n"
":returns: of each, its descriptor, which the caller has to close, and the address of the client, as\n"
"    the method accept of a socket returns it.\n"
":raises OSError: the first cannot be accepted; BlockingIOError if there is none.");

static PyObject *
accept_some(PyObject *module, PyObject *args)
{
    (void)module;
    int listening, most;
    if (!PyArg_ParseTuple(args, "ii:accept_some", &listening, &most)) {
        return NULL;
    }
    PyObject *accepted = PyList_New(0);
    while (accepted != NULL && PyList_Size(accepted) < most) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        memset(&address, 0, sizeof address);
        int descriptor = accept4(listening, (struct sockaddr *)&address, &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) {
            /* An error that lasts comes up in the next call. */
            if (PyList_Size(accepted) == 0) {
                Py_CLEAR(accepted);
                PyErr_SetFromErrno(PyExc_OSError);
            }
            break;
        }
        PyObject *one = described(descriptor, &address);
        if (one == NULL || PyList_Append(accepted, one) < 0) {
            Py_XDECREF(one);
            close(descriptor);
            /* Those before it are the caller's, which has to close them. */
            if (PyList_Size(accepted) > 0) {
                PyErr_WriteUnraisable(module);
                break;
            }
            Py_CLEAR(accepted);
            break;
        }
        Py_DECREF(one);
    }
    return accepted;
}

#endif

static PyMethodDef openings[] = {
#ifdef HAS_ACCEPT4
    {"accept_some", accept_some, METH_VARARGS, accept_some_doc},
#endif
    {"read_handshake", read_handshake, METH_O, read_handshake_doc},
    {"scan_request", scan_request, METH_O, scan_request_doc},
    {NULL, NULL, 0, NULL},
};

int
add_openings(PyObject *module)
{
    return PyModule_AddFunctions(module, openings);
}
