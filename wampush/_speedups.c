/* What wampush does for each delivery, each frame and each opening request, in C.
 *
 * Each function does the same as one in Python, which is the reference and is used where this module
 * is not built: wampush/speedups.py says which is active. Nothing here knows an object of wampush, or
 * calls Python code once it has begun to send; nothing but SendThreads keeps any state between two calls.
 *
 * Only the stable ABI is used (PEP 384), so that one build serves all versions of CPython from 3.11.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "_openings.h"
#include "_receives.h"
#include "_sends.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Compared by wampush/speedups.py: an old build next to new Python code is not used. */
#define INTERFACE 5

/* The types whose sockets are sent to, and their method fileno; constant after the import. */
typedef struct {
    PyObject *plain;   /* _socket.socket */
    PyObject *wrapped; /* socket.socket */
    PyObject *fileno;  /* _socket.socket.fileno */
} Types;

/* Fill in a send; -1 with an exception set if an argument has another type. */
static int
prepare(const Types *types, PyObject *handle, PyObject *chunk, Send *send)
{
    PyObject *type = (PyObject *)Py_TYPE(handle);
    if (type != types->plain && type != types->wrapped) {
        PyErr_SetString(PyExc_TypeError, "send_each: a handle is not a socket");
        return -1;
    }
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(chunk, &data, &size) < 0) {
        return -1;
    }
    /* Asked for each time: a number that is kept may belong to another connection by now. */
    PyObject *number = PyObject_CallFunctionObjArgs(types->fileno, handle, NULL);
    if (number == NULL) {
        return -1;
    }
    long descriptor = PyLong_AsLong(number);
    Py_DECREF(number);
    if (descriptor == -1 && PyErr_Occurred()) {
        return -1;
    }
    send->data = data;
    send->size = (size_t)size;
    send->sent = 0;
    /* -1 once the socket is closed. */
    send->descriptor = descriptor < 0 || descriptor > INT_MAX ? -1 : (int)descriptor;
    return 0;
}

/* Return a list of (index, sent) for the sends that were not whole. */
static PyObject *
unsent(const Send *sends, Py_ssize_t count)
{
    PyObject *found = PyList_New(0);
    if (found == NULL) {
        return NULL;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        const Send *each = &sends[index];
        if (each->sent >= 0 && (size_t)each->sent == each->size) {
            continue;
        }
        PyObject *pair = Py_BuildValue("(nn)", index, (Py_ssize_t)each->sent);
        if (pair == NULL || PyList_Append(found, pair) < 0) {
            Py_XDECREF(pair);
            Py_DECREF(found);
            return NULL;
        }
        Py_DECREF(pair);
    }
    return found;
}

/* Check the arguments of send_each, have its sends done, and return its result.
 *
 * pool: whose threads share the sends; NULL for this thread only.
 */
static PyObject *
send_lists(const Types *types, PyObject *args, SendPool *pool)
{
    PyObject *handle_list, *chunk_list;
    if (!PyArg_ParseTuple(args, "OO:send_each", &handle_list, &chunk_list)) {
        return NULL;
    }
    if (!PyList_Check(handle_list) || !PyList_Check(chunk_list)) {
        PyErr_SetString(PyExc_TypeError, "send_each: handles and chunks must be lists");
        return NULL;
    }
    /* Own references: another thread may change the lists while this one sends. */
    PyObject *handles = PyList_AsTuple(handle_list);
    PyObject *chunks = PyList_AsTuple(chunk_list);
    Send *sends = NULL;
    PyObject *result = NULL;
    if (handles == NULL || chunks == NULL) {
        goto done;
    }
    Py_ssize_t count = PyTuple_Size(handles);
    if (count != PyTuple_Size(chunks)) {
        PyErr_SetString(PyExc_ValueError, "send_each: there must be as many chunks as handles");
        goto done;
    }
    /* Zeroed, and not empty: PyMem_Calloc checks the product for overflow. */
    sends = PyMem_Calloc((size_t)count + 1, sizeof(Send));
    if (sends == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        if (prepare(types, PyTuple_GetItem(handles, index), PyTuple_GetItem(chunks, index),
                    &sends[index]) < 0) {
            goto done;
        }
    }
    Py_BEGIN_ALLOW_THREADS
    if (pool == NULL) {
        send_alone(sends, (size_t)count);
    }
    else {
        send_together(pool, sends, (size_t)count);
    }
    Py_END_ALLOW_THREADS
    result = unsent(sends, count);
done:
    PyMem_Free(sends);
    Py_XDECREF(handles);
    Py_XDECREF(chunks);
    return result;
}

