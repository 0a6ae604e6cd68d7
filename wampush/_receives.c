/* Messages of a ZeroMQ socket, read through the libzmq that pyzmq has loaded.
 *
 * This is not linked with libzmq: Python says where its functions are. What is relied on here are its
 * public functions and the size of a message, which are the same since version 4.1.
 */
#include "_receives.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* Of <zmq.h>. */
#define EVENTS 15
#define POLL_IN 1
#define DO_NOT_WAIT 1

/* Parts of one message that are kept; one more than a push may have. */
#define PARTS_MOST 4

typedef union {
    unsigned char bytes[64];
    void *aligned;
    uint64_t also_aligned;
} Message;

/* libzmq's functions, in the order in which their addresses are given. */
typedef struct {
    int (*init)(Message *message);
    int (*close)(Message *message);
    int (*receive)(Message *message, void *socket, int flags);
    void *(*data)(Message *message);
    size_t (*size)(const Message *message);
    int (*more)(const Message *message);
    int (*option)(void *socket, int option, void *value, size_t *size);
} Functions;

typedef struct {
    PyObject_HEAD
    Functions functions;
    PyObject *underlying; /* the name of an attribute */
} Receiver;

/* What a call has read, and how far it is. */
typedef struct {
    const Functions *functions;
    void *socket;
    Message message;
    PyObject *messages;
    Py_ssize_t bytes_left;
    int is_skipping;
} Reading;

/* Read one part; 1 if there was one, 0 if not, -1 with an exception set on an error. */
static int
read_part(Reading *reading)
{
    for (;;) {
        if (reading->functions->receive(&reading->message, reading->socket, DO_NOT_WAIT) >= 0) {
            return 1;
        }
        if (errno == EAGAIN) {
            return 0;
        }
        if (errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
    }
}

/* Return the last part that was read. */
static PyObject *
part_of(Reading *reading)
{
    size_t size = reading->functions->size(&reading->message);
    reading->bytes_left -= (Py_ssize_t)size;
    return PyBytes_FromStringAndSize(reading->functions->data(&reading->message), (Py_ssize_t)size);
}

/* Return a list of the first parts of a message, of which the first one is read. */
static PyObject *
parts_of(Reading *reading)
{
    PyObject *parts = PyList_New(0);
    for (int count = 0; parts != NULL && count < PARTS_MOST;) {
        PyObject *part = part_of(reading);
        if (part == NULL || PyList_Append(parts, part) < 0) {
            Py_XDECREF(part);
            Py_CLEAR(parts);
            break;
        }
        Py_DECREF(part);
        count++;
        reading->is_skipping = reading->functions->more(&reading->message);
        if (!reading->is_skipping || count == PARTS_MOST) {
            break;
        }
        /* libzmq hands over whole messages, so there is one. */
        int found = read_part(reading);
        if (found <= 0) {
            if (found == 0) {
                PyErr_SetString(PyExc_OSError, "receive: a message has ended early");
            }
            Py_CLEAR(parts);
        }
    }
    return parts;
}

/* Whether a message waits; -1 with an exception set on an error. It also re-arms the descriptor. */
static int
has_message(const Reading *reading)
{
    int events = 0;
    size_t size = sizeof events;
    while (reading->functions->option(reading->socket, EVENTS, &events, &size) < 0) {
        if (errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
    }
    return (events & POLL_IN) != 0;
}

/* Take one step; 1 if something was read, 0 if nothing was there, -1 with an exception set. */
static int
step(Reading *reading)
{
    int found = read_part(reading);
    if (found <= 0) {
        return found;
    }
    if (reading->is_skipping) {
        reading->is_skipping = reading->functions->more(&reading->message);
        return 1;
    }
    PyObject *parts = parts_of(reading);
    int failed = parts == NULL ? -1 : PyList_Append(reading->messages, parts);
    Py_XDECREF(parts);
    return failed < 0 ? -1 : 1;
}

/* Take steps; whether nothing waits any more, or -1 with an exception set. */
static int
read_some(Reading *reading, Py_ssize_t most, Py_ssize_t *steps)
{
    while (*steps < most && reading->bytes_left >= 0) {
        int found = step(reading);
        if (found < 0) {
            return -1;
        }
        ++*steps;
        /* Most messages come alone. */
        if (!found || *steps == 1) {
            int has_more = has_message(reading);
            if (has_more <= 0) {
                return has_more < 0 ? -1 : 1;
            }
        }
    }
    return 0;
}

PyDoc_STRVAR(receive_doc,
"receive(socket, is_skipping, most, most_bytes)\n--\n\n"
"Read messages that wait, without waiting for any.\n\n"
":param socket: of pyzmq.\n"
":param is_skipping: whether the next part belongs to a message whose first parts were read before.\n"
":param most: steps; each reads the first four parts of a message, or one that is thrown away.\n"
":param most_bytes: none of the messages begins after so many.\n"
":returns: the messages, each a list of its parts; how many steps were taken; whether the next part\n"
"    is to be skipped; whether nothing waits.\n"
":raises ValueError: the socket is closed.\n"
":raises OSError: libzmq reports an error.");

/* The arguments of receive. */
#define RECEIVE_ARGUMENTS 4

/* Without PyArg_ParseTuple and Py_BuildValue: a push that comes alone finds none of their code in the
 * caches.
 */
static PyObject *
receive(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    const Receiver *receiver = (const Receiver *)self;
    Py_ssize_t most, steps = 0;
    Reading reading = {.functions = &receiver->functions};
    if (count != RECEIVE_ARGUMENTS) {
        return PyErr_Format(PyExc_TypeError, "receive: %d arguments, not %zd", RECEIVE_ARGUMENTS,
                            count);
    }
    reading.is_skipping = PyObject_IsTrue(arguments[1]);
    if (reading.is_skipping < 0) {
        return NULL;
    }
    most = PyLong_AsSsize_t(arguments[2]);
    if (most == -1 && PyErr_Occurred()) {
        return NULL;
    }
    reading.bytes_left = PyLong_AsSsize_t(arguments[3]);
    if (reading.bytes_left == -1 && PyErr_Occurred()) {
        return NULL;
    }
    /* Asked for each time: it is 0 once the socket is closed. */
    PyObject *number = PyObject_GetAttr(arguments[0], receiver->underlying);
    if (number == NULL) {
        return NULL;
    }
    reading.socket = PyLong_AsVoidPtr(number);
    Py_DECREF(number);
    if (reading.socket == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "receive: the socket is closed");
        }
        return NULL;
    }
    reading.messages = PyList_New(0);
    if (reading.messages == NULL) {
        return NULL;
    }
    (void)reading.functions->init(&reading.message);
    int is_empty = read_some(&reading, most, &steps);
    (void)reading.functions->close(&reading.message);
    if (is_empty < 0) {
        Py_DECREF(reading.messages);
        return NULL;
    }
    PyObject *taken = PyLong_FromSsize_t(steps);
    PyObject *result = taken == NULL ? NULL
        : PyTuple_Pack(4, reading.messages, taken, reading.is_skipping ? Py_True : Py_False,
                       is_empty ? Py_True : Py_False);
    Py_XDECREF(taken);
    Py_DECREF(reading.messages);
    return result;
}

