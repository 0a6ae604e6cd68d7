/* Messages of a ZeroMQ socket, read through the libzmq that pyzmq has loaded. Belongs to the extension;
 * see _speedups.c.
 */
#ifndef WAMPUSH_RECEIVES_H
#define WAMPUSH_RECEIVES_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

/* Add the type Receiver to the module; -1 with an exception set if that fails. */
int add_receiver(PyObject *module);

#endif