PyDoc_STRVAR(send_each_doc,
"send_each(handles, chunks)\n--\n\n"
"Send each chunk to the socket with the same index, and none of them twice.\n\n"
":param handles: a list of sockets that do not block.\n"
":param chunks: a list of bytes, as long as the other.\n"
":returns: a list of (index, sent) for each that was not sent as a whole: how many bytes were, 0 when\n"
"    the socket takes none now, or the negative errno.\n"
":raises TypeError: an element has another type; nothing has been sent then.\n"
":raises ValueError: the lists differ in length; nothing has been sent then.");

static PyObject *
send_each(PyObject *module, PyObject *args)
{
    return send_lists(PyModule_GetState(module), args, NULL);
}

/* Threads that share sends, and end with the object. */
typedef struct {
    PyObject_HEAD
    SendPool *pool;
} SendThreads;

static PyObject *
threads_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"count", NULL};
    int count;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "i:SendThreads", names, &count)) {
        return NULL;
    }
    if (count < 2 || count > THREADS_MOST) {
        return PyErr_Format(PyExc_ValueError, "SendThreads: count must be from 2 to %d, not %d",
                            THREADS_MOST, count);
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    SendThreads *threads = (SendThreads *)allocate(type, 0);
    if (threads == NULL) {
        return NULL;
    }
    int error = pool_start(count, &threads->pool);
    if (error != 0) {
        Py_DECREF(threads);
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return (PyObject *)threads;
}

static void
threads_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    pool_end(((SendThreads *)self)->pool);
    freefunc release_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release_object(self);
    Py_DECREF(type);
}

static PyObject *
threads_send_each(PyObject *self, PyObject *args)
{
    /* A call keeps the object, and so the threads, alive. */
    return send_lists(PyType_GetModuleState(Py_TYPE(self)), args, ((SendThreads *)self)->pool);
}

PyDoc_STRVAR(threads_doc,
"SendThreads(count)\n--\n\n"
"Threads that share the sends of a call, without the GIL; they end with the object.\n\n"
":param count: how many, from 2 to 16; the caller is one of them.\n"
":raises OSError: a thread cannot be started; none runs then.");

PyDoc_STRVAR(threads_send_each_doc,
"send_each(handles, chunks)\n--\n\n"
"Do what the function send_each does, in no certain order: no socket may occur twice.\n\n"
"In a process that was forked, and while another thread is in such a call, the caller sends alone.");