static PyObject *
receiver_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"addresses", NULL};
    void *addresses[sizeof(Functions) / sizeof(void *)];
    Py_ssize_t count = (Py_ssize_t)(sizeof addresses / sizeof *addresses);
    PyObject *given;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!:Receiver", names, &PyTuple_Type, &given)) {
        return NULL;
    }
    if (PyTuple_Size(given) != count) {
        return PyErr_Format(PyExc_ValueError, "Receiver: there must be %zd addresses", count);
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        addresses[index] = PyLong_AsVoidPtr(PyTuple_GetItem(given, index));
        if (addresses[index] == NULL) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "Receiver: an address is 0");
            }
            return NULL;
        }
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Receiver *receiver = (Receiver *)allocate(type, 0);
    if (receiver == NULL) {
        return NULL;
    }
    memcpy(&receiver->functions, addresses, sizeof addresses);
    receiver->underlying = PyUnicode_InternFromString("underlying");
    if (receiver->underlying == NULL) {
        Py_DECREF(receiver);
        return NULL;
    }
    return (PyObject *)receiver;
}

static void
receiver_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((Receiver *)self)->underlying);
    freefunc release_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release_object(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(receiver_doc,
"Receiver(addresses)\n--\n\n"
"Reads messages of ZeroMQ sockets.\n\n"
":param addresses: of the functions of libzmq, a tuple: zmq_msg_init, zmq_msg_close, zmq_msg_recv,\n"
"    zmq_msg_data, zmq_msg_size, zmq_msg_more and zmq_getsockopt.\n"
":raises ValueError: one is missing.");

static PyMethodDef methods[] = {
    {"receive", (PyCFunction)(void (*)(void))receive, METH_FASTCALL, receive_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)receiver_doc},
    {Py_tp_new, receiver_new},
    {Py_tp_dealloc, receiver_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "wampush._speedups.Receiver",
    .basicsize = sizeof(Receiver),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

int
add_receiver(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int failed = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return failed;
}