static PyMethodDef threads_methods[] = {
    {"send_each", threads_send_each, METH_VARARGS, threads_send_each_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot threads_slots[] = {
    {Py_tp_doc, (void *)threads_doc},
    {Py_tp_new, threads_new},
    {Py_tp_dealloc, threads_dealloc},
    {Py_tp_methods, threads_methods},
    {0, NULL},
};

static PyType_Spec threads_spec = {
    .name = "wampush._speedups.SendThreads",
    .basicsize = sizeof(SendThreads),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = threads_slots,
};

PyDoc_STRVAR(unmask_doc,
"unmask(key, data)\n--\n\n"
"Return a client's payload without its mask (RFC 6455 section 5.3).\n\n"
":param key: the four bytes of the mask.\n"
":param data: the masked payload.\n"
":raises ValueError: the key has another length.");

static PyObject *
unmask(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *key_object, *data_object;
    if (!PyArg_ParseTuple(args, "SS:unmask", &key_object, &data_object)) {
        return NULL;
    }
    char *key, *data, *plain;
    Py_ssize_t key_size, size;
    if (PyBytes_AsStringAndSize(key_object, &key, &key_size) < 0
        || PyBytes_AsStringAndSize(data_object, &data, &size) < 0) {
        return NULL;
    }
    if (key_size != 4) {
        PyErr_SetString(PyExc_ValueError, "unmask: a key has four bytes");
        return NULL;
    }
    PyObject *result = PyBytes_FromStringAndSize(NULL, size);
    if (result == NULL) {
        return NULL;
    }
    plain = PyBytes_AsString(result);
    uint64_t mask, word;
    memcpy(&mask, key, 4);
    memcpy((char *)&mask + 4, key, 4);
    Py_ssize_t index = 0;
    for (; size - index >= 8; index += 8) {
        memcpy(&word, data + index, 8);
        word ^= mask;
        memcpy(plain + index, &word, 8);
    }
    for (; index < size; index++) {
        plain[index] = (char)(data[index] ^ key[index & 3]);
    }
    return result;
}

/* The longest header of a frame of a server (RFC 6455 section 5.2). */
#define FRAME_HEADER_MOST 10
/* The first byte of a text message that is not fragmented. */
#define FINAL_TEXT 0x81

/* Write the header of a text message of so many bytes; return how many bytes the header has. */
static size_t
write_frame_header(unsigned char *header, uint64_t size)
{
    /* How many bytes of the length follow the second byte. */
    int more = size < 126 ? 0 : size < 65536 ? 2 : 8;
    header[0] = FINAL_TEXT;
    header[1] = (unsigned char)(more == 0 ? size : more == 2 ? 126 : 127);
    for (int index = 0; index < more; index++) {
        header[2 + index] = (unsigned char)(size >> (8 * (more - 1 - index)));
    }
    return 2 + (size_t)more;
}

/* The parts of a text that may be given. */
#define TEXT_PARTS 3

PyDoc_STRVAR(text_frame_doc,
"text_frame(head, body=b'', tail=b'', /)\n--\n\n"
"Return the frame of a text message (RFC 6455 section 5.2), without a mask.\n\n"
":param head: bytes; together with body and tail, the text in UTF-8.");

static PyObject *
text_frame(PyObject *module, PyObject *const *parts, Py_ssize_t count)
{
    (void)module;
    char *data[TEXT_PARTS];
    Py_ssize_t sizes[TEXT_PARTS], size = 0;
    if (count < 1 || count > TEXT_PARTS) {
        return PyErr_Format(PyExc_TypeError, "text_frame: 1 to 3 arguments, not %zd", count);
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        if (PyBytes_AsStringAndSize(parts[index], &data[index], &sizes[index]) < 0) {
            return NULL;
        }
        if (sizes[index] > PY_SSIZE_T_MAX - FRAME_HEADER_MOST - size) {
            return PyErr_NoMemory();
        }
        size += sizes[index];
    }
    unsigned char header[FRAME_HEADER_MOST];
    size_t header_size = write_frame_header(header, (uint64_t)size);
    PyObject *frame = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)header_size + size);
    if (frame == NULL) {
        return NULL;
    }
    char *at = PyBytes_AsString(frame);
    memcpy(at, header, header_size);
    at += header_size;
    for (Py_ssize_t index = 0; index < count; index++) {
        memcpy(at, data[index], (size_t)sizes[index]);
        at += sizes[index];
    }
    return frame;
}

static PyMethodDef methods[] = {
    {"send_each", send_each, METH_VARARGS, send_each_doc},
    {"text_frame", (PyCFunction)(void (*)(void))text_frame, METH_FASTCALL, text_frame_doc},
    {"unmask", unmask, METH_VARARGS, unmask_doc},
    {NULL, NULL, 0, NULL},
};

/* Import a module and return one of its attributes. */
static PyObject *
attribute_of(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    if (module == NULL) {
        return NULL;
    }
    PyObject *found = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    return found;
}

static int
execute(PyObject *module)
{
    Types *types = PyModule_GetState(module);
    types->plain = attribute_of("_socket", "socket");
    types->wrapped = attribute_of("socket", "socket");
    if (types->plain == NULL || types->wrapped == NULL) {
        return -1;
    }
    types->fileno = PyObject_GetAttrString(types->plain, "fileno");
    if (types->fileno == NULL) {
        return -1;
    }
    PyObject *threads = PyType_FromModuleAndSpec(module, &threads_spec, NULL);
    if (threads == NULL) {
        return -1;
    }
    int failed = PyModule_AddType(module, (PyTypeObject *)threads);
    Py_DECREF(threads);
    if (failed < 0 || add_receiver(module) < 0 || add_openings(module) < 0) {
        return -1;
    }
    return PyModule_AddIntConstant(module, "INTERFACE", INTERFACE);
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    Types *types = PyModule_GetState(module);
    Py_VISIT(types->plain);
    Py_VISIT(types->wrapped);
    Py_VISIT(types->fileno);
    return 0;
}

static int
clear(PyObject *module)
{
    Types *types = PyModule_GetState(module);
    Py_CLEAR(types->plain);
    Py_CLEAR(types->wrapped);
    Py_CLEAR(types->fileno);
    return 0;
}

static void
release(void *module)
{
    (void)clear(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_speedups",
    .m_doc = "What wampush does for each delivery, each frame and each opening request, in C.",
    .m_size = sizeof(Types),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&definition);
}
